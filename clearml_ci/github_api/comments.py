"""One comment a pull request, whatever else happens: two checks at once, lost replies, copies by strangers.

A part of the GitHub gateway, which turns what GitHub refuses into messages.
"""

import contextlib
from collections.abc import Callable

import github
import requests
from github.Issue import Issue
from github.IssueComment import IssueComment
from github.PullRequest import PullRequest

from clearml_ci.core import comment_mode


def upsert(
    pull: PullRequest, *, marker: str, body: str, authors: frozenset[str], mode: str = "always", failure: bool = False
) -> str:
    """The address of the one comment, created, updated or left as it is; empty where there is none."""
    issue = pull.as_issue()
    ours = _marked(issue, marker, authors)
    if not comment_mode.writes(mode, body=body, failure=failure, earlier=ours[0].body if ours else None):
        return ours[0].html_url if ours else ""
    return _written(issue, ours, marker=marker, body=body, authors=authors)


def edit(
    pull: PullRequest,
    *,
    marker: str,
    change: Callable[[str | None], str],
    authors: frozenset[str],
    mode: str,
    failure: bool,
) -> str:
    """The address of the one comment, its text changed; where there is none, `change` makes a first one of None."""
    issue = pull.as_issue()
    ours = _marked(issue, marker, authors)
    silent = mode == "off" if ours or failure else mode != "always"
    if silent:
        return ours[0].html_url if ours else ""
    body = change(ours[0].body if ours else None)
    return _written(issue, ours, marker=marker, body=body, authors=authors)


def _written(issue: Issue, ours: list[IssueComment], *, marker: str, body: str, authors: frozenset[str]) -> str:
    kept, *spare = ours or _create(issue, marker, body, authors)
    if kept.body != body:
        kept.edit(body)
    for comment in spare:  # of two checks that started at once: the oldest stays, and either may clean up first
        with contextlib.suppress(github.UnknownObjectException):
            comment.delete()
    return kept.html_url


def _create(issue: Issue, marker: str, body: str, authors: frozenset[str]) -> list[IssueComment]:
    """Create, then look again: another check may have created one too, or the reply to ours may have been lost.

    A token that may not ask who it is learns its login only now, from the new comment: an earlier one of it is kept.
    """
    try:
        created = issue.create_comment(body)
    except requests.RequestException:
        found = _marked(issue, marker, authors)
        if found:
            return found
        created = issue.create_comment(body)
    listed = _marked(issue, marker, authors | {_login(created)})
    return sorted({one.id: one for one in (*listed, created)}.values(), key=lambda one: one.id)


def _marked(issue: Issue, marker: str, authors: frozenset[str]) -> list[IssueComment]:
    """Comments of ours, oldest first, from every page: the marker alone is not enough, anyone can copy it."""
    return [
        comment
        for comment in issue.get_comments()
        if (comment.body or "").startswith(marker) and _login(comment) in authors
    ]


def _login(comment: IssueComment) -> str:
    """In lower case, as GitHub compares logins; empty where the account is gone."""
    return comment.user.login.lower() if comment.user else ""
