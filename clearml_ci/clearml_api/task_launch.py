"""The ClearML gateway's other half: tasks that a check launches, follows, and is allowed to end.

Only a task that carries this run's mark is ever stopped or archived. The mark names the task itself, because it
stands in `runtime`, which clones do not copy, while they do copy tags and the parent.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clearml import Task

from clearml_ci.clearml_api import ownership, pipeline_runs, task_fields, task_records, task_status
from clearml_ci.clearml_api.pipeline_runs import SUPERSEDED
from clearml_ci.clearml_api.run_cancellation import STOPS_WITHIN
from clearml_ci.clearml_api.session import ClearML, ClearMLError, TaskGoneError
from clearml_ci.clearml_api.task_status import ENDED, LIVE
from clearml_ci.core import poll
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.poll import Clock, Pace, TimedOutError
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import launch_outcome
from clearml_ci.decisions.launch_outcome import Ending, Seen
from clearml_ci.parameters.remote_run import PROBE, RemoteRun

PACE = Pace(0.5, later=5.0, after=60)  # of looks at a launched task


PATIENCE = 180  # seconds that the server may be silent


CONSOLE = 100  # events of the console that one look reads; each holds a line or more


# What a task asks of its agent, before it is killed because of an abort (clearml_agent/commands/worker.py).
_ABORT_TIMEOUT, _ABORT_POLL, _ABORT_DONE = "_abort_callback_timeout", "_abort_poll_freq", "_abort_callback_completed"


_TASK_TYPES = {
    "probe": Task.TaskTypes.testing,
    "tests": Task.TaskTypes.testing,
    "training": Task.TaskTypes.training,
}


class ForeignTaskError(ClearMLError):
    """A task that is not ours was to be ended."""


@dataclass(frozen=True)
class Code:
    """What is cloned and installed: `packages` None leaves it to the agent, which looks for requirements.txt."""

    repository: str
    commit: str
    packages: list[str] | None
    inject_task_init: bool


@dataclass(frozen=True)
class Launched:
    """What a launch came to, the last look at its task, and the task itself."""

    ending: Ending
    seen: Seen
    task: RecordedTask


def run(
    clearml: ClearML,
    launch: RemoteRun,
    code: Code,
    *,
    queue: str,
    run: str,
    own_task: str,
    clock: Clock,
    report: Callable[[str], None],
) -> Launched:
    """Launch, follow to the end, and leave nothing running: a probe is stopped and archived, whatever happened.

    `queue` is an id, `run` the pipeline run's, and `own_task` that of the step's own task, empty if no agent runs it.
    Raises ClearMLError.
    """
    with _cleaning_up_before_an_abort(clearml, own_task):
        task = create(clearml, launch, code, run=run)
        try:
            enqueue(clearml, task, queue=queue)
            watch = Watch(clearml, task, own_task=own_task, run=run, clock=clock)
            ending, seen = _follow(watch, launch, clock, report)
        finally:
            over = f"ClearML CI: the {launch.purpose} of run {run} is over"
            _end_patiently(clearml, task, run=run, archive=launch.until == PROBE, reason=over, clock=clock)
        if ending.outcome == Outcome.PASSED:
            ending, seen = failed_meanwhile(watch, launch) or (ending, seen)
        return Launched(ending, seen, task_records.read(clearml, task))


def _end_patiently(clearml: ClearML, task: str, *, run: str, archive: bool, reason: str, clock: Clock) -> None:
    """As end, also while the server does not answer for PATIENCE: no other process may look after the task."""

    def ended() -> bool:
        end(clearml, task, run=run, archive=archive, reason=reason, clock=clock)
        return True

    final = (ForeignTaskError, TaskGoneError)
    look = poll.tolerant(clock, ended, error=ClearMLError, patience=PATIENCE, final=final)
    poll.until(clock, look, pace=Pace(0.5))


def failed_meanwhile(watch: "Watch", launch: RemoteRun) -> tuple[Ending, Seen] | None:
    """A script that reported something and broke before it was stopped has not passed."""
    seen, _ = watch.look()
    ending = launch_outcome.ending(launch, seen) if seen.status == "failed" else None
    return (ending, seen) if ending else None


def _follow(watch: "Watch", launch: RemoteRun, clock: Clock, report: Callable[[str], None]) -> tuple[Ending, Seen]:
    """Look at the task until it has ended; a server that is restarted must not end a training of hours."""
    reported = ""

    def ended() -> tuple[Ending, Seen] | None:
        nonlocal reported
        seen, aborted = watch.look()
        if aborted:
            return Ending(Outcome.ERROR, "", f"the check was ended while its task ran: {aborted}"), seen
        if ending := launch_outcome.ending(launch, seen):
            return ending, seen
        if (state := _described(seen)) != reported:
            report(f"{launch.name}: {state}")
            reported = state
        return None

    look = poll.tolerant(clock, ended, error=ClearMLError, patience=PATIENCE, final=(TaskGoneError,))
    return poll.until(clock, look, pace=PACE)


def _described(seen: Seen) -> str:
    runs, reports = ", its script runs" * seen.started, ", it reports" * seen.progress
    return f"{seen.status}{runs}{reports}"


@contextlib.contextmanager
def _cleaning_up_before_an_abort(clearml: ClearML, own_task: str) -> Iterator[None]:
    """Have the agent wait, after an abort of this step, until the step has cleaned up."""
    if not own_task:
        yield
        return
    task_fields.add_runtime(clearml, own_task, {_ABORT_TIMEOUT: "15", _ABORT_POLL: "1", _ABORT_DONE: ""})
    try:
        yield
    finally:
        task_fields.add_runtime(clearml, own_task, {_ABORT_DONE: "1"})


def create(clearml: ClearML, launch: RemoteRun, code: Code, *, run: str) -> str:
    """The id of a draft that an agent can run, marked as this run's and a child of it. Raises ClearMLError."""
    try:
        task = Task.create(
            project_name=launch.project,
            task_name=launch.name,
            task_type=_TASK_TYPES[launch.purpose],
            repo=code.repository,
            commit=code.commit,
            script=launch.script or None,
            module=launch.module or None,
            working_directory=launch.folder,
            packages=code.packages,
            docker=launch.docker_image or None,
            docker_args=launch.docker_args or None,
            argparse_args=list(launch.args) or None,
            add_task_init_call=code.inject_task_init,
            detect_repository=False,
        ).id
    except Exception as error:  # the SDK raises whatever its layers raise
        raise ClearMLError(f"the task '{launch.project}/{launch.name}' could not be created: {error}") from error
    clearml.call("tasks.edit", task=task, parent=run)
    ownership.mark(clearml, task, run=run, purpose=launch.purpose)
    return str(task)


def enqueue(clearml: ClearML, task: str, *, queue: str) -> None:
    """`queue` is an id: an unknown queue *name* would silently become a new queue."""
    clearml.call("tasks.enqueue", task=task, queue=queue)


class Watch:
    """Looks at one launched task again and again, and keeps how long it has spent in each of its phases."""

    def __init__(self, clearml: ClearML, task: str, *, own_task: str, run: str, clock: Clock) -> None:
        self._clearml, self._task, self._clock = clearml, task, clock
        self._others = [one for one in (own_task, run) if one]
        self._queued_at = clock.monotonic()
        self._taken_at: float | None = None
        self._started_at: float | None = None
        self._progress = False

    def look(self) -> tuple[Seen, str]:
        """The task now, and why the wait has to end although the task has not, if so: somebody aborted the check."""
        found = _by_ids(self._clearml, [self._task, *self._others])
        task, now = found[self._task], self._clock.monotonic()
        console = console_of(self._clearml, self._task) if task["status"] != "queued" else ()
        if self._taken_at is None and task["status"] not in ("queued", "created"):
            self._taken_at = now
        started = self._started_at is not None or launch_outcome.script_started(console)
        if not self._progress:
            self._progress = _has_scalars(task) or (started and _has_pictures(self._clearml, task["id"]))
        if self._started_at is None and (started or self._progress):
            self._started_at = now
        return self._seen(task, console, now), self._aborted(found)

    def _seen(self, task: Mapping[str, Any], console: tuple[str, ...], now: float) -> Seen:
        taken, started = self._taken_at, self._started_at
        return Seen(
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
        for one in self._others:
            status, message = found[one]["status"], found[one].get("status_message") or ""
            if status in ENDED or "stopping" in message:
                return found[one].get("status_reason") or "aborted in ClearML"
            if newer := pipeline_runs.superseded_by(found[one]):
                return f"superseded by the newer run {newer}"
        return ""


def _by_ids(clearml: ClearML, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    wanted = list(ids)
    fields = ["id", "status", "status_message", "status_reason", "last_metrics", f"hyperparams.properties.{SUPERSEDED}"]
    tasks = clearml.call("tasks.get_all", id=wanted, only_fields=fields, search_hidden=True)["tasks"]
    found = {task["id"]: task for task in tasks}
    missing = [one for one in wanted if one not in found]
    if missing:
        raise TaskGoneError(f"the ClearML task {missing[0]} is gone: it was deleted while it was waited for")
    return found


def console_of(clearml: ClearML, task: str, *, events: int = CONSOLE) -> tuple[str, ...]:
    """The last lines of a task's console."""
    found = clearml.call("events.get_task_log", task=task, batch_size=events, order="asc", navigate_earlier=True)
    return tuple(line for event in found["events"] for line in str(event.get("msg") or "").splitlines())


def _has_scalars(task: Mapping[str, Any]) -> bool:
    """Did its script report a scalar? Iteration 0 and single values count, the machine's own `:monitor:` does not."""
    titles = (next(iter(series.values()))["metric"] for series in (task.get("last_metrics") or {}).values() if series)
    return any(not title.startswith(":monitor:") for title in titles)


def _has_pictures(clearml: ClearML, task: str) -> bool:
    """Plots and images leave no trace on the task itself."""
    if clearml.call("events.get_task_plots", task=task, iters=1).get("plots"):
        return True
    images = clearml.call("events.debug_images", metrics=[{"task": task}], iters=1).get("metrics", [])
    return any(one.get("iterations") for one in images)


def end(clearml: ClearML, task: str, *, run: str, archive: bool, reason: str, clock: Clock) -> None:
    """Stop a task of this run if it still runs, wait until its agent is free, and archive it where asked to.

    Raises ClearMLError, and touches nothing, where the task does not carry this run's mark.
    """
    if not ownership.is_owned(clearml, task, run=run):
        raise ForeignTaskError(f"the task {task} does not carry the mark of run {run}: it is left alone")

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
