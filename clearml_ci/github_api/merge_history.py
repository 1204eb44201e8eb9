"""Read the newest commits of a branch, and in which order pull requests were merged into it."""

from collections.abc import Sequence
from dataclasses import dataclass

from github.Commit import Commit
from github.PullRequest import PullRequest

from clearml_ci.core.merge import Merge
from clearml_ci.github_api.session import CONTENTS, GitHub, call_github

_PULLS = "`pull-requests: read`"


@dataclass(frozen=True)
class BranchHistory:
    """The newest 100 commits of a branch and the heads that were merged into it lately; and its merges, newest first.

    After a squash merge the pull request's head, which was checked, is none of the branch's commits.
    """

    commits: tuple[str, ...]
    merges: tuple[Merge, ...]


def recent(github: GitHub, branch: str) -> BranchHistory:
    """The newest commits and merges of a branch, in two requests. Raises GitHubError."""
    newest = call_github(
        github,
        f"the commits of '{branch}'",
        CONTENTS,
        lambda: github.repository.get_commits(sha=branch).get_page(0),
    )
    merged = call_github(
        github,
        f"the pull requests merged into '{branch}'",
        _PULLS,
        lambda: [
            pull
            for pull in github.repository.get_pulls(
                state="closed", base=branch, sort="updated", direction="desc"
            ).get_page(0)
            if pull.merged_at
        ],
    )
    commits = dict.fromkeys([*(commit.sha for commit in newest), *(pull.head.sha for pull in merged)])
    return BranchHistory(tuple(commits), tuple(_merges(newest, merged)))


def _merges(newest: Sequence[Commit], merged: Sequence[PullRequest]) -> list[Merge]:
    """The branch's own commits, each with the pull request that it merged; then older merges."""
    own = _first_parents(newest)
    by_commit = {pull.merge_commit_sha: pull for pull in merged if pull.merge_commit_sha}
    older = [pull for commit, pull in by_commit.items() if commit not in own]
    older.sort(key=lambda pull: str(pull.merged_at), reverse=True)
    return [
        *(_merge(by_commit[commit]) if commit in by_commit else Merge(commit) for commit in own),
        *map(_merge, older),
    ]


def _merge(pull: PullRequest) -> Merge:
    return Merge(pull.merge_commit_sha, pull.head.sha, pull.number)


def _first_parents(newest: Sequence[Commit]) -> list[str]:
    """The commits without those that a merge brought along."""
    parents = {commit.sha: [parent.sha for parent in commit.parents] for commit in newest}
    found: list[str] = []
    at = newest[0].sha if newest else ""
    while at in parents and at not in found:
        found.append(at)
        at = next(iter(parents[at]), "")
    return found
