"""How a commit stands to others: earlier ones whose evidence still counts, and main's where the branch left it.

Where an agent has no credentials to ask GitHub (`hub` is None), what the job read stands instead.
"""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from clearml_ci.github_api import git_history, pull_requests
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.parameters.check import Check

_MOST = 20  # earlier commits that are looked at


def still_valid(hub: GitHub | None, check: Check) -> Iterator[str]:
    """Earlier commits of the pull request, newest first, since which only ignored paths changed. Raises GitHubError."""
    if not check.ignored_paths:
        return
    if hub is None:
        yield from check.facts.reusable_commits
        return
    commits = pull_requests.commits(hub, check.pull_request.number)
    earlier = commits[: commits.index(check.commit)] if check.commit in commits else []
    for commit in reversed(earlier[-_MOST:]):
        changed = git_history.changed_files(hub, base=commit, head=check.commit)
        if changed is None or not all(_ignored(path, check.ignored_paths) for path in changed):
            return
        yield commit


def _ignored(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def of_main(hub: GitHub | None, check: Check) -> list[str]:
    """Where main's own task may be recorded: the commit at which the branch left it, and what was merged as that."""
    if hub is None:
        return list(check.facts.main_commits)
    if not check.pull_request.base:
        return []
    base = git_history.merge_base(hub, base=check.pull_request.base, head=check.commit)
    return [base, *pull_requests.merged_heads(hub, base)]


def is_on_base(hub: GitHub, check: Check, commit: str) -> bool | None:
    """Is a commit on the base branch? None where GitHub cannot tell: it may be a commit that nobody ever pushed."""
    try:
        return git_history.is_on_branch(hub, branch=check.pull_request.base, commit=commit)
    except GitHubError:
        return None
