"""Read the repository's git history through GitHub: heads, pushed commits, and how two commits differ."""

from datetime import datetime

from github import UnknownObjectException
from github.Comparison import Comparison

from clearml_ci.github_api import pull_requests
from clearml_ci.github_api.session import CONTENTS, GitHub, call_github, require

_COMPARED_LIMIT = 300  # files of a comparison; GitHub leaves out those beyond without a notice


def branch_head(github: GitHub, name: str) -> str:
    """The hash of a branch's head commit. Raises GitHubError."""
    return call_github(github, f"the branch '{name}'", CONTENTS, lambda: github.repository.get_branch(name).commit.sha)


def pushed_commits(github: GitHub, *, before: str, after: str) -> list[str]:
    """The commits that a push from `before` to `after` added to a branch, oldest first. Raises GitHubError."""
    if not before.strip("0"):  # the branch is new
        return [after]
    return call_github(
        github,
        f"the commits from {before[:10]} to {after[:10]}",
        CONTENTS,
        lambda: [commit.sha for commit in github.repository.compare(before, after).commits],
    )


def exists(github: GitHub, commit: str) -> bool:
    """True if GitHub has a commit in this repository. Raises GitHubError.

    A token that cannot read the repository gets a 404 as well: use one that has just read from it.
    """

    def request() -> bool:
        try:
            require_commit(github, commit)
        except UnknownObjectException:
            return False
        return True

    return call_github(github, f"the commit {commit[:10]}", CONTENTS, request)


def require_commit(github: GitHub, commit: str) -> None:
    """Read a commit from this repository. Raises as PyGithub does, also if the answer is no commit."""
    require(github.repository.get_git_commit(commit).raw_data["sha"] == commit)


def committed(github: GitHub, commit: str) -> datetime:
    """The committer's date of a commit. Raises GitHubError."""
    return call_github(
        github,
        f"the date of the commit {commit[:10]}",
        CONTENTS,
        lambda: github.repository.get_git_commit(commit).committer.date,
    )


def is_on_branch(github: GitHub, *, branch: str, commit: str) -> bool:
    """True if a commit is reachable from a branch, or is the head of a merged pull request. Raises GitHubError."""
    if _compare(github, branch, commit).status in ("behind", "identical"):
        return True
    return commit in pull_requests.merged_heads(github, commit)


def merge_base(github: GitHub, *, base: str, head: str) -> str:
    """The newest commit that a branch and a commit have in common. Raises GitHubError."""
    return _compare(github, base, head).merge_base_commit.sha


def changed_files(github: GitHub, *, base: str, head: str) -> list[str] | None:
    """The paths in which two commits differ, old names of renamed files included. Raises GitHubError.

    None if GitHub cannot list them all. After a rebase or a forced push the list can also hold paths in which the two
    commits are equal, but it never lacks one.
    """
    comparisons = [_compare(github, base, head)]
    if comparisons[0].status not in ("ahead", "identical"):
        # GitHub compares with the merge base: changes of `base` alone show only in the other direction
        comparisons.append(_compare(github, head, base))
    if any(len(comparison.files) >= _COMPARED_LIMIT for comparison in comparisons):
        return None
    files = [file for comparison in comparisons for file in comparison.files]
    return sorted({path for file in files for path in (file.filename, file.previous_filename) if path})


def changed_since_merge_base(github: GitHub, *, base: str, head: str) -> list[str]:
    """The paths that the commits of a head changed since it left a branch, 300 at most. Raises GitHubError."""
    files = _compare(github, base, head).files
    return sorted({path for file in files for path in (file.filename, file.previous_filename) if path})


def _compare(github: GitHub, base: str, head: str) -> Comparison:
    action = f"the comparison of {base[:10]} with {head[:10]}"
    return call_github(github, action, CONTENTS, lambda: _compared(github, base, head))


def _compared(github: GitHub, base: str, head: str) -> Comparison:
    found = github.repository.compare(base, head).complete()
    require({"status", "merge_base_commit", "files"} <= found.raw_data.keys())  # a proxy's page has none of them
    return found
