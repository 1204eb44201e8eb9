"""Read pull requests: state, comments, commits, and those that a merge commit came from."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from github.IssueComment import IssueComment
from github.PullRequest import PullRequest

from clearml_ci.github_api.session import GitHub, call_github

_PERMISSION = "`pull-requests: read`"


Payload = dict[str, Any]  # a pull request in the form of GitHub's events


class Comment(NamedTuple):
    """A comment's text and its author, whose `login` is empty if the account was deleted.

    `by_program`: a bot wrote it, or an App in the name of a user. `created` is a time in UTC; `is_edited`: it has
    changed since.
    """

    login: str
    body: str
    by_program: bool
    url: str = ""
    created: str = ""
    is_edited: bool = False


@dataclass(frozen=True)
class PullRequestState:
    """The properties of a pull request that can change while it is checked, and how it ended."""

    number: int
    state: str  # open or closed
    merged: bool
    head_sha: str
    base_ref: str
    merge_commit_sha: str | None  # of an open one, that of GitHub's test merge


def read(github: GitHub, number: int) -> PullRequestState:
    """The current state of a pull request. Raises GitHubError."""

    def request() -> PullRequestState:
        pull = github.repository.get_pull(number)
        return PullRequestState(
            number=pull.number,
            state=pull.state,
            merged=pull.merged,
            head_sha=pull.head.sha,
            base_ref=pull.base.ref,
            merge_commit_sha=pull.merge_commit_sha,
        )

    return call_github(github, f"pull request #{number}", _PERMISSION, request)


def comments(github: GitHub, number: int) -> list[Comment]:
    """All comments on a pull request, oldest first. Raises GitHubError."""
    return call_github(
        github,
        f"the comments on pull request #{number}",
        _PERMISSION,
        lambda: [_comment(comment) for comment in github.repository.get_issue(number).get_comments()],
    )


def _comment(comment: IssueComment) -> Comment:
    user = comment.user
    by_program = bool(user and user.type != "User") or comment.performed_via_github_app is not None
    return Comment(
        user.login if user else "",
        comment.body or "",
        by_program,
        url=comment.html_url,
        created=comment.created_at.isoformat(),
        is_edited=comment.updated_at != comment.created_at,
    )


def payload(github: GitHub, number: int) -> Payload:
    """A pull request in the form of GitHub's events. Raises GitHubError."""
    return call_github(
        github, f"pull request #{number}", _PERMISSION, lambda: dict(github.repository.get_pull(number).raw_data)
    )


def commits(github: GitHub, number: int) -> list[str]:
    """The hashes of a pull request's commits, oldest first; GitHub lists 250 at most. Raises GitHubError."""
    return call_github(
        github,
        f"the commits of pull request #{number}",
        _PERMISSION,
        lambda: [commit.sha for commit in github.repository.get_pull(number).get_commits()],
    )


def open_heads(github: GitHub) -> list[str]:
    """The heads of the 100 open pull requests that were updated last. Raises GitHubError."""
    return call_github(
        github,
        "the open pull requests",
        _PERMISSION,
        lambda: [
            pull.head.sha
            for pull in github.repository.get_pulls(state="open", sort="updated", direction="desc").get_page(0)
        ],
    )


def merged_heads(github: GitHub, commit: str) -> list[str]:
    """The heads of the merged pull requests that a commit came from. Raises GitHubError.

    After a squash merge the commit is none of the pull request's own.
    """
    return call_github(
        github,
        f"the pull requests of {commit[:10]}",
        _PERMISSION,
        lambda: [pull.head.sha for pull in _merged_with(github, commit)],
    )


def merges_of(github: GitHub, commits: Iterable[str]) -> list[Payload]:
    """The pull requests whose merges made these commits, in their order, each once. Raises GitHubError."""
    pulls = (merge_of(github, commit) for commit in commits)
    return list({pull["number"]: pull for pull in pulls if pull}.values())


def merge_of(github: GitHub, commit: str) -> Payload | None:
    """The pull request whose merge made a commit, or None. Raises GitHubError.

    None also for a commit that a merge only brought along: GitHub lists that pull request for it as well, and others
    that were merged with it.
    """

    def request() -> Payload | None:
        own = (pull.number for pull in _merged_with(github, commit) if pull.merge_commit_sha == commit)
        number = next(own, None)
        return dict(github.repository.get_pull(number).raw_data) if number else None

    return call_github(github, f"the pull request of {commit[:10]}", _PERMISSION, request)


def _merged_with(github: GitHub, commit: str) -> list[PullRequest]:
    return [pull for pull in github.repository.get_commit(commit).get_pulls() if pull.merged_at]
