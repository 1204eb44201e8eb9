"""Launch a task on an agent, follow it to its end, and leave nothing running."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from clearml_ci.clearml_api import (
    launch_draft,
    patience,
    task_cancellation,
    task_fields,
    task_queue,
    task_records,
    task_status,
)
from clearml_ci.clearml_api.launch_draft import Code
from clearml_ci.clearml_api.session import PATIENCE, ClearML, ClearMLError, TaskGoneError
from clearml_ci.clearml_api.task_cancellation import ForeignTaskError
from clearml_ci.clearml_api.task_watch import Watch
from clearml_ci.core import poll
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.poll import Clock, Pace
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import launch_outcome
from clearml_ci.decisions.launch_outcome import LaunchOutcome, TaskSnapshot
from clearml_ci.parameters.remote_run import PROBE, RemoteRun

PACE = Pace(0.5, later=5.0, after=60)  # of looks at a launched task


CLEAN_UP = 15  # seconds in which a step ends what it launched


# What a task requests of its agent, before it is killed because of an abort (clearml_agent/commands/worker.py).
_ABORT_TIMEOUT, _ABORT_POLL, _ABORT_DONE = "_abort_callback_timeout", "_abort_poll_freq", "_abort_callback_completed"


@dataclass(frozen=True)
class LaunchResult:
    """The outcome of a launch, the last look at its task, and the task itself."""

    outcome: LaunchOutcome
    snapshot: TaskSnapshot
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
    number: int = 0,
) -> LaunchResult:
    """Launch, follow to the end, and leave nothing running: a probe is stopped and archived, whatever happened.

    `queue` is an id, `run` the pipeline run's, and `own_task` that of the step's own task, empty if no agent runs it.
    A step that was interrupted and is executed again goes on with the task that it launched; `number` counts the
    launches of a step. Raises ClearMLError.
    """
    with cleaning_up_before_an_abort(clearml, own_task) as is_repeated:
        made = launch_draft.made_by(clearml, launch, run=run, step=own_task)[number:] if is_repeated else []
        task = made[0] if made else launch_draft.create(clearml, launch, code, run=run, step=own_task)
        try:
            if not made or task_status.read(clearml, task) == "created":
                task_queue.enqueue(clearml, task, queue=queue)
            watch = Watch(clearml, task, own_task=own_task, run=run, clock=clock)
            ended = _probe_ended_before(watch, launch) if made else None
            outcome, snapshot = ended or _follow(watch, launch, clock, report)
        finally:
            over = f"ClearML CI: the {launch.purpose} of run {run} is over"
            end_patiently(clearml, task, run=run, archive=launch.until == PROBE, reason=over, clock=clock)
        if outcome.outcome == Outcome.PASSED:
            outcome, snapshot = failed_meanwhile(watch, launch) or (outcome, snapshot)
        return LaunchResult(outcome, snapshot, task_records.read(clearml, task))


@contextlib.contextmanager
def cleaning_up_before_an_abort(clearml: ClearML, own_task: str) -> Iterator[bool]:
    """Let the agent wait, after an abort of this step, until the step has cleaned up.

    True if the step has launched before: Reset clears what this leaves on its task.
    """
    if not own_task:
        yield False
        return
    waits = {_ABORT_TIMEOUT: f"{CLEAN_UP}", _ABORT_POLL: "1", _ABORT_DONE: ""}
    present = task_fields.add_runtime(clearml, own_task, waits)
    try:
        yield _ABORT_TIMEOUT in present
    finally:
        task_fields.add_runtime(clearml, own_task, {_ABORT_DONE: "1"})


def has_launched(clearml: ClearML, own_task: str) -> bool:
    """True if an earlier execution of this step has launched something: it may have been killed then."""
    return cleans_up(task_fields.read(clearml, own_task, ["runtime"]))


def cleans_up(step: Mapping[str, Any]) -> bool:
    """True if a step, read with its `runtime`, has launched something: after an abort it ends that by itself."""
    return _ABORT_TIMEOUT in (step.get("runtime") or {})


def _follow(
    watch: Watch, launch: RemoteRun, clock: Clock, report: Callable[[str], None]
) -> tuple[LaunchOutcome, TaskSnapshot]:
    """Look at the task until it has ended; a server that is restarted must not end a training of hours."""
    reported = ""

    def ended() -> tuple[LaunchOutcome, TaskSnapshot] | None:
        nonlocal reported
        snapshot, aborted = watch.look()
        if aborted:
            return LaunchOutcome(Outcome.ERROR, "", f"the check was ended while its task ran: {aborted}"), snapshot
        if outcome := launch_outcome.outcome_of(launch, snapshot):
            return outcome, snapshot
        if (state := described(snapshot)) != reported:
            report(f"{launch.name}: {state}")
            reported = state
        return None

    look = poll.tolerant(clock, ended, error=ClearMLError, patience=PATIENCE, final=(TaskGoneError,), report=report)
    return poll.until(clock, look, pace=PACE)


def _probe_ended_before(watch: Watch, launch: RemoteRun) -> tuple[LaunchOutcome, TaskSnapshot] | None:
    """The outcome of a probe that reported progress, and was stopped before its step was interrupted; else None."""
    snapshot, aborted = watch.look()
    if aborted or snapshot.status != "stopped" or not snapshot.progress:
        return None
    outcome = launch_outcome.outcome_of(launch, replace(snapshot, status="in_progress"))
    return (outcome, snapshot) if outcome and launch.until == PROBE else None


def described(snapshot: TaskSnapshot) -> str:
    """The state of a launched task in a few words, for a log."""
    runs, reports = ", its script runs" * snapshot.started, ", it reports" * snapshot.progress
    return f"{snapshot.status}{runs}{reports}"


def end_patiently(clearml: ClearML, task: str, *, run: str, archive: bool, reason: str, clock: Clock) -> None:
    """End the task, also if the server is unreachable for up to PATIENCE: no other process may look after the task."""

    def ended() -> None:
        task_cancellation.end(clearml, task, run=run, archive=archive, reason=reason, clock=clock)

    patience.result(clock, ended, final=(ForeignTaskError, TaskGoneError))


def failed_meanwhile(watch: Watch, launch: RemoteRun) -> tuple[LaunchOutcome, TaskSnapshot] | None:
    """The failure of a script that reported something and broke before it was stopped, or None: it has not passed."""
    snapshot, _ = watch.look()
    outcome = launch_outcome.outcome_of(launch, snapshot) if snapshot.status == "failed" else None
    return (outcome, snapshot) if outcome else None
