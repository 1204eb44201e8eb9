"""Times as the server answers them."""

from collections.abc import Mapping
from typing import Any

from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import moment


def age(clearml: ClearML, text: str, *, now: float | None = None) -> float:
    """The seconds since a time of the server, by the server's own clock; 0 for a text that is no time.

    `now` is this machine's time, if that is not the present one.
    """
    then = moment.parse(text)
    here = clearml.clock.now() if now is None else now
    return max(0.0, here + clearml.ahead - then.timestamp()) if then else 0.0


def sign_of_life(task: Mapping[str, Any]) -> str:
    """The time at which a task, or the agent that runs it, was last heard of."""
    return max(str(task.get(field) or "") for field in ("last_update", "last_worker_report"))
