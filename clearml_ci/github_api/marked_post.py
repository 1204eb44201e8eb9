"""A comment or an issue that is ours by a hidden marker and a trusted author, and that exists once.

The marker alone proves nothing: every user can copy it. Concurrent checks can each create a post, and the response to a
create can be lost, so the caller looks again after it, keeps the oldest, and removes the spare ones.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from github.Issue import Issue
from github.IssueComment import IssueComment

from clearml_ci.github_api import lost_responses

Post = TypeVar("Post", bound=Issue | IssueComment)


def is_ours(post: Issue | IssueComment, *, marker: str, authors: frozenset[str]) -> bool:
    """True if the post begins with the marker and one of the authors (logins in lower case) wrote it."""
    return has(post, marker) and author(post) in authors


def has(post: Issue | IssueComment, marker: str) -> bool:
    """True if the post begins with the marker, of any author."""
    return (post.body or "").startswith(marker)


def create(
    find: Callable[[frozenset[str]], list[Post]], create_post: Callable[[], Post], *, trusted: frozenset[str]
) -> list[Post]:
    """The posts that are ours after one was created, oldest first: the one to keep, then spare ones.

    `find` lists the posts of these authors that are ours. A token that cannot read its own login learns it from the
    new post, and so finds an earlier one of it.
    """

    def found() -> Post | None:
        return next(iter(find(trusted)), None)

    created = lost_responses.create_once(create_post, found)
    return oldest_first([*find(trusted | {author(created)}), created])


def oldest_first(posts: Iterable[Post]) -> list[Post]:
    """The posts in the order in which they were created, each once."""
    by_id = {post.id: post for post in posts}
    return [by_id[number] for number in sorted(by_id)]


def author(post: Issue | IssueComment) -> str:
    """Its login in lower case, as GitHub compares logins; empty if the account was deleted."""
    return post.user.login.lower() if post.user else ""
