"""The drafts that runs are cloned from: one for each pipeline and version of ClearML CI.

They are archived, so that ClearML's list shows runs alone: a clone of an archived task is not archived. Clones copy
tags, script and Args, but not `runtime`: the mark in it names the draft that it was written for.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clearml_ci import __version__
from clearml_ci.clearml_api import (
    ownership,
    paging,
    pipeline_code,
    project_lookup,
    server_time,
    task_creation,
    task_parameters,
    task_tags,
)
from clearml_ci.clearml_api.pipeline_code import PipelineCode
from clearml_ci.clearml_api.pipeline_runs import START_ARGUMENT
from clearml_ci.clearml_api.project_lookup import PIPELINES, Project
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core.git_source import Source
from clearml_ci.decisions.audit_findings import Template
from clearml_ci.decisions.run_labels import TEMPLATE

TEMPLATE_MARK = "clearml_ci_template"


_DRAFTS: dict[str, Any] = {
    "type": ["controller"],
    "status": ["created"],
    "order_by": ["created"],
}


def find_or_register(
    clearml: ClearML, *, project: str, name: str, source: Source, arguments: Mapping[str, str]
) -> tuple[str, bool]:
    """The id of the template of this version, and whether it was registered just now. Raises ClearMLError.

    Jobs that register concurrently agree: the oldest template counts. A template that was edited does not. Drafts of
    jobs that were killed while they registered are deleted.
    """
    code = PipelineCode(source, name)
    pipeline = f"{project}{PIPELINES}{name}"
    if found := _find(clearml, pipeline, code):
        return found, False
    with _despite_another_job(clearml, pipeline, code):
        _register(clearml, project=project, name=name, source=source, arguments=arguments)
    _clean_up(clearml, pipeline, name)
    _tag_project(clearml, pipeline, repository="/".join(project.split("/")[-2:]))
    registered = _find(clearml, pipeline, code)
    if registered is None:
        raise ClearMLError(
            f"the pipeline template '{project}/{name}' was registered but cannot be read back as it was written: "
            "rerun, and if it stays so, look in ClearML who edits the drafts of this project"
        )
    return registered, True


def _find(clearml: ClearML, project: str, code: PipelineCode) -> str | None:
    project_id = project_lookup.id_of(clearml, project)
    if project_id is None:
        return None
    drafts = paging.records(
        clearml,
        "tasks",
        project=[project_id],
        _all_={"fields": ["script.version_num"], "pattern": f"^{code.source.commit}$"},
        only_fields=[f"runtime.{TEMPLATE_MARK}", *pipeline_code.FIELDS],
        **_DRAFTS,
    )
    templates = (draft for draft in drafts if _is_template(draft))
    return next((draft["id"] for draft in templates if not pipeline_code.why_changed(draft, code)), None)


def _is_template(draft: Mapping[str, Any]) -> bool:
    return bool((draft.get("runtime") or {}).get(TEMPLATE_MARK) == draft["id"])


def _commit(draft: Mapping[str, Any]) -> str:
    return str((draft.get("script") or {}).get("version_num") or "")


def _register(clearml: ClearML, *, project: str, name: str, source: Source, arguments: Mapping[str, str]) -> None:
    draft = task_creation.pipeline(
        project=project,
        name=name,
        source=source,
        script=f"pipelines/{name}.py",
        working_directory=".",
        version=__version__,
        add_run_number=False,
    )
    if arguments:
        items = task_parameters.section_items("Args", arguments)
        clearml.call("tasks.edit_hyper_params", task=draft, hyperparams=items)
    clearml.call("tasks.edit", task=draft, runtime={TEMPLATE_MARK: draft}, tags=[TEMPLATE])


@contextlib.contextmanager
def _despite_another_job(clearml: ClearML, project: str, code: PipelineCode) -> Iterator[None]:
    """Ignore an error if there is a template: the job that registered it took the draft for that of a killed job."""
    try:
        yield
    except ClearMLError:
        if _find(clearml, project, code) is None:
            raise


def _clean_up(clearml: ClearML, project: str, name: str) -> None:
    """Archive the templates, also those of other versions, and delete the drafts that a killed job did not mark as one.

    A run has the key of its request.
    """
    fields = ["hyperparams.Args", "tags", f"runtime.{TEMPLATE_MARK}", *ownership.FIELDS]
    pattern = f"^{re.escape(name)}$"
    drafts = paging.records(
        clearml,
        "tasks",
        project=[project_lookup.existing_id(clearml, project)],
        name=pattern,
        system_tags=["-archived"],
        only_fields=fields,
        **_DRAFTS,
    )
    for draft in list(drafts):
        is_run = START_ARGUMENT in task_parameters.values(draft, "Args") or ownership.is_marked(draft, draft["id"])
        with contextlib.suppress(ClearMLError):  # another job has deleted it
            if _is_template(draft):
                task_tags.update(clearml, [draft["id"]], add=[TEMPLATE] * (TEMPLATE not in draft.get("tags", [])))
                clearml.call("tasks.archive", tasks=[draft["id"]])
            elif not is_run:
                clearml.call("tasks.delete", task=draft["id"])


def _tag_project(clearml: ClearML, project: str, *, repository: str) -> None:
    """Tag a pipeline's project with its repository, which the cards of ClearML's Pipelines page show."""
    for found in paging.records(clearml, "projects", name=f"^{re.escape(project)}$", only_fields=["id", "tags"]):
        tags = found.get("tags") or []
        if repository not in tags:
            with contextlib.suppress(ClearMLError):  # an older server, or a user without access: nothing depends on it
                clearml.call("projects.update", project=found["id"], tags=[*tags, repository])


def registered(clearml: ClearML, projects: Sequence[Project], *, root: str) -> list[Template]:
    """The templates of all versions in the pipeline project `root`, oldest first, for the audit."""
    below = [project.id for project in projects if project.name.startswith(f"{root}{PIPELINES}")]
    if not below:
        return []
    fields = [f"runtime.{TEMPLATE_MARK}", "script.version_num", "created"]
    drafts = paging.records(clearml, "tasks", project=below, only_fields=fields, **_DRAFTS)
    return [
        Template(_commit(draft), server_time.age(clearml, draft["created"])) for draft in drafts if _is_template(draft)
    ]
