"""The tagged tasks that a candidate may be compared with."""

from collections.abc import Mapping, Sequence

from clearml_ci.clearml_api import project_lookup, task_records
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.clearml_api.task_records import Measured
from clearml_ci.core import repository_url
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.operations import reference_runs
from clearml_ci.parameters.check import Check


def with_tag(clearml: ClearML, check: Check, project_id: str | None) -> Sequence[Measured]:
    """All tasks of a project (None: the workspace) and of the check's name that carry the tag, with their metrics."""
    return task_records.tagged(
        clearml,
        projects=[project_id] if project_id else None,
        task_name=check.task_name,
        tag=check.best_tag,
        gates=check.gates,
    )


def with_reference(clearml: ClearML, check: Check, project_id: str) -> dict[str, Sequence[Measured]]:
    """The tasks of `read`, and those with the tags of the reference, by tag: one request."""
    return in_scope(check, with_tags_of_reference(clearml, check), project_id)


def with_tags_of_reference(clearml: ClearML, check: Check) -> dict[str, list[Measured]]:
    """All tasks of the check's project and name with the best tag, and with the tags of the reference, by tag."""
    project = project_lookup.existing_id(clearml, check.project) if check.project else None
    return task_records.by_tag(
        clearml,
        reference_runs.tags(check.best_tag),
        projects=[project] if project else None,
        task_name=check.task_name,
        gates=check.gates,
    )


def in_scope(check: Check, found: Mapping[str, Sequence[Measured]], project_id: str) -> dict[str, Sequence[Measured]]:
    """Those of the tasks of `with_tags_of_reference` that are baselines for a candidate of this project."""
    return {
        tag: [(task, metrics) for task, metrics in tagged if is_in_scope(check, task, project_id)]
        for tag, tagged in found.items()
    }


def is_in_scope(check: Check, task: RecordedTask, project_id: str) -> bool:
    """True if a task of the check's project, if it names one, is a baseline for a candidate of this project."""
    if check.project or task.project_id == project_id:
        return True
    return repository_url.is_one_of(task.repository, check.pull_request.repositories)


def read(clearml: ClearML, check: Check, project_id: str) -> Sequence[Measured]:
    """The tagged tasks of the policy's project, not only of the candidate's: a pull request can change its task's.

    Without a project: those of the same repository in the whole workspace, and those of the candidate's project, which
    is `project_id`.
    """
    if check.project:
        return with_tag(clearml, check, project_lookup.existing_id(clearml, check.project))
    return [(task, metrics) for task, metrics in with_tag(clearml, check, None) if is_in_scope(check, task, project_id)]
