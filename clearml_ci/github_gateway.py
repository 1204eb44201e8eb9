"""The one module that speaks to GitHub: one comment a pull request, and a commit status."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import github
import requests
from github.Issue import Issue
from github.IssueComment import IssueComment
from github.PullRequest import PullRequest
from github.Repository import Repository

T = TypeVar("T")

STATUS_CONTEXT = "ClearML CI"
_DESCRIPTION_LIMIT = 140  # characters, https://docs.github.com/rest/commits/statuses
_WORKFLOW_BOT = "github-actions[bot]"
_NO_USER = "ghs_"  # workflow and App tokens begin so, and are refused with 403 when they ask who they are
_READS = frozenset({"GET", "HEAD"})  # PyGithub's own default repeats POSTs: a lost reply would comment twice


class GitHubError(Exception):
    """GitHub refused or did not answer; the message names the repository, what was tried, and what to do."""


@dataclass(frozen=True)
class GitHub:
    """One repository as seen with one token. `trusted` are the logins whose marked comments are ours."""

    repository: Repository
    trusted: frozenset[str]


def connect(*, api_url: str, token: str, repository: str) -> GitHub:
    """Raises GitHubError when GitHub does not answer: what a token may do shows when it is used."""
    client = github.Github(
        auth=github.Auth.Token(token),
        base_url=api_url.rstrip("/"),
        timeout=15,
        per_page=100,
        retry=github.GithubRetry(total=2, backoff_factor=0.5, max_rate_limit_wait=60, allowed_methods=_READS),
        seconds_between_requests=None,
        seconds_between_writes=None,
    )
    own = set() if token.startswith(_NO_USER) else _own_login(client)
    return GitHub(client.get_repo(repository, lazy=True), frozenset({_WORKFLOW_BOT, *own}))


def _own_login(client: github.Github) -> set[str]:
    try:
        return {client.get_user().login}
    except github.GithubException:
        return set()
    except requests.RequestException as error:
        raise GitHubError(f"GitHub does not answer at {client.requester.base_url} ({type(error).__name__})") from error


def file_at(hub: GitHub, path: str, commit: str) -> str | None:
    """A text file's content at a commit of the repository or of its pull requests, or None where it is not found."""

    def read() -> str | None:
        try:
            found = hub.repository.get_contents(path, ref=commit)
        except github.GithubException as error:
            if error.status != 404:
                raise
            return None
        return None if isinstance(found, list) else found.decoded_content.decode("utf-8", errors="replace")

    return _told(f"the file '{path}' at {commit[:10]}", "`contents: read`", read)


def permission(hub: GitHub, login: str) -> str:
    """What a person may do with the repository: admin, maintain, write, triage, read or none."""

    def read() -> str:
        try:
            return hub.repository.get_collaborator_permission(login)
        except github.GithubException as error:
            if error.status != 404:
                raise
            return "none"

    return _told(f"the permission of {login}", "`metadata: read`", read)


def comments(hub: GitHub, pull_request: int) -> list[tuple[str, str, int]]:
    """Login, text and id of all comments of a pull request."""
    return _told(
        f"the comments of pull request #{pull_request}",
        "`pull-requests: read`",
        lambda: [
            (one.user.login, one.body or "", one.id) for one in hub.repository.get_issue(pull_request).get_comments()
        ],
    )


def set_status(hub: GitHub, *, commit: str, state: str, description: str, url: str) -> str:
    """A commit status, which replaces the earlier one of our context; its API address. Raises GitHubError."""
    return _told(
        f"the commit status of {commit[:10]}",
        "`statuses: write` and `contents: read`",
        lambda: (
            hub.repository.get_commit(commit)
            .create_status(
                state=state,
                target_url=url or github.GithubObject.NotSet,
                description=description[:_DESCRIPTION_LIMIT],
                context=STATUS_CONTEXT,
            )
            .url
        ),
    )


def upsert_comment(hub: GitHub, *, pull_request: int, commit: str, marker: str, body: str) -> str:
    """The address of the pull request's one comment, created or updated in place. Raises GitHubError.

    Empty where the pull request has moved on from `commit`: a slow check must not overwrite a newer one's word.
    """
    return _told(
        f"the comment on pull request #{pull_request}",
        "`pull-requests: write`",
        lambda: _upsert(hub, hub.repository.get_pull(pull_request), commit, marker, body),
    )


def _upsert(hub: GitHub, pull: PullRequest, commit: str, marker: str, body: str) -> str:
    if pull.head.sha != commit:
        return ""
    issue = pull.as_issue()
    kept, *spare = _marked(issue, marker, hub.trusted) or _create(hub, issue, marker, body)
    if kept.body != body:
        kept.edit(body)
    for comment in spare:  # of two checks that started at once: the oldest stays
        comment.delete()
    return kept.html_url


def _create(hub: GitHub, issue: Issue, marker: str, body: str) -> list[IssueComment]:
    """Create, then look again: another check may have created one too, or the reply to ours may have been lost.

    Only now is an App's own login known, from its new comment: an earlier one of its is older, and is kept.
    """
    try:
        created = issue.create_comment(body)
    except requests.RequestException:
        return _marked(issue, marker, hub.trusted) or [issue.create_comment(body)]
    return _marked(issue, marker, hub.trusted | {created.user.login}) or [created]


def _marked(issue: Issue, marker: str, authors: frozenset[str]) -> list[IssueComment]:
    """Comments of ours, oldest first, from every page: the marker alone is not enough, anyone can copy it."""
    return [
        comment
        for comment in issue.get_comments()
        if (comment.body or "").startswith(marker) and comment.user.login in authors
    ]


def _told(what: str, permission: str, act: Callable[[], T]) -> T:
    try:
        return act()
    except github.GithubException as error:
        said = error.data.get("message", "") if isinstance(error.data, dict) else ""
        raise GitHubError(
            f"GitHub refused {what}: {error.status} {said}; the token needs {permission} on this repository"
        ) from error
    except requests.RequestException as error:
        raise GitHubError(f"GitHub did not answer to {what} ({type(error).__name__})") from error


def revision(hub: GitHub, *, ref: str) -> tuple[str, str]:
    """The repository's clone address, and the full hash of the commit that a branch or a tag names now."""
    return _told(
        f"the commit of '{ref}'",
        "`contents: read`",
        # raw_data asks GitHub; `sha` of a lazy commit is whatever it was asked for
        lambda: (hub.repository.clone_url, str(hub.repository.get_commit(ref).raw_data["sha"])),
    )
