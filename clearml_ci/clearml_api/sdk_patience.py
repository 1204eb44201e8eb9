"""Have the SDK's own requests wait when they get no token.

By itself the SDK prints a traceback and tries again immediately, for ever: hundreds of times a second.
"""

import math
import os
from typing import Any

import requests
from clearml.backend_api.session import Session
from clearml.backend_api.session.session import LoginError

from clearml_ci.clearml_api.session import PATIENCE
from clearml_ci.core import console
from clearml_ci.core.poll import Clock

_PAUSE = 2.0  # seconds


def be_patient(clock: Clock) -> None:
    """Have the SDK of this process log a refused login in one line, pause, and try again; end it after PATIENCE."""
    send, refused_since = Session.send, math.inf

    def patiently(session: Session, *request: Any, **options: Any) -> Any:
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

    Session.send = patiently


def _end(reason: str) -> None:
    """End this process from any of its threads: the others, and its exit, would wait for an answer to the SDK."""
    console.log(f"{reason}; check CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY, and rerun")
    os._exit(1)
