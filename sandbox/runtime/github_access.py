"""PyGithub clients of the local GitHub, and new tokens for them."""

from __future__ import annotations

from typing import Any

import requests
from github import Auth, Github

from sandbox.runtime.state import GitHub


def connect(api_url: str, token: str) -> Github:
    """Return a client without retries and without PyGithub's pauses between requests, which spare the real GitHub."""
    return Github(
        base_url=api_url, auth=Auth.Token(token), seconds_between_requests=0, seconds_between_writes=0, retry=None
    )


def token(github: GitHub, kind: str, **given: Any) -> str:
    """Create a token of the local GitHub for `login` or `repository`, with `permissions`.

    The kinds are those of `GitHubServer.token`. An account exists as soon as it has a token.
    """
    owner = {"Authorization": f"token {github.owner_token}"}
    answer = requests.post(f"{github.url}/_sandbox/tokens", json={"kind": kind, **given}, headers=owner, timeout=10)
    answer.raise_for_status()
    return str(answer.json()["token"])
