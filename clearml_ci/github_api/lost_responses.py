"""Create an object on GitHub once, although the network may lose the response to its creation."""

from collections.abc import Callable
from typing import TypeVar

import requests
from github import GithubException

T = TypeVar("T")

_ATTEMPTS = 3


def create_once(create: Callable[[], T], find: Callable[[], T | None]) -> T:
    """The object that `create` made, or that `find` found after a request whose effect is unknown.

    Raises what the last attempt raised, or a refusal of GitHub immediately: then nothing was created.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return create()
        except (requests.RequestException, GithubException) as error:
            if not _may_be_done(error):
                raise
            if (found := find()) is not None:
                return found
    return create()


def _may_be_done(error: requests.RequestException | GithubException) -> bool:
    """True if GitHub may have done what was requested: its answer was lost, or is the failure of a server."""
    if isinstance(error, GithubException):
        return error.status >= 500
    return not isinstance(error, requests.exceptions.RetryError)  # a limit, which outlasted all attempts
