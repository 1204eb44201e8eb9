"""The scope of an audit: which projects it looks at, and which tagged tasks."""

from collections.abc import Sequence

from clearml_ci.clearml_api import check_history, project_lookup, task_records
from clearml_ci.clearml_api.project_lookup import Project
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import repository_url
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions.audit_findings import Tasks
from clearml_ci.decisions.promotion import Move
from clearml_ci.operations import reference_runs
from clearml_ci.parameters.audit import Audit


def projects(clearml: ClearML, audit: Audit, moves: Sequence[Move], *, root: str) -> list[Project]:
    """The listed projects; without a list, those of the repository's own checks and promotions.

    `root` is the ClearML project of its pipelines.
    """
    every = project_lookup.all_projects(clearml)
    if audit.projects:
        return project_lookup.named(every, audit.projects)
    checked, promoted = check_history.checked_projects(clearml, every, root=root), {move.project_id for move in moves}
    return [project for project in every if project in checked or project.id in promoted]


def tagged(clearml: ClearML, audit: Audit, projects: Sequence[Project]) -> dict[str, Tasks]:
    """The tasks of these projects with the tags of baseline and reference, by tag: one request.

    Without a list of projects, also those of any project that ran this repository's code.
    """
    ids = [project.id for project in projects]
    found = task_records.by_tag(
        clearml,
        reference_runs.tags(audit.best_tag),
        projects=ids if audit.projects else None,
        task_name=audit.task_name,
        gates=audit.gates,
    )
    return {
        tag: [(task, metrics) for task, metrics in tasks if task.project_id in ids or is_own(audit, task)]
        for tag, tasks in found.items()
    }


def is_own(audit: Audit, task: RecordedTask) -> bool:
    """True if the task ran the code of the audit's repository."""
    return repository_url.is_one_of(task.repository, audit.home.repositories)
