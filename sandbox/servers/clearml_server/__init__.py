"""A local stand-in for a ClearML server: API, file server and plain web pages on loopback.

No ClearML server can be installed from a package registry, and the demo and the tests need one. This one serves
what the SDK, the agent and `PipelineController` request, refuses what the real one refuses, and forgets all of it
when it stops. It is meant for tests and first steps; it is no replacement for a ClearML server.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sandbox.servers import loopback
from sandbox.servers.loopback import Listener

from . import api, files, queue_records, web
from .store import Store

_THREADS = 16


@dataclass(frozen=True)
class ClearMLServer:
    api_url: str
    files_url: str
    web_url: str
    access_key: str
    secret_key: str = field(repr=False)
    _listeners: tuple[Listener, ...] = field(repr=False)

    def environment(self) -> dict[str, str]:
        """Return the variables that point the SDK, the agent and the trigger at this server."""
        return {
            "CLEARML_API_HOST": self.api_url,
            "CLEARML_WEB_HOST": self.web_url,
            "CLEARML_FILES_HOST": self.files_url,
            "CLEARML_API_ACCESS_KEY": self.access_key,
            "CLEARML_API_SECRET_KEY": self.secret_key,
        }

    def stop(self) -> None:
        """Close the ports and every connection."""
        for listener in self._listeners:
            listener.stop()


def start(
    directory: Path,
    *,
    api_port: int = 0,
    files_port: int = 0,
    web_port: int = 0,
    include_pipeline_steps: bool = True,
) -> ClearMLServer:
    """Serve until `stop()`; uploads go below `directory`. Port 0 takes a free one.

    `include_pipeline_steps=False` behaves like a server before API 2.30, whose `tasks.stop` ignores that field.
    """
    store = Store(include_pipeline_steps=include_pipeline_steps)
    queue_records.create(store, "default", tags=[], system_tags=["default"])
    directory.mkdir(parents=True, exist_ok=True)
    api_, files_, web_ = (
        loopback.listen(app, port, threads=_THREADS)
        for app, port in (
            (api.create_app(store), api_port),
            (files.create_app(directory.resolve()), files_port),
            (web.create_app(store), web_port),
        )
    )
    return ClearMLServer(
        api_url=api_.url,
        files_url=files_.url,
        web_url=web_.url,
        access_key=store.access_key,
        secret_key=store.secret_key,
        _listeners=(api_, files_, web_),
    )
