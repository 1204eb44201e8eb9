"""Read from earlier checks of a repository what they judged: the candidate of a commit, the ClearML projects."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from clearml_ci.clearml_api import paging, pipeline_runs, project_lookup, run_results, task_parameters
from clearml_ci.clearml_api.paging import MOST, Record
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.project_lookup import PIPELINES, Project
from clearml_ci.clearml_api.session import ClearML, TaskGoneError
from clearml_ci.core.documents import TaskDocument, VerdictDocument
from clearml_ci.core.recorded_task import SUCCESSFUL
from clearml_ci.parameters import run_arguments
from clearml_ci.parameters.check import NAME, PIPELINE
from clearml_ci.parameters.run_arguments import CONTEXT


def judged_candidates(clearml: ClearML, run: Run, *, commit: str, name: str) -> Iterator[tuple[str, TaskDocument]]:
    """The ids of a commit's completed checks, newest first, each with the candidate that its verdict names."""
    for check, verdict in verdicts(clearml, run, commit=commit, name=name):
        if verdict["candidate"]:
            yield check, verdict["candidate"]


def verdicts(clearml: ClearML, run: Run, *, commit: str, name: str) -> Iterator[tuple[str, VerdictDocument]]:
    """The ids of a commit's completed checks, newest first, each with its verdict.

    `run` is one of the repository's runs, `name` the check's: checks of another name judged tasks of other models.
    """
    project = project_lookup.id_of(clearml, f"{run.project.rpartition(PIPELINES)[0]}{PIPELINES}{PIPELINE}")
    if project is None:
        return
    filters = {"status": list(SUCCESSFUL), "hyperparams.Args.commit.value": [commit]}
    for check in _checks(clearml, project, "hyperparams.Args", **filters):
        arguments = task_parameters.values(check, "Args")
        if (arguments.get("commit"), arguments.get(NAME, "")) != (commit, name):
            continue
        if verdict := run_results.results(clearml, check["id"])["report"].get("verdict"):
            yield check["id"], verdict


def run_at(url: str) -> str:
    """The id of the run with this page; "" if it is no page of a run."""
    return next(reversed(re.findall(r"[0-9a-f]{32}", url)), "")


def verdict_at(clearml: ClearML, url: str, *, project: str, commit: str, name: str) -> VerdictDocument | None:
    """The verdict of the run with this page; None if it is no check of this commit by the pipeline in this project."""
    run = run_at(url)
    try:
        check = pipeline_runs.read(clearml, run) if run else None
    except TaskGoneError:
        return None
    if check is None or (check.project_id, check.url) != (project, url):
        return None
    if (check.arguments.get("commit"), check.arguments.get(NAME, "")) != (commit, name):
        return None
    return run_results.results(clearml, check.id)["report"].get("verdict")


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
