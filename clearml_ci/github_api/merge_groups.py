"""Read what a merge queue has built: its branch, the commits on it, and the files of a commit."""

from github import UnknownObjectException

from clearml_ci.decisions.merge_queue import Commit
from clearml_ci.github_api import git_history
from clearml_ci.github_api.session import CONTENTS, GitHub, call_github


def commits(github: GitHub, *, base: str, head: str) -> list[Commit]:
    """The commits of a group that its base branch does not have, newest last; at most 250. Raises GitHubError."""
    return call_github(
        github,
        f"the commits from {base} to {head[:10]}",
        CONTENTS,
        lambda: [
            Commit(
                commit.sha,
                commit.parents[0].sha if commit.parents else "",
                (commit.commit.message.splitlines() or [""])[0],
            )
            for commit in github.repository.compare(base, head).commits
        ],
    )


def exists(github: GitHub, branch: str) -> bool:
    """False if a queue's branch is gone: GitHub deletes that of a group that is merged or dismissed.

    Raises GitHubError. A token that cannot read the repository gets a 404 as well: use one that has just read from it.
    """

    def request() -> bool:
        try:
            return bool(github.repository.get_git_ref(f"heads/{branch}").object.sha)  # `ref` alone sends no request
        except UnknownObjectException:
            return False

    return call_github(github, f"the branch '{branch}'", CONTENTS, request)


def tree(github: GitHub, commit: str) -> str:
    """The hash of a commit's files. Raises GitHubError."""
    return call_github(
        github, f"the files of {commit[:10]}", CONTENTS, lambda: github.repository.get_git_commit(commit).tree.sha
    )


def difference(github: GitHub, *, judged: str, head: str) -> list[str] | None:
    """The paths in which two commits differ, none if their trees are one; None if GitHub cannot list them all.

    Raises GitHubError.
    """
    if tree(github, judged) == tree(github, head):
        return []
    return git_history.changed_files(github, base=judged, head=head)
