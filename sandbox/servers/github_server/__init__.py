"""A small local GitHub for demos and tests: the REST API that PyGithub uses, and a page for each pull request.

It is a stand-in. It keeps everything in memory, knows only what this project uses, and refuses what the real one
refuses; code lives in bare git repositories below its directory.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from flask import Flask
from werkzeug.exceptions import HTTPException

from sandbox.servers import loopback
from sandbox.servers.github_server import (
    access,
    apps,
    checks,
    comments,
    commits,
    errors,
    faults,
    issues,
    labels,
    pages,
    pulls,
    repositories,
    sandbox_api,
    shapes,
    store,
    timeline,
)
from sandbox.servers.github_server.store import OWNER, Store
from sandbox.servers.loopback import Listener

__all__ = ["GitHubServer", "start"]

_API = (repositories, commits, pulls, issues, timeline, comments, labels, checks)
_PATIENCE = 30  # seconds


@dataclass(frozen=True)
class GitHubServer:
    """A running local GitHub. `url` has the pages, `api_url` is PyGithub's `base_url`."""

    url: str
    api_url: str
    owner_token: str = field(repr=False)
    _store: Store = field(repr=False)
    _listener: Listener = field(repr=False)

    def token(
        self,
        kind: str = "pat",
        *,
        repository: str | None = None,
        login: str = OWNER,
        permissions: dict[str, str] | None = None,
    ) -> str:
        """A new token: `pat` (or `personal`) of `login`, `workflow` (a job's GITHUB_TOKEN), or `app`.

        `permissions` maps a permission to `read` or `write`; None allows everything. Other processes use
        `POST /_sandbox/tokens`.
        """
        return self._store.mint(kind, repository=repository, login=login, permissions=permissions)

    def app(
        self,
        slug: str = "clearml-ci-app",
        *,
        permissions: dict[str, str] | None = None,
        repository: str | None = None,
        token_lifetime: float = apps.LIFETIME,
    ) -> tuple[int, str]:
        """A new GitHub App, installed on the owner's repositories or on one: its id and its private key, as PEM.

        Its installation tokens live for `token_lifetime` seconds. Other processes use `POST /_sandbox/apps`.
        """
        return apps.register(
            self._store, slug, permissions=permissions, repository=repository, token_lifetime=token_lifetime
        )

    def advance_clock(self, seconds: float) -> None:
        """Let time pass: GitHub's dates are in whole seconds, and it sorts by them."""
        store.advance_clock(seconds)

    def lose_reply(self, method: str, path: str) -> None:
        """The next such request is carried out, and its connection cut: `path` is how the request's path ends."""
        headers = {"Authorization": f"Bearer {self.owner_token}"}
        fault = {"method": method, "path": path}
        requests.post(f"{self.url}/_sandbox/faults", json=fault, headers=headers, timeout=_PATIENCE).raise_for_status()

    def event(self, repository: str, number: int, action: str) -> dict[str, Any]:
        """The payload of a `pull_request` event, as GitHub writes it to GITHUB_EVENT_PATH."""
        query: dict[str, str | int] = {"repository": repository, "number": number, "action": action}
        answer = requests.get(f"{self.url}/_sandbox/events/pull_request", params=query, timeout=_PATIENCE)
        answer.raise_for_status()
        payload: dict[str, Any] = answer.json()
        return payload

    def merge_group(self, repository: str, number: int, **more: str) -> dict[str, Any]:
        """Take a pull request into the merge queue; the payload of its group's event."""
        return self._order("merge_groups", repository=repository, number=str(number), **more)

    def end_merge_group(self, repository: str, branch: str, reason: str = "dequeued") -> dict[str, Any]:
        """Delete the branch of a merge group; the payload of the event."""
        return self._order("merge_groups/end", repository=repository, branch=branch, reason=reason)

    def _order(self, path: str, **given: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.owner_token}"}
        answer = requests.post(f"{self.url}/_sandbox/{path}", json=given, headers=headers, timeout=_PATIENCE)
        answer.raise_for_status()
        payload: dict[str, Any] = answer.json()
        return payload

    def copy(self, directory: Path) -> GitHubServer:
        """Start another server, which begins with all that this one has now, in a directory of its own."""
        shutil.copytree(self._store.directory, directory)
        return _serve(self._store.copy(directory.resolve()), self.owner_token, port=0)

    def stop(self) -> None:
        self._listener.stop()

    def restart(self) -> GitHubServer:
        """Serve again, at the same address, what this server had when it was stopped."""
        return _serve(self._store, self.owner_token, port=int(self.url.rpartition(":")[2]))


def start(directory: Path, *, port: int = 0) -> GitHubServer:
    """Serve on loopback until `stop`; bare repositories go below `directory`. Port 0 takes a free one."""
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    empty = Store(directory)
    return _serve(empty, empty.mint("personal", repository=None, login=OWNER, permissions=None), port=port)


def _serve(content: Store, owner_token: str, *, port: int) -> GitHubServer:
    listener = loopback.listen(_app(content), port, threads=1)  # one at a time: the store needs no lock
    return GitHubServer(listener.url, listener.url + shapes.API, owner_token, content, listener)


def _app(content: Store) -> Flask:
    app = Flask(__name__)
    app.config["store"] = content
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
    for module in _API:
        app.register_blueprint(module.blueprint, url_prefix=shapes.API + (module.blueprint.url_prefix or ""))
        app.before_request_funcs.setdefault(module.blueprint.name, []).append(access.authenticate)
    app.register_blueprint(apps.blueprint, url_prefix=shapes.API)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(sandbox_api.blueprint)
    app.register_error_handler(errors.ApiError, lambda error: error.response())
    app.register_error_handler(HTTPException, pages.unknown)
    app.after_request(faults.lose_reply)
    return app
