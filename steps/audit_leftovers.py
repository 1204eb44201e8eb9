"""Audit what is left over: tasks of dead runs, queues that nobody serves, templates that nobody starts."""

import time

from clearml_ci.agent import step
from clearml_ci.clearml_api import (
    live_tasks,
    pipeline_runs,
    pipeline_templates,
    project_lookup,
    worker_queues,
)
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.project_lookup import PIPELINES
from clearml_ci.clearml_api.run_cancellation import STOPS_WITHIN
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import console, formatting
from clearml_ci.core.step_results import LeftoversResult
from clearml_ci.decisions import audit_findings, leftovers
from clearml_ci.decisions.audit_findings import Finding, Where
from clearml_ci.decisions.leftovers import Leftover
from clearml_ci.parameters import audit

SECOND_LOOK = STOPS_WITHIN + 5  # seconds: what a run that has just ended needs to end its own tasks


def audit_leftovers(clearml: ClearML, run: Run) -> LeftoversResult:
    """The findings about leftovers, queues and templates."""
    wanted = audit.from_arguments(run.arguments)
    root = run.project.split(PIPELINES)[0]
    every = project_lookup.all_projects(clearml)
    url = next((project.url for project in every if project.id == run.project_id), "")
    home = Where("project", run.project, url)
    notes: list[str] = []
    found = [
        *(_cleaned(clearml, one, notes, clean_up=wanted.clean_up) for one in _left(clearml, root)),
        *audit_findings.of_queues(worker_queues.backlog(clearml, wanted.queues), longest_wait=wanted.longest_wait),
        *audit_findings.of_templates(
            home,
            pipeline_templates.registered(clearml, every, root=root),
            commit=pipeline_runs.commit_of(clearml, run.id),
        ),
    ]
    return {"findings": audit_findings.as_documents(found), "notes": notes}


def _left(clearml: ClearML, root: str) -> list[Leftover]:
    """What is left over at two looks: a run that ends just now is still ending its own tasks."""
    first = _look(clearml, root)
    if not first:
        return []
    console.say(f"{formatting.count(len(first), 'task')} may be left over; looking again in {SECOND_LOOK} s")
    time.sleep(SECOND_LOOK)
    seen = {one.task.id for one in first}
    return [one for one in _look(clearml, root) if one.task.id in seen]


def _look(clearml: ClearML, root: str) -> list[Leftover]:
    live = live_tasks.read(clearml)
    return leftovers.find(live, live_tasks.runs_of(clearml, live, root=root), pipelines=f"{root}{PIPELINES}")


def _cleaned(clearml: ClearML, left: Leftover, notes: list[str], *, clean_up: bool) -> Finding:
    if not (clean_up and left.marked):
        return leftovers.finding(left, stopped=False)
    try:
        live_tasks.stop(clearml, left.task)
    except ClearMLError as error:
        notes.append(str(error))
        return leftovers.finding(left, stopped=False)
    return leftovers.finding(left, stopped=True)


if __name__ == "__main__":
    step.main(audit_leftovers)
