"""Pipelines: their templates, their runs, and what the steps of a run left. A part of the ClearML gateway."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clearml import PipelineController, Task

from clearml_ci import __version__
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.session import ENDED, LIVE, MARKS, PAGE, ClearML, ClearMLError
from clearml_ci.clearml_api.worker_queues import Queue
from clearml_ci.core import documents, step_results
from clearml_ci.core.git_source import Source
from clearml_ci.core.step_results import StepDocument, StepResult, StepResults

PIPELINES = "/.pipelines/"  # below a project: its pipelines, one project each


TEMPLATE_MARK = "clearml_ci_template"


RESULT = "result"


SUPERSEDED = "superseded_by"


_RUN_FIELDS = [
    *("id", "type", "status", "status_message", "status_reason", "project.id", "project.name", "user.name"),
    *("hyperparams.Args", f"hyperparams.properties.{SUPERSEDED}"),
]


def template(
    clearml: ClearML, *, project: str, name: str, source: Source, arguments: Mapping[str, str]
) -> tuple[str, bool]:
    """The id of the draft that runs of this version are cloned from, and whether it was registered just now.

    Triggers that register at the same time converge: the oldest one counts.
    """
    found = _template(clearml, f"{project}{PIPELINES}{name}", source)
    if found:
        return found, False
    _register(clearml, project=project, name=name, source=source, arguments=arguments)
    registered = _template(clearml, f"{project}{PIPELINES}{name}", source)
    if registered is None:
        raise ClearMLError(f"the pipeline template '{project}/{name}' was registered but cannot be found again")
    return registered, True


def _template(clearml: ClearML, project: str, source: Source) -> str | None:
    where = clearml_session.project_id(clearml, project)
    if where is None:
        return None
    drafts = clearml.call(
        "tasks.get_all",
        project=[where],
        type=["controller"],
        status=["created"],
        _all_={"fields": ["script.version_num"], "pattern": f"^{source.commit}$"},
        system_tags=["-archived"],
        only_fields=["id", "runtime", "script.repository", "script.version_num"],
        order_by=["created"],
        page=0,
        page_size=PAGE,
        search_hidden=True,
    )["tasks"]
    return next((draft["id"] for draft in drafts if _is_template(draft, source)), None)


def _is_template(draft: Mapping[str, Any], source: Source) -> bool:
    """Clones copy tags, script and Args, but not `runtime`: the mark names the task that it stands on."""
    mark = (draft.get("runtime") or {}).get(TEMPLATE_MARK)
    script = draft.get("script") or {}
    return bool(
        mark == draft["id"]
        and (script.get("repository"), script.get("version_num")) == (source.repository, source.commit)
    )


def _register(clearml: ClearML, *, project: str, name: str, source: Source, arguments: Mapping[str, str]) -> None:
    try:
        draft = PipelineController.create(
            project_name=project,
            task_name=name,
            repo=source.repository,
            commit=source.commit,
            script=f"pipelines/{name}.py",
            working_directory=".",
            version=__version__,
            add_run_number=False,
            detect_repository=False,
        ).id
    except Exception as error:  # the SDK raises whatever its layers raise
        raise ClearMLError(f"the pipeline '{project}/{name}' could not be registered: {error}") from error
    if arguments:
        items = clearml_session.section_items("Args", arguments)
        clearml.call("tasks.edit_hyper_params", task=draft, hyperparams=items)
    clearml.call("tasks.edit", task=draft, runtime={TEMPLATE_MARK: draft})


def start(clearml: ClearML, *, template: str, queue: Queue, arguments: Mapping[str, str]) -> str:
    """The id of a new, enqueued run of the template: the very call that the web UI's New run sends."""
    answer = clearml.call(
        "pipelines.start_pipeline",
        task=template,
        queue=queue.id,
        args=[{"name": name, "value": value} for name, value in arguments.items()],
        verify_watched_queue=True,
    )
    if not answer.get("enqueued"):
        raise ClearMLError(f"the run {answer.get('pipeline')} was not enqueued on '{queue.name}'")
    return str(answer["pipeline"])


@dataclass(frozen=True)
class Step:
    """One step of a run: its ClearML status, and its result once it has left one."""

    id: str
    name: str
    status: str
    result: StepResult | None

    @property
    def document(self) -> StepDocument:
        """The step as a verdict is composed from it."""
        return {"status": self.status, "result": self.result}


@dataclass(frozen=True)
class Run:
    """A pipeline run: `arguments` are the strings of its `Args` section."""

    id: str
    url: str
    status: str
    message: str
    arguments: dict[str, str]
    project: str
    project_id: str
    superseded_by: str
    user: str = ""  # the name of whose it is


def run(clearml: ClearML, run_id: str) -> Run:
    """Raises ClearMLError where there is no such run."""
    return _run(clearml, clearml_session.fields_of(clearml, run_id, _RUN_FIELDS))


def _run(clearml: ClearML, task: Mapping[str, Any]) -> Run:
    return Run(
        id=task["id"],
        url=clearml.task_url(task),
        status=task["status"],
        message=task.get("status_message") or task.get("status_reason") or "",
        arguments=clearml_session.values(task, "Args"),
        project=task["project"]["name"],
        project_id=task["project"]["id"],
        superseded_by=superseded_by(task),
        user=str((task.get("user") or {}).get("name") or "") if isinstance(task.get("user"), dict) else "",
    )


def mend_names(clearml: ClearML, run_id: str) -> None:
    """Gives the parameters of a started run their names back, which reruns of reruns lose: clearml_gateway.values."""
    task = clearml_session.fields_of(clearml, run_id, ["hyperparams.Args"])
    named = clearml_session.values(task, "Args")
    if named.keys() != ((task.get("hyperparams") or {}).get("Args") or {}).keys():
        items = clearml_session.section_items("Args", named)
        clearml.call(
            "tasks.edit_hyper_params", task=run_id, hyperparams=items, replace_hyperparams="section", force=True
        )


def oldest_run(clearml: ClearML, beside: Run, *, argument: str, value: str) -> Run | None:
    """The oldest run of a run's own pipeline that has this value among its `Args`, or None. A draft is no run."""
    found = clearml.call(
        "tasks.get_all_ex",
        project=[beside.project_id],
        type=["controller"],
        status=[*LIVE, *ENDED],
        only_fields=_RUN_FIELDS,
        order_by=["created"],
        page=0,
        page_size=PAGE,
        search_hidden=True,
        **{f"hyperparams.Args.{argument}.value": [value]},
    )["tasks"]
    return next(
        (_run(clearml, task) for task in found if clearml_session.values(task, "Args").get(argument) == value), None
    )


def steps(clearml: ClearML, run_id: str) -> dict[str, Step]:
    """The steps that the run has started so far, by name: of several of a name, the newest."""
    every = own_tasks(clearml, run_id, fields=["name", "status", "configuration.result"])
    own = [task for task in every if clearml_session.purpose_of(task) == "step"]
    return {task["name"]: Step(task["id"], task["name"], task["status"], _result(task)) for task in own}


def typed(steps: Mapping[str, Step]) -> StepResults:
    """The results of these steps, as `step_results.by_name`."""
    return step_results.by_name({name: step.result for name, step in steps.items()})


def results(clearml: ClearML, run_id: str) -> StepResults:
    """The results that the run's steps have left so far."""
    return typed(steps(clearml, run_id))


def superseded_by(task: Mapping[str, Any]) -> str:
    """The newer run that took this one's place, or nothing."""
    newer, _, own = clearml_session.values(task, "properties").get(SUPERSEDED, "").partition(" instead of ")
    return newer if own == task["id"] else ""  # a clone copies the property, and was not superseded itself


def live_runs_before(clearml: ClearML, own: Run) -> list[Run]:
    """The runs of the same pipeline that were started before this one and have not ended, oldest first."""
    found = clearml.call(
        "tasks.get_all_ex",
        project=[own.project_id],
        type=["controller"],
        status=list(LIVE),
        only_fields=[*_RUN_FIELDS, *MARKS],
        order_by=["created"],
        page=0,
        page_size=PAGE,
        search_hidden=True,
    )["tasks"]
    ids = [task["id"] for task in found]
    older = found[: ids.index(own.id)] if own.id in ids else []
    return [_run(clearml, task) for task in older if clearml_session.is_marked(task, task["id"])]


def store_result(clearml: ClearML, task: str, result: Mapping[str, Any]) -> None:
    """Leave a step's result on its own task, where it also reads well in the web UI."""
    item = {"name": RESULT, "type": "json", "value": json.dumps(result, indent=1)}
    clearml.call("tasks.edit", task=task, configuration={RESULT: item}, force=True)


def publish_verdict(clearml: ClearML, run_id: str, verdict: Mapping[str, Any]) -> None:
    """The verdict as an artifact on the run, summed up in its user properties."""
    task = Task.get_task(task_id=clearml_session.not_empty(run_id))
    if not task.upload_artifact("verdict", dict(verdict), wait_on_upload=True):
        raise ClearMLError(f"the verdict could not be stored on the run {run_id}: is ClearML's file server up?")
    summary = {key: str(verdict[key] or "") for key in ("outcome", "exit_reason", "commit", "pull_request")}
    if verdict["rerun"]:
        summary["rerun"] = verdict["rerun"]["said"]
    clearml_session.set_properties(clearml, run_id, summary)


def own_tasks(clearml: ClearML, run_id: str, fields: Sequence[str]) -> list[dict[str, Any]]:
    """The tasks that this run made, its steps and what they launched: children that carry its mark, oldest first.

    Reruns and clones of steps are children too, and left out.
    """
    children = clearml.call(
        "tasks.get_all",
        parent=clearml_session.not_empty(run_id),
        only_fields=["id", "type", "parent", *fields, *MARKS],
        order_by=["created"],
        page=0,
        page_size=PAGE,
        search_hidden=True,
    )["tasks"]
    own = [child for child in children if child["type"] != "controller" and child.get("parent") == run_id]
    return [child for child in own if clearml_session.is_marked(child, run_id)]


def _result(task: Mapping[str, Any]) -> StepResult | None:
    item = (task.get("configuration") or {}).get(RESULT)
    return documents.from_json(item["value"]) if item else None
