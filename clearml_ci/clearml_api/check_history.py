"""Read from earlier checks of a repository what they judged: the candidate of a commit, the ClearML projects."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from clearml_ci.clearml_api import paging, project_lookup, run_results, task_parameters
from clearml_ci.clearml_api.paging import MOST, Record
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.project_lookup import PIPELINES, Project
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.documents import TaskDocument
from clearml_ci.parameters import run_arguments
from clearml_ci.parameters.check import NAME, PIPELINE
from clearml_ci.parameters.run_arguments import CONTEXT


def judged_candidates(clearml: ClearML, run: Run, *, commit: str, name: str) -> Iterator[tuple[str, TaskDocument]]:
    """The ids of a commit's completed checks, newest first, each with the candidate that its verdict names.

    `run` is one of the repository's runs, `name` the check's: checks of another name judged tasks of other models.
    """
    project = project_lookup.id_of(clearml, f"{run.project.rpartition(PIPELINES)[0]}{PIPELINES}{PIPELINE}")
    if project is None:
        return
    filters = {"status": ["completed"], "hyperparams.Args.commit.value": [commit]}
    for check in _checks(clearml, project, "hyperparams.Args", **filters):
        arguments = task_parameters.values(check, "Args")
        if (arguments.get("commit"), arguments.get(NAME, "")) != (commit, name):
            continue
        if candidate := _candidate(clearml, check["id"]):
            yield check["id"], candidate


def _candidate(clearml: ClearML, check: str) -> TaskDocument | None:
    verdict = run_results.results(clearml, check)["report"].get("verdict")
    return verdict["candidate"] if verdict else None


def checked_projects(clearml: ClearML, projects: Sequence[Project], *, root: str) -> list[Project]:
    """Those of the projects that the newest 500 checks of the pipeline project `root` were started for.

    A rerun counts as its job started it; if that is unknown, as it stands.
    """
    pipeline = next((project.id for project in projects if project.name == f"{root}{PIPELINES}{PIPELINE}"), None)
    if pipeline is None:
        return []
    newest = islice(_checks(clearml, pipeline, "hyperparams.Args.project", f"hyperparams.Args.{CONTEXT}"), MOST)
    names = {_project_at_start(check) for check in newest}
    return [project for project in projects if project.name in names]


def _project_at_start(check: Record) -> str:
    arguments = task_parameters.values(check, "Args")
    return (run_arguments.started_with(arguments) or arguments).get("project", "")


def _checks(clearml: ClearML, project: str, *fields: str, **filters: Any) -> Iterator[Record]:
    """The checks of one pipeline's project, newest first."""
    return paging.records(
        clearml,
        "tasks",
        project=[project],
        type=["controller"],
        only_fields=list(fields),
        order_by=["-created"],
        **filters,
    )
