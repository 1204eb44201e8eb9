"""The listener of both local servers."""

import contextlib
import threading

from flask import Flask

from sandbox.servers import loopback


def test_stop__loop_is_awake__closes_the_port_without_an_error() -> None:
    for _ in range(300):  # without the care for it, one time in thirty failed
        listener = loopback.listen(Flask("busy"), 0, threads=2)
        busy = threading.Thread(target=_wake, args=(listener,))
        busy.start()
        listener.stop()
        busy.join()
        assert not listener._thread.is_alive()


def _wake(listener: loopback.Listener) -> None:
    """Wake the server's loop, as workers that have just answered do, until it has closed its pipe."""
    with contextlib.suppress(OSError):
        while True:
            listener._server.trigger.pull_trigger()
