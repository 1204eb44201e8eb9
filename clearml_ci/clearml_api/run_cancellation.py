"""How a run is ended, with its steps and what they launched, and nothing else. A part of the ClearML gateway."""

import contextlib
from collections.abc import Iterable

from clearml_ci.clearml_api import ownership, pipeline_runs, task_fields, task_parameters
from clearml_ci.clearml_api.pipeline_runs import SUPERSEDED, Run
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.task_status import LIVE
from clearml_ci.core import poll
from clearml_ci.core.poll import Clock, Pace, TimedOutError
from clearml_ci.parameters.check import NAME

STOPS_WITHIN = 10  # seconds that agents are given to end what they run


def ask_to_stop(clearml: ClearML, run: str, *, reason: str) -> None:
    """Tell a run that we started, its steps and what they launched to stop, queued ones included.

    Not with `include_pipeline_steps`: older servers do not know it, and it also stops reruns and clones of steps, which
    are children of the run too.
    """
    _ask(clearml, run, _live(clearml, run), reason=reason)


def _ask(clearml: ClearML, run: str, tasks: Iterable[str], *, reason: str) -> None:
    for task in sorted(tasks, key=lambda one: one != run):  # the controller first: it starts steps
        with contextlib.suppress(ClearMLError):  # it has just ended by itself
            clearml.call("tasks.stop", task=task, status_reason=reason)


def stop(clearml: ClearML, run: str, *, reason: str, clock: Clock) -> None:
    """As ask_to_stop, and returns when all of them have ended.

    An agent ends a running task when it next looks at it. Until then the controller may start one more step, so the
    run is looked at again and again. What has not ended in time, because its agent is gone, is marked as stopped:
    `tasks.stop` alone only asks while a worker is believed to be there.
    """

    def ended() -> bool | None:
        left = _live(clearml, run)
        _ask(clearml, run, left, reason=reason)
        return None if left else True

    try:
        poll.until(clock, ended, pace=Pace(1), timeout=STOPS_WITHIN)
    except TimedOutError:
        for task in _live(clearml, run):
            clearml.call("tasks.stopped", task=task, force=True, status_reason=reason)
    _archive_probes(clearml, run)


def _archive_probes(clearml: ClearML, run: str) -> None:
    """What its own step would have done, had it not been killed."""
    own = pipeline_runs.own_tasks(clearml, run, fields=[])
    probes = [task["id"] for task in own if ownership.purpose_of(task) == "probe"]
    if probes:
        clearml.call("tasks.archive", tasks=probes)


def _live(clearml: ClearML, run: str) -> set[str]:
    """The run and what carries its mark, as far as it has not ended."""
    own = pipeline_runs.own_tasks(clearml, run, fields=["status"])
    tasks = [task_fields.read(clearml, run, ["status"]), *own]
    return {task["id"] for task in tasks if task["status"] in LIVE}


def stop_children(clearml: ClearML, run: str, *, reason: str) -> None:
    """Tell a run's steps and what they launched to stop: an abort in an older web UI reaches the controller alone."""
    for task in _live(clearml, run) - {run}:
        with contextlib.suppress(ClearMLError):  # it has just ended by itself
            clearml.call("tasks.stop", task=task, status_reason=reason)


def end_superseded(clearml: ClearML, run_id: str) -> bool:
    """Ends a controller, from within, that was superseded while it started: `Task.init` forgets that it was told so."""
    newer = pipeline_runs.read(clearml, run_id).superseded_by
    if newer:
        stop_children(clearml, run_id, reason=f"ClearML CI: superseded by run {newer}")
        reason = f"ClearML CI: superseded by run {newer}"
        clearml.call("tasks.stopped", task=run_id, force=True, status_reason=reason)
    return bool(newer)


def supersede(clearml: ClearML, run_id: str) -> list[Run]:
    """Tell the older checks of the same pull request and name to stop, and mark them; those that were told so."""
    own = pipeline_runs.read(clearml, run_id)
    older = [
        one
        for one in pipeline_runs.live_runs_before(clearml, own)
        if all(
            one.arguments.get(argument, "") == own.arguments.get(argument, "") for argument in ("pull_request", NAME)
        )
    ]
    for one in older:
        task_parameters.set_properties(clearml, one.id, {SUPERSEDED: f"{run_id} instead of {one.id}"})
        ask_to_stop(clearml, one.id, reason=f"ClearML CI: superseded by run {run_id}")
    return older
