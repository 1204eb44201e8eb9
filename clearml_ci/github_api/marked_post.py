"""A comment or an issue that is ours by a hidden marker and a trusted author, and that exists once.

The marker alone proves nothing: every user can copy it. Concurrent checks can each create a post, and the response to a
create can be lost, so the caller looks again after it, keeps the oldest, and removes the spare ones.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from github import GithubException, RateLimitExceededException
from github.Issue import Issue
from github.IssueComment import IssueComment

from clearml_ci.decisions.fork_approval import WRITERS
from clearml_ci.github_api import lost_responses
from clearml_ci.github_api.session import GitHub

Post = TypeVar("Post", bound=Issue | IssueComment)


def is_ours(post: Issue | IssueComment, *, marker: str, authors: frozenset[str]) -> bool:
    """True if the post begins with the marker and one of the authors (logins in lower case) wrote it."""
    return has(post, marker) and author(post) in authors


def has(post: Issue | IssueComment, marker: str) -> bool:
    """True if the post begins with the marker, of any author."""
    return (post.body or "").startswith(marker)


def by_writers(github: GitHub, posts: Iterable[Post], *, marker: str, authors: frozenset[str]) -> list[Post]:
    """The posts with the marker by these authors, by Apps, or by users who may write to the repository.

    All of them could edit ours. A step may sign in as any of them, and the job does not know its login. Each
    author is asked about once, however much they wrote.
    """
    marked = [post for post in posts if has(post, marker)]
    known = authors | {author(post) for post in marked if _is_of_app(post)}
    trusted = known | {login for login in {author(post) for post in marked} - known if _may_write(github, login)}
    return [post for post in marked if author(post) in trusted]


def _is_of_app(post: Issue | IssueComment) -> bool:
    """True if an App wrote it: GitHub lets it write only in a repository that has installed it with that permission."""
    return bool(post.user) and post.user.type == "Bot"


def _may_write(github: GitHub, login: str) -> bool:
    try:
        return github.repository.get_collaborator_permission(login) in WRITERS
    except RateLimitExceededException:  # also a 403
        raise
    except GithubException as error:
        if error.status >= 500:
            raise
        return False  # no user, or the token may not read permissions


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
