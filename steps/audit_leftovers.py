"""Audit what is left over: tasks and drafts of ended runs, dead runs, queues without workers, old templates."""

from clearml_ci.agent import step
from clearml_ci.clearml_api import pipeline_runs, pipeline_templates, project_lookup, worker_queues
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.core.step_results import LeftoversResult
from clearml_ci.decisions import audit_findings
from clearml_ci.decisions.audit_findings import Subject
from clearml_ci.operations import leftover_tasks
from clearml_ci.operations.services import Services
from clearml_ci.parameters import audit as audit_parameters


def audit_leftovers(services: Services, run: Run) -> LeftoversResult:
    """The findings about leftovers, which are stopped if the run asks for it, about queues, and about templates."""
    clearml, audit = services.clearml, audit_parameters.from_arguments(run.arguments)
    root, projects = project_lookup.root_of(run.project), project_lookup.all_projects(clearml)
    url = next((project.url for project in projects if project.id == run.project_id), "")
    pipeline = Subject("project", run.project, url)
    templates = pipeline_templates.registered(clearml, projects, root=root)
    notes: list[str] = []
    findings = [
        *(
            leftover_tasks.settle(services, left, notes, stop=audit.clean_up)
            for left in leftover_tasks.find(services, root, audit=run.id)
        ),
        *audit_findings.check_queues(worker_queues.backlog(clearml, audit.queues), longest_wait=audit.longest_wait),
        *audit_findings.check_templates(pipeline, templates, commit=pipeline_runs.commit_of(clearml, run.id)),
    ]
    return {"findings": audit_findings.as_documents(findings), "notes": notes}


if __name__ == "__main__":
    step.main(audit_leftovers)
