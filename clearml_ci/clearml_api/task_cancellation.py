"""End one task that a run launched, and no other: only a task that carries the run's mark."""

import contextlib

from clearml_ci.clearml_api import ownership, task_status
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.task_status import LIVE
from clearml_ci.core import poll
from clearml_ci.core.poll import Clock, Pace, TimedOutError

STOPS_WITHIN = 10  # seconds that an agent is given to end a task


class ForeignTaskError(ClearMLError):
    """The task to end does not carry the run's mark."""


def end(clearml: ClearML, task: str, *, run: str, archive: bool, reason: str, clock: Clock) -> None:
    """Stop a task of this run if it is live, wait until its agent is free, and archive it if `archive` is true.

    Raises ClearMLError, and changes nothing, if the task does not carry this run's mark.
    """
    if not ownership.is_owned(clearml, task, run=run):
        raise ForeignTaskError(f"the task {task} does not carry the mark of run {run}: it was not stopped")

    def ended() -> str | None:
        status = task_status.read(clearml, task)
        if status not in LIVE:
            return status
        with contextlib.suppress(ClearMLError):  # it has just ended by itself
            clearml.call("tasks.stop", task=task, status_reason=reason)
        return None

    status = ""
    try:
        status = poll.until(clock, ended, pace=Pace(0.5), timeout=STOPS_WITHIN)
    except TimedOutError:  # its agent is gone
        with contextlib.suppress(ClearMLError):
            clearml.call("tasks.stopped", task=task, force=True, status_reason=reason)
    if archive:
        clearml.call("tasks.archive", tasks=[task], status_reason=reason if status != "completed" else "")
