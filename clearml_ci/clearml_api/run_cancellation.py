"""End a run with its steps and what they launched, and nothing else; supersede older runs of a pull request."""

import contextlib
import functools
from collections.abc import Callable, Iterable
from typing import TypeVar

from clearml_ci.clearml_api import ownership, patience, pipeline_runs, task_fields, task_parameters
from clearml_ci.clearml_api.pipeline_runs import GIVEN_UP, SUPERSEDED, Run
from clearml_ci.clearml_api.session import ClearML, ClearMLError, UnansweredError
from clearml_ci.clearml_api.task_cancellation import STOPS_WITHIN
from clearml_ci.clearml_api.task_status import LIVE
from clearml_ci.core import poll
from clearml_ci.core.poll import Clock, Pace, TimedOutError
from clearml_ci.parameters import run_arguments
from clearml_ci.parameters.check import NAME

T = TypeVar("T")

_SAME_CHECK = ("pull_request", NAME)  # the `Args` in which a run and those that it supersedes agree


def request_stop(clearml: ClearML, run: str, *, reason: str) -> None:
    """Request that a run that we started, its steps and what they launched stop, queued ones included.

    Not with `include_pipeline_steps`: older servers do not know it, and it also stops reruns and clones of steps, which
    are children of the run, too.
    """
    _request_stop(clearml, _live(clearml, run), first=run, reason=reason)


def give_up(clearml: ClearML, run: str, *, reason: str) -> None:
    """Mark a run as given up by its job, after which it posts nothing on GitHub, and request that it stops."""
    task_parameters.set_properties(clearml, run, {GIVEN_UP: run})
    request_stop(clearml, run, reason=reason)


def stop(clearml: ClearML, run: str, *, reason: str, clock: Clock) -> None:
    """Stop a run, its steps and what they launched, and wait until all of them have ended.

    An agent ends a running task when it next looks at it, and until then the controller may start one more step, so the
    request is repeated. A task that has not ended in time, because its agent is gone, is set to stopped: `tasks.stop`
    is only a request while the server believes that a worker runs the task.
    """

    def ended() -> bool | None:
        live = _live(clearml, run)
        _request_stop(clearml, live, first=run, reason=reason)
        return None if live else True

    try:
        poll.until(clock, ended, pace=Pace(1), timeout=STOPS_WITHIN)
    except TimedOutError:
        for task in _live(clearml, run):
            clearml.call("tasks.stopped", task=task, force=True, status_reason=reason)
    _archive_probes(clearml, run)


def stop_children(clearml: ClearML, run: str, *, reason: str) -> None:
    """Request that a run's steps and what they launched stop: older web UIs abort the controller alone."""
    _request_stop(clearml, _live(clearml, run) - {run}, first=run, reason=reason)


def have_children_ended(clearml: ClearML, run: str) -> bool:
    """True if none of the run's steps, and of what they launched, is queued or runs."""
    return not _live(clearml, run) - {run}


def _request_stop(clearml: ClearML, tasks: Iterable[str], *, first: str, reason: str) -> None:
    """Request that tasks stop, the controller first, because it starts steps."""
    for task in sorted(tasks, key=lambda task: task != first):
        with contextlib.suppress(ClearMLError):  # it has just ended by itself
            clearml.call("tasks.stop", task=task, status_reason=reason)


def _live(clearml: ClearML, run: str) -> set[str]:
    """Those of the run and the tasks with its mark that have not ended."""
    own = pipeline_runs.own_tasks(clearml, run, fields=["status"])
    tasks = [task_fields.read(clearml, run, ["status"]), *own]
    return {task["id"] for task in tasks if task["status"] in LIVE}


def _archive_probes(clearml: ClearML, run: str) -> None:
    """Archive the run's probes, as their own step would have done if it had not been killed."""
    own = pipeline_runs.own_tasks(clearml, run, fields=[])
    probes = [task["id"] for task in own if ownership.purpose_of(task) == "probe"]
    if probes:
        clearml.call("tasks.archive", tasks=probes)


def supersede(clearml: ClearML, run_id: str) -> list[Run]:
    """Mark the older live checks of the same pull request and name as superseded, and request that they stop.

    Returns these older checks. A server that does not answer is waited for.
    """
    older = _patiently(clearml, lambda: _older(clearml, run_id))
    for run in older:
        _patiently(clearml, functools.partial(_supersede, clearml, run.id, run_id))
    return older


def _patiently(clearml: ClearML, request: Callable[[], T]) -> T:
    return patience.result(clearml.clock, request, error=UnansweredError)


def _older(clearml: ClearML, run_id: str) -> list[Run]:
    own = pipeline_runs.read(clearml, run_id)
    return [run for run in pipeline_runs.live_runs_before(clearml, own) if _is_same_check(run, own)]


def _supersede(clearml: ClearML, older: str, newer: str) -> None:
    task_parameters.set_properties(clearml, older, {SUPERSEDED: f"{newer} instead of {older}"})
    request_stop(clearml, older, reason=_superseded_by(newer))


def _is_same_check(run: Run, other: Run) -> bool:
    """A check of a merge queue's commit is none of the pull request that it names."""
    same = all(run.arguments.get(name, "") == other.arguments.get(name, "") for name in _SAME_CHECK)
    return same and not (run_arguments.parsed(run.arguments.get(run_arguments.CONTEXT, "")) or {}).get("group")


def forget_before_reset(clearml: ClearML, run_id: str) -> None:
    """Clear what makes a run unwanted if a user has reset it since, from its own controller and before it is marked.

    Reset clears `runtime` and keeps the properties. Of a run that its job knows, the mark was written first.
    """
    fields = [*ownership.FIELDS, *pipeline_runs.START_FIELDS, *pipeline_runs.UNWANTED_FIELDS]
    run = task_fields.read(clearml, run_id, fields)
    if not ownership.is_marked(run, run_id) and pipeline_runs.is_known_to_its_job(run):
        stale = {name: "" for name in (SUPERSEDED, GIVEN_UP) if task_parameters.values(run, "properties").get(name)}
        if stale:
            task_parameters.set_properties(clearml, run_id, stale)


def end_unwanted(clearml: ClearML, run_id: str) -> bool:
    """End the run from its own controller if it was superseded, or given up by its job; True if it was.

    `Task.init` erases the request to stop that a controller got while it started.
    """
    reason = pipeline_runs.read(clearml, run_id).unwanted
    if reason:
        end(clearml, run_id, reason=f"ClearML CI: {reason}")
    return bool(reason)


def end(clearml: ClearML, run_id: str, *, reason: str) -> None:
    """End the run from its own controller, with its steps and what they launched."""
    stop_children(clearml, run_id, reason=reason)
    clearml.call("tasks.stopped", task=run_id, force=True, status_reason=reason)


def _superseded_by(run_id: str) -> str:
    return f"ClearML CI: superseded by run {run_id}"
