"""Find the tasks of runs that have ended, and runs that died: end those that carry our mark, and delete drafts."""

from clearml_ci.clearml_api import live_tasks, stray_drafts
from clearml_ci.clearml_api.project_lookup import PIPELINES
from clearml_ci.clearml_api.session import ClearMLError
from clearml_ci.clearml_api.task_cancellation import STOPS_WITHIN
from clearml_ci.core import console, formatting
from clearml_ci.decisions import leftovers
from clearml_ci.decisions.audit_findings import Finding
from clearml_ci.decisions.leftovers import Draft, Leftover, LiveTask
from clearml_ci.operations.services import Services

SECOND_LOOK = STOPS_WITHIN + 5  # seconds: what a run that has just ended needs to end its own tasks


def find(services: Services, root: str, *, audit: str) -> list[Leftover]:
    """The leftovers of two looks: a run that has just ended is still ending its own tasks. `audit` is no leftover."""
    first = {left.task.id for left in _look(services, root)} - {audit}
    if not first:
        return []
    console.log(f"{formatting.count(len(first), 'task')} may be left over; looking again in {SECOND_LOOK} s")
    services.clock.sleep(SECOND_LOOK)
    return [left for left in _look(services, root) if left.task.id in first]


def settle(services: Services, left: Leftover, notes: list[str], *, stop: bool) -> Finding:
    """The finding about a leftover; with `stop`, one that carries our mark is ended. An error is added to the notes."""
    if not (stop and left.may_be_stopped):
        return leftovers.finding(left, stopped=False)
    try:
        _end(services, left.task)
    except ClearMLError as error:
        notes.append(str(error))
        return leftovers.finding(left, stopped=False)
    return leftovers.finding(left, stopped=True)


def _end(services: Services, task: LiveTask | Draft) -> None:
    if isinstance(task, Draft):
        stray_drafts.delete(services.clearml, task)
    else:
        live_tasks.stop(services.clearml, task, clock=services.clock)


def _look(services: Services, root: str) -> list[Leftover]:
    live = live_tasks.read(services.clearml, clock=services.clock)
    drafts, pipelines = stray_drafts.read(services.clearml), f"{root}{PIPELINES}"
    named = {run for task in live for run in (task.run, task.parent)} | {draft.run for draft in drafts}
    runs = live_tasks.runs_of(services.clearml, named, root=root)
    return [
        *leftovers.find(live, runs, pipelines=pipelines),
        *leftovers.find_drafts(drafts, runs, pipelines=pipelines),
    ]
