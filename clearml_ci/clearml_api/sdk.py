"""The ClearML SDK, imported by the processes that need it: that takes half a second of CPU time.

By itself the SDK waits 300 s for an answer. If it gets no token, it prints a traceback and tries again immediately, for
ever: hundreds of times a second.
"""

import functools
import inspect
import math
import os
from types import SimpleNamespace
from typing import Any

import requests

from clearml_ci.clearml_api.session import PATIENCE, TIMEOUTS
from clearml_ci.core import console
from clearml_ci.core.poll import Clock

_PAUSE = 2.0  # seconds


_patient: list[Clock] = []


def be_patient(clock: Clock) -> None:
    """Have the SDK log a refused login in one line, pause, and try again; end this process after PATIENCE."""
    _patient[:] = [clock]


@functools.cache
def load() -> Any:
    """The module `clearml`; its requests are given up in time, and wait as `be_patient` has it."""
    import clearml
    from clearml.backend_api.session import Session

    Session._session_timeout = TIMEOUTS
    _spare_repeated_work()
    for clock in _patient:
        _wait_for_token(Session, clock)
    return clearml


def act_as(task: str) -> None:
    """Have the SDK take this process for that of a task: it reads the variable of it once, as it is imported."""
    from clearml.config import remote

    remote.override_current_task_id(task)


def _spare_repeated_work() -> None:
    """Spare the SDK what it does anew for each request and each session, half a second of CPU time in a controller.

    It checks the schemas of its own requests, and reads the source of all callers of its loggers to name their files.
    """
    from clearml.backend_api.session import datamodel
    from clearml.debugging import log

    datamodel._CustomValidator.check_schema = lambda *_: None
    log.inspect = SimpleNamespace(stack=functools.partial(inspect.stack, 0))


def _wait_for_token(session_class: Any, clock: Clock) -> None:
    from clearml.backend_api.session.session import LoginError

    send, refused_since = session_class.send, math.inf

    def patiently(session: Any, *request: Any, **options: Any) -> Any:
        nonlocal refused_since
        try:
            answer = send(session, *request, **options)
        except LoginError as error:
            refused_since = min(refused_since, clock.monotonic())
            if clock.monotonic() - refused_since > PATIENCE:
                _end(f"the ClearML server {session.host} gives no token: {error}")
            clock.sleep(_PAUSE)
            raise requests.ConnectionError(str(error)) from error  # of which the SDK logs a line
        refused_since = math.inf
        return answer

    session_class.send = patiently


def _end(reason: str) -> None:
    """End this process from any of its threads: the others, and its exit, would wait for an answer to the SDK."""
    console.log(f"{reason}; check CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY, and rerun")
    os._exit(1)
