"""The commits that a commit is compared with: earlier ones whose evidence still counts, and the base branch's.

Without a connection to GitHub (`github` is None) the job's own readings in the run's parameters count.
"""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from clearml_ci.github_api import git_history, pull_requests
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.parameters.check import Check

_MOST = 20  # earlier commits that are looked at


def reusable_commits(github: GitHub | None, check: Check) -> Iterator[str]:
    """Earlier commits of the pull request, newest first, since which only ignored paths changed. Raises GitHubError."""
    if not check.ignored_paths:
        return
    if github is None:
        yield from check.facts.reusable_commits
        return
    commits = pull_requests.commits(github, check.pull_request.number)
    earlier = commits[: commits.index(check.commit)] if check.commit in commits else []
    for commit in reversed(earlier[-_MOST:]):
        changed = git_history.changed_files(github, base=commit, head=check.commit)
        if changed is None or not all(is_ignored(path, check.ignored_paths) for path in changed):
            return
        yield commit


def is_ignored(path: str, patterns: Sequence[str]) -> bool:
    """True if one of the patterns of files on which no task depends is that of this path."""
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def merge_base_commits(github: GitHub | None, check: Check) -> list[str]:
    """The commits that the base branch's own task may name: the merge base, and what was merged as it."""
    if github is None:
        return list(check.facts.main_commits)
    if not check.pull_request.base:
        return []
    base = git_history.merge_base(github, base=check.pull_request.base, head=check.commit)
    return [base, *pull_requests.merged_heads(github, base)]


def is_on_base_branch(github: GitHub, check: Check, commit: str) -> bool | None:
    """True if a commit is on the base branch; None if GitHub does not know it: it may never have been pushed."""
    try:
        return git_history.is_on_branch(github, branch=check.pull_request.base, commit=commit)
    except GitHubError:
        return None
