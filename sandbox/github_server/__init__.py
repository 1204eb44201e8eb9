"""A small local GitHub for demos and tests: the REST API that PyGithub speaks, and a page for each pull request.

It is a stand-in. It keeps everything in memory, knows only what this project uses, and refuses what the real one
refuses; code lives in bare git repositories below its directory.
"""

from dataclasses import dataclass
from pathlib import Path

from flask import Flask, Response, jsonify

from sandbox import loopback
from sandbox.github_server import access, checks, conversations, door, pages, refusals, repositories, shapes
from sandbox.github_server.store import OWNER, Store
from sandbox.loopback import Listener

__all__ = ["GitHubServer", "start"]


@dataclass(frozen=True)
class GitHubServer:
    """A running local GitHub. `url` has the pages, `api_url` is PyGithub's `base_url`."""

    url: str
    api_url: str
    owner_token: str
    _store: Store
    _listener: Listener

    def token(
        self,
        kind: str,
        *,
        repository: str | None = None,
        login: str = OWNER,
        permissions: dict[str, str] | None = None,
    ) -> str:
        """A new token: `personal` of `login`, `workflow` (a job's GITHUB_TOKEN), or `app`.

        `permissions` maps a permission to `read` or `write`; None allows everything.
        """
        return self._store.mint(kind, repository=repository, login=login, permissions=permissions)

    def stop(self) -> None:
        self._listener.stop()


def start(directory: Path, *, port: int = 0) -> GitHubServer:
    """Serve on loopback until `stop`."""
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    store = Store(directory)
    listener = loopback.listen(_app(store), port, threads=1)  # one at a time: the store needs no lock
    owner_token = store.mint("personal", repository=None, login=OWNER, permissions=None)
    return GitHubServer(listener.url, listener.url + shapes.API, owner_token, store, listener)


def _app(store: Store) -> Flask:
    app = Flask(__name__)
    app.config["store"] = store
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
    for blueprint in (repositories.blueprint, conversations.blueprint, checks.blueprint):
        app.register_blueprint(blueprint, url_prefix=shapes.API + (blueprint.url_prefix or ""))
    app.register_blueprint(door.blueprint)
    app.register_blueprint(pages.blueprint)
    for name in ("repositories", "conversations", "checks", "door"):
        app.before_request_funcs.setdefault(name, []).append(access.authenticate)
    app.register_error_handler(refusals.RefusalError, lambda error: error.response())
    app.register_error_handler(404, _unknown)
    return app


def _unknown(_: Exception) -> tuple[Response, int]:
    return jsonify({"message": "Not Found", "documentation_url": refusals.DOCUMENTATION, "status": "404"}), 404
