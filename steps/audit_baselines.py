"""Audit baselines, one for each project and task name, and references; and the default branch, still as good."""

from clearml_ci.agent import step
from clearml_ci.clearml_api import acceptance_ledger, promotion_ledger, task_records
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.project_lookup import root_of
from clearml_ci.core.step_results import BaselinesResult
from clearml_ci.decisions import acceptance_notes, audit_findings, drift
from clearml_ci.decisions.audit_findings import Subject
from clearml_ci.operations import audit_reference, audit_scope, history_plots, main_branch, main_models
from clearml_ci.operations.services import Services
from clearml_ci.parameters import audit as audit_parameters


def audit_baselines(services: Services, run: Run) -> BaselinesResult:
    """The findings, how many projects and baselines were checked, and what could not be checked."""
    clearml, audit = services.clearml, audit_parameters.from_arguments(run.arguments)
    moves, changes = promotion_ledger.with_changes(clearml, run.project)
    projects = audit_scope.projects(clearml, audit, moves, root=root_of(run.project))
    by_tag = audit_scope.tagged(clearml, audit, projects)
    baselines = by_tag[audit.best_tag]
    tagged = [task for task, _ in baselines]
    audited = {*(project.id for project in projects), *(task.project_id for task in tagged)}
    main = main_branch.read(services.github, audit)
    of_main = task_records.of_commits(
        clearml, main.commits, projects=sorted(audited), task_name=audit.task_name, gates=audit.gates
    )
    own = [task for task in tagged if task.commit and audit_scope.is_own(audit, task)]
    on_main, notes = main_branch.membership(main, audit, [task.commit for task in own])
    watched = None if audit.task_name else {audit_findings.key_of(task) for task in tagged}
    models = main_models.read(clearml, of_main, main.merges, by_tag, best=audit.best_tag, watched=watched)
    subjects = {project.id: Subject("project", project.name, project.url) for project in projects}
    findings = [
        *audit_findings.check_baselines(tagged, tag=audit.best_tag, on_default=on_main),
        *audit_findings.lost_baselines(moves, tagged, tag=audit.best_tag, task_name=audit.task_name, projects=subjects),
        *audit_findings.missing_baselines(subjects.values(), tagged, tag=audit.best_tag),
        *main_models.drifts(models, audit.gates),
        *drift.from_baselines(
            baselines, of_main, audit.gates, explained=main_models.explained_by_noise(models, audit.gates)
        ),
        *(drift.missing_runs([task for task in own if on_main.get(task.commit)], of_main) if audit.gates else []),
        *drift.failed_runs(of_main, watched=watched),
        *audit_reference.findings(clearml, audit, by_tag, changes, projects=subjects),
        *acceptance_notes.notes(acceptance_ledger.entries(clearml, run.project), now=services.clock.now()),
    ]
    histories = history_plots.of_models(models, audit.gates, by_tag, best=audit.best_tag, moves=moves, changes=changes)
    notes = [*notes, *history_plots.report(clearml, run.id, histories)]
    return {
        "findings": audit_findings.as_documents(findings),
        "projects": len(audited),
        "bests": len(tagged),
        "notes": [*main.notes, *notes],
        "unseen": list(main.unseen),
    }


if __name__ == "__main__":
    step.main(audit_baselines)
