"""A WSGI application on a port of this machine, in a thread: what both local servers stand on."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import waitress  # type: ignore[import-untyped]  # ships no types
from flask import Flask

HOST = "127.0.0.1"
STOP_SECONDS = 5
IN_MEMORY = 64 * 2**20  # bytes; above this waitress makes a temporary file, and leaves it open


@dataclass(frozen=True)
class Listener:
    """A listening application. `stop` closes its port and all its connections; a second one does nothing."""

    url: str
    _server: Any = field(repr=False)
    _thread: threading.Thread = field(repr=False)

    def stop(self) -> None:
        if not self._thread.is_alive():
            return
        # The workers first: one that has just answered still pulls the trigger, which `_close` closes too.
        self._server.task_dispatcher.shutdown()
        pulled = threading.Event()

        def close() -> None:  # the loop may be awake already, and run this before the trigger is pulled
            pulled.wait(STOP_SECONDS)
            self._close()

        self._server.trigger.pull_trigger(close)  # waitress closes sockets only from within its own loop
        pulled.set()
        self._thread.join(STOP_SECONDS)

    def _close(self) -> None:
        for channel in list(self._server._map.values()):
            channel.close()


def listen(app: Flask, port: int, *, threads: int) -> Listener:
    """Serve until `stop`; port 0 takes a free one."""
    server = waitress.create_server(
        app,
        host=HOST,
        port=port,
        threads=threads,
        inbuf_overflow=IN_MEMORY,
        outbuf_overflow=IN_MEMORY,
    )
    thread = threading.Thread(target=server.run, name=app.name, daemon=True)
    thread.start()
    return Listener(f"http://{HOST}:{server.effective_port}", server, thread)
