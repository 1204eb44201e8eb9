"""Name the merge that brought drift: train those that may have, with other seeds, side by side."""

from typing import Any

from clearml_ci.agent import step
from clearml_ci.clearml_api import project_lookup, task_records
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.core.errors import UsageError
from clearml_ci.core.step_results import RetrainResult
from clearml_ci.decisions import audit_findings
from clearml_ci.github_api.session import GitHubError
from clearml_ci.operations import bisection_trainings, github_access, main_branch, main_models, reference_runs
from clearml_ci.operations.bisection_trainings import Bisection
from clearml_ci.operations.services import Services
from clearml_ci.parameters import audit as audit_parameters
from clearml_ci.parameters import remote_run


def audit_bisect(services: Services, run: Run) -> RetrainResult:
    """The trainings, which stay as runs of the default branch like any other, and the finding, if there is drift."""
    clearml, audit = services.clearml, audit_parameters.from_arguments(run.arguments)
    launch = remote_run.from_arguments({**run.arguments, **audit_parameters.RETRAINING})
    if launch is None or not audit.gates:
        raise UsageError("bisect is set, but gates is empty: name the metrics whose drift is looked for")
    remote_run.refuse_shared_queue(run.arguments, code=launch.queue)
    main = main_branch.read(services.github, audit)
    project = project_lookup.id_of(clearml, launch.project)
    own: Any = {"projects": [project] if project else [], "task_name": launch.name, "gates": audit.gates}
    by_tag = task_records.by_tag(clearml, reference_runs.tags(audit.best_tag), **own)
    # A step that is executed again finds the same drift, and goes on with its own trainings.
    recorded = [found for found in task_records.of_commits(clearml, main.commits, **own) if found[0].parent != run.id]
    models = main_models.read(clearml, recorded, main.merges, by_tag, best=audit.best_tag, watched=None)
    found = bisection_trainings.subject_of(list(models.values()), audit.gates, launch)
    notes, unseen = [*main.notes], [*main.unseen]
    if found is None:
        if main.commits and not models:
            where = f"'{launch.name}' in '{launch.project}'"
            notes.append(f"the merge that brought drift is not looked for: main has no clean run named {where}")
        return {"tasks": [], "findings": [], "notes": notes, "unseen": unseen}
    github = github_access.connect_if_possible(services.github, audit_parameters.as_check(audit))
    bisection = Bisection(services, run, audit, launch, github, *found)
    try:
        findings = [bisection.finding()]
    except (UsageError, GitHubError) as error:
        findings, notes = [], [*notes, f"the merge that brought drift was not looked for: {error}"]
    return {
        "tasks": bisection.tasks,
        "findings": audit_findings.as_documents(findings),
        "notes": [*notes, *bisection.notes],
        "unseen": unseen,
    }


if __name__ == "__main__":
    step.main(audit_bisect)
