"""Find the tasks of runs that have ended, and end those that carry our mark."""

from clearml_ci.clearml_api import live_tasks
from clearml_ci.clearml_api.project_lookup import PIPELINES
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.task_cancellation import STOPS_WITHIN
from clearml_ci.core import console, formatting
from clearml_ci.decisions import leftovers
from clearml_ci.decisions.audit_findings import Finding
from clearml_ci.decisions.leftovers import Leftover
from clearml_ci.operations.services import Services

SECOND_LOOK = STOPS_WITHIN + 5  # seconds: what a run that has just ended needs to end its own tasks


def find(services: Services, root: str) -> list[Leftover]:
    """The leftovers of two looks: a run that has just ended is still ending its own tasks."""
    first = {left.task.id for left in _look(services.clearml, root)}
    if not first:
        return []
    console.log(f"{formatting.count(len(first), 'task')} may be left over; looking again in {SECOND_LOOK} s")
    services.clock.sleep(SECOND_LOOK)
    return [left for left in _look(services.clearml, root) if left.task.id in first]


def settle(services: Services, left: Leftover, notes: list[str], *, stop: bool) -> Finding:
    """The finding about a leftover; with `stop`, one that carries our mark is ended. An error is added to the notes."""
    if not (stop and left.may_be_stopped):
        return leftovers.finding(left, stopped=False)
    try:
        live_tasks.stop(services.clearml, left.task, clock=services.clock)
    except ClearMLError as error:
        notes.append(str(error))
        return leftovers.finding(left, stopped=False)
    return leftovers.finding(left, stopped=True)


def _look(clearml: ClearML, root: str) -> list[Leftover]:
    live = live_tasks.read(clearml)
    return leftovers.find(live, live_tasks.runs_of(clearml, live, root=root), pipelines=f"{root}{PIPELINES}")
