"""Create an object on GitHub once, although the network may lose the response to its creation."""

from collections.abc import Callable
from typing import TypeVar

import requests
from github import BadAttributeException, GithubException

T = TypeVar("T")


# Raised by PyGithub while it reads a response that is cut, or no JSON: the page of a proxy.
UNREADABLE = (AssertionError, AttributeError, BadAttributeException, KeyError, TypeError, ValueError)


def create_once(create: Callable[[], T], find: Callable[[], T | None], *, attempts: int = 3) -> T:
    """The object that `create` made, or that `find` found after a request whose effect is unknown.

    Raises what the last attempt raised, or a refusal of GitHub immediately: then nothing was created.
    """
    try:
        return create()
    except (requests.RequestException, GithubException, *UNREADABLE) as error:
        if attempts == 1 or not _may_be_done(error):
            raise
    found = find()
    return found if found is not None else create_once(create, find, attempts=attempts - 1)


def _may_be_done(error: Exception) -> bool:
    """True if GitHub may have done what was requested: its answer was lost, or is the failure of a server."""
    if isinstance(error, GithubException):
        return error.status >= 500
    return not isinstance(error, requests.exceptions.RetryError)  # a limit, which outlasted all attempts
