"""Create or update exactly one comment per pull request and check name.

It stays one despite concurrent checks, lost responses and forged markers (see `marked_post`), and if the step and the
job, which have tokens of two users, write it in turn.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from github import UnknownObjectException
from github.Issue import Issue
from github.IssueComment import IssueComment

from clearml_ci.core import comment_mode, redaction
from clearml_ci.github_api import marked_post
from clearml_ci.github_api.session import GitHub, call_github, require


@dataclass(frozen=True)
class _Conversation:
    """The comments of a pull request, of which those that `marked_post.by_writers` finds are ours."""

    github: GitHub
    issue: Issue
    marker: str

    def ours(self, authors: frozenset[str]) -> list[IssueComment]:
        """Our comments on every page, oldest first."""
        comments = self.issue.get_comments()
        return marked_post.by_writers(self.github, comments, marker=self.marker, authors=authors)


def upsert(
    github: GitHub,
    *,
    pull_request: int,
    commit: str,
    marker: str,
    body: str,
    mode: str = "always",
    failure: bool = False,
) -> str:
    """Create the comment, update it in place or leave it, as `comment_mode` decides; its address. Raises GitHubError.

    `body` begins with the marker and `comment_mode.outcome_line`. Returns "" if there is no comment, or if the pull
    request's head is no longer `commit`: a slow check must not overwrite the comment of a newer one.
    """

    def request() -> str:
        pull = github.repository.get_pull(pull_request)
        if pull.head.sha != commit:
            return ""
        conversation = _Conversation(github, pull.as_issue(), marker)
        ours = conversation.ours(github.trusted)
        if not comment_mode.writes(mode, body=body, failure=failure, earlier=ours[0].body if ours else None):
            return ours[0].html_url if ours else ""
        return _write(conversation, ours, body)

    return _call(github, pull_request, request)


def edit(
    github: GitHub,
    *,
    pull_request: int,
    marker: str,
    change: Callable[[str | None], str],
    mode: str = "always",
    failure: bool = False,
) -> str:
    """Replace the comment's text with `change` of it, or of None if there is no comment; its address or "".

    If `mode` is `off` nothing is written; the modes that wait for a failure or a change create no comment without a
    failure. Raises GitHubError.
    """

    def request() -> str:
        conversation = _Conversation(github, github.repository.get_pull(pull_request).as_issue(), marker)
        ours = conversation.ours(github.trusted)
        keeps = mode == "off" if ours or failure else mode != "always"
        if keeps:
            return ours[0].html_url if ours else ""
        return _write(conversation, ours, change(ours[0].body if ours else None))

    return _call(github, pull_request, request)


def correct(github: GitHub, *, pull_request: int, marker: str, url: str, change: Callable[[str], str]) -> str:
    """Replace the text of the comment, if it links to `url`, with `change` of it; its address or "".

    Raises GitHubError.
    """

    def request() -> str:
        conversation = _Conversation(github, github.repository.get_pull(pull_request).as_issue(), marker)
        ours = conversation.ours(github.trusted)
        if not ours or f"({url})" not in ours[0].body:
            return ""
        return _write(conversation, ours, change(ours[0].body))

    return _call(github, pull_request, request)


def _call(github: GitHub, pull_request: int, request: Callable[[], str]) -> str:
    return call_github(github, f"the comment on pull request #{pull_request}", "`pull-requests: write`", request)


def _write(conversation: _Conversation, ours: list[IssueComment], body: str) -> str:
    body = redaction.outgoing_body(body)
    try:
        return _written(conversation, ours, body)
    except UnknownObjectException:  # a user has deleted it since it was read
        return _written(conversation, conversation.ours(conversation.github.trusted), body)


def _written(conversation: _Conversation, ours: list[IssueComment], body: str) -> str:
    trusted = conversation.github.trusted
    kept, *spare = ours or marked_post.create(
        conversation.ours, lambda: conversation.issue.create_comment(body), trusted=trusted
    )
    if (before := kept.body) != body:
        kept.edit(body)
        require(kept.body != before)
    for comment in spare:  # a concurrent check may have deleted it already
        with contextlib.suppress(UnknownObjectException):
            comment.delete()
    return kept.html_url
