"""Observe one launched task: its status, its console, what it reports, and the time of each of its phases."""

from collections.abc import Mapping
from typing import Any

from clearml_ci.clearml_api import pipeline_runs, task_fields, task_metrics
from clearml_ci.clearml_api.paging import Record
from clearml_ci.clearml_api.pipeline_runs import UNWANTED_FIELDS
from clearml_ci.clearml_api.session import ClearML, TaskGoneError
from clearml_ci.clearml_api.task_status import ENDED
from clearml_ci.core.poll import Clock
from clearml_ci.decisions import launch_outcome
from clearml_ci.decisions.launch_outcome import TaskSnapshot

_CONSOLE = 100  # events of the console that one look reads; each holds a line or more


_FIELDS = ["status", "status_message", "status_reason", "last_metrics", *UNWANTED_FIELDS]


class Watch:
    """Looks at one launched task repeatedly, and keeps the moments at which its phases began.

    `own_task` is the task of the step that looks, `run` its pipeline run: an abort of either ends the wait.
    """

    def __init__(self, clearml: ClearML, task: str, *, own_task: str, run: str, clock: Clock) -> None:
        self._clearml, self._task, self._clock = clearml, task, clock
        self._own = [own for own in (own_task, run) if own]
        self._queued_at = clock.monotonic()
        self._taken_at: float | None = None
        self._started_at: float | None = None
        self._progress = False
        self._first: dict[str, str] = {}  # the first statuses of the step and its run

    def look(self) -> tuple[TaskSnapshot, str]:
        """The current state of the task, and the reason why the wait has to end although the task has not, or ""."""
        found = self._read()
        task, now = found[self._task], self._clock.monotonic()
        if task["status"] == "queued" and self._taken_at is not None:  # it went back: a limit for each time
            self._queued_at, self._taken_at, self._started_at, self._progress = now, None, None, False
        console = _console(self._clearml, self._task) if task["status"] != "queued" else ()
        if self._taken_at is None and task["status"] not in ("queued", "created"):
            self._taken_at = now
        started = self._started_at is not None or launch_outcome.script_started(console)
        if not self._progress:
            self._progress = _has_scalars(task) or (started and _has_plots_or_images(self._clearml, task["id"]))
        if self._started_at is None and (started or self._progress):
            self._started_at = now
        return self._seen(task, console, now), self._aborted(found)

    def _read(self) -> dict[str, Record]:
        ids = [self._task, *self._own]
        found = task_fields.read_existing(self._clearml, ids, _FIELDS)
        missing = next((task for task in ids if task not in found), None)
        if missing:
            raise TaskGoneError(f"the ClearML task {missing} is gone: it was deleted while the step waited for it")
        return found

    def _seen(self, task: Mapping[str, Any], console: tuple[str, ...], now: float) -> TaskSnapshot:
        taken, started = self._taken_at, self._started_at
        return TaskSnapshot(
            status=task["status"],
            progress=self._progress,
            started=started is not None,
            queued=(now if taken is None else taken) - self._queued_at,
            setup=0.0 if taken is None else (now if started is None else started) - taken,
            running=0.0 if started is None else now - started,
            console=console,
            why=task.get("status_reason") or task.get("status_message") or "",
        )

    def _aborted(self, found: Mapping[str, Mapping[str, Any]]) -> str:
        for own in self._own:
            status, message = found[own]["status"], found[own].get("status_message") or ""
            was_reset = self._first.setdefault(own, status) not in (status, "queued")
            if status in ENDED or was_reset or "stopping" in message:
                return found[own].get("status_reason") or "aborted in ClearML"
            if unwanted := pipeline_runs.why_unwanted(found[own]):
                return unwanted
        return ""


def _console(clearml: ClearML, task: str) -> tuple[str, ...]:
    """The last lines of a task's console."""
    found = clearml.call("events.get_task_log", task=task, batch_size=_CONSOLE, order="asc", navigate_earlier=True)
    return tuple(line for event in found["events"] for line in str(event.get("msg") or "").splitlines())


def _has_scalars(task: Mapping[str, Any]) -> bool:
    """True if the script reported a scalar, be it of iteration 0 or a single value."""
    titles = (next(iter(series.values()))["metric"] for series in (task.get("last_metrics") or {}).values() if series)
    return any(not task_metrics.is_of_machine(title) for title in titles)


def _has_plots_or_images(clearml: ClearML, task: str) -> bool:
    """True if the script reported a plot or an image: the task's own fields do not show them."""
    if clearml.call("events.get_task_plots", task=task, iters=1).get("plots"):
        return True
    images = clearml.call("events.debug_images", metrics=[{"task": task}], iters=1).get("metrics", [])
    return any(metric.get("iterations") for metric in images)
