"""Audit what is left over: tasks of ended runs, queues without workers, templates of old versions."""

from clearml_ci.agent import step
from clearml_ci.clearml_api import live_tasks, pipeline_runs, pipeline_templates, project_lookup, worker_queues
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.project_lookup import PIPELINES
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.task_cancellation import STOPS_WITHIN
from clearml_ci.core import console, formatting
from clearml_ci.core.step_results import LeftoversResult
from clearml_ci.decisions import audit_findings, leftovers
from clearml_ci.decisions.audit_findings import Finding, Subject
from clearml_ci.decisions.leftovers import Leftover
from clearml_ci.operations.services import Services
from clearml_ci.parameters import audit as audit_parameters

SECOND_LOOK = STOPS_WITHIN + 5  # seconds: what a run that has just ended needs to end its own tasks


def audit_leftovers(services: Services, run: Run) -> LeftoversResult:
    """The findings about leftovers, which are stopped if the run asks for it, about queues, and about templates."""
    clearml, audit = services.clearml, audit_parameters.from_arguments(run.arguments)
    root, projects = run.project.split(PIPELINES)[0], project_lookup.all_projects(clearml)
    url = next((project.url for project in projects if project.id == run.project_id), "")
    pipeline = Subject("project", run.project, url)
    templates = pipeline_templates.registered(clearml, projects, root=root)
    notes: list[str] = []
    findings = [
        *(_clean_up(services, left, notes, stop=audit.clean_up) for left in _find(services, root)),
        *audit_findings.check_queues(worker_queues.backlog(clearml, audit.queues), longest_wait=audit.longest_wait),
        *audit_findings.check_templates(pipeline, templates, commit=pipeline_runs.commit_of(clearml, run.id)),
    ]
    return {"findings": audit_findings.as_documents(findings), "notes": notes}


def _find(services: Services, root: str) -> list[Leftover]:
    """The leftovers of two looks: a run that has just ended is still ending its own tasks."""
    first = {left.task.id for left in _look(services.clearml, root)}
    if not first:
        return []
    console.log(f"{formatting.count(len(first), 'task')} may be left over; looking again in {SECOND_LOOK} s")
    services.clock.sleep(SECOND_LOOK)
    return [left for left in _look(services.clearml, root) if left.task.id in first]


def _look(clearml: ClearML, root: str) -> list[Leftover]:
    live = live_tasks.read(clearml)
    return leftovers.find(live, live_tasks.runs_of(clearml, live, root=root), pipelines=f"{root}{PIPELINES}")


def _clean_up(services: Services, left: Leftover, notes: list[str], *, stop: bool) -> Finding:
    """Stop a leftover that carries our mark; its finding. An error is added to the notes."""
    if not (stop and left.may_be_stopped):
        return leftovers.finding(left, stopped=False)
    try:
        live_tasks.stop(services.clearml, left.task, clock=services.clock)
    except ClearMLError as error:
        notes.append(str(error))
        return leftovers.finding(left, stopped=False)
    return leftovers.finding(left, stopped=True)


if __name__ == "__main__":
    step.main(audit_leftovers)
