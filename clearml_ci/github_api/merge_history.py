"""Read the newest commits of a branch, and in which order pull requests were merged into it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clearml_ci.core.merge import Merge
from clearml_ci.decisions.reverts import Message
from clearml_ci.github_api.session import CONTENTS, GitHub, call_github

_PULLS = "`pull-requests: read`"


@dataclass(frozen=True)
class BranchHistory:
    """The newest 100 commits of a branch and the heads that were merged into it lately; and its merges, newest first.

    After a squash merge the pull request's head, which was checked, is none of the branch's commits. `messages` are
    those of the commits.
    """

    commits: tuple[str, ...]
    merges: tuple[Merge, ...]
    messages: tuple[Message, ...] = ()


def recent(github: GitHub, branch: str) -> BranchHistory:
    """The newest commits and merges of a branch, in two requests. Raises GitHubError."""
    parents, messages = call_github(github, f"the commits of '{branch}'", CONTENTS, lambda: _newest(github, branch))
    merged = call_github(
        github, f"the pull requests merged into '{branch}'", _PULLS, lambda: _recently_merged(github, branch)
    )
    commits = dict.fromkeys([*parents, *(merge.head for _, merge in merged)])
    return BranchHistory(tuple(commits), tuple(_in_order(_first_parents(parents), merged)), messages)


def _newest(github: GitHub, branch: str) -> tuple[dict[str, list[str]], tuple[Message, ...]]:
    """The newest commits of the branch, newest first: each with its parents, and each with its message."""
    newest = github.repository.get_commits(sha=branch).get_page(0)
    messages = tuple(Message(commit.sha, commit.commit.message or "") for commit in newest)
    return {commit.sha: [parent.sha for parent in commit.parents] for commit in newest}, messages


def _recently_merged(github: GitHub, branch: str) -> list[tuple[str, Merge]]:
    """The branch's merges, each with its time, of the 100 closed pull requests that were updated last."""
    closed = github.repository.get_pulls(state="closed", base=branch, sort="updated", direction="desc").get_page(0)
    return [
        (str(pull.merged_at), Merge(pull.merge_commit_sha or pull.head.sha, pull.head.sha, pull.number))
        for pull in closed
        if pull.merged_at
    ]


def _in_order(own: Sequence[str], merged: Sequence[tuple[str, Merge]]) -> list[Merge]:
    """The branch's own commits, each with the pull request that it merged; then older merges."""
    by_commit = {merge.commit: merge for _, merge in merged}
    older = [merge for _, merge in sorted(merged, key=lambda pair: pair[0], reverse=True) if merge.commit not in own]
    return [*(by_commit.get(commit) or Merge(commit) for commit in own), *older]


def _first_parents(parents: Mapping[str, Sequence[str]]) -> list[str]:
    """The commits without those that a merge brought along."""
    found: list[str] = []
    at = next(iter(parents), "")
    while at in parents and at not in found:
        found.append(at)
        at = next(iter(parents[at]), "")
    return found
