"""Pipeline runs: start one, read it, and find other runs of its pipeline."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clearml_ci.clearml_api import ownership, paging, task_fields, task_parameters
from clearml_ci.clearml_api.paging import Record
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.task_status import ENDED, LIVE
from clearml_ci.clearml_api.worker_queues import Queue

SUPERSEDED = "superseded_by"  # a user property


_FIELDS = [
    *("id", "type", "status", "status_message", "status_reason", "project.id", "project.name", "user.name"),
    *("hyperparams.Args", f"hyperparams.properties.{SUPERSEDED}"),
]


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
    user: str = ""  # the name of the user who started it


def start(clearml: ClearML, *, template: str, queue: Queue, arguments: Mapping[str, str]) -> str:
    """The id of a new, enqueued run of the template: the same request as the web UI's New run. Raises ClearMLError."""
    answer = clearml.call(
        "pipelines.start_pipeline",
        task=template,
        queue=queue.id,
        args=[{"name": name, "value": value} for name, value in arguments.items()],
        verify_watched_queue=True,
    )
    if not answer.get("enqueued"):
        raise ClearMLError(f"the run {answer.get('pipeline')} was not enqueued on the queue '{queue.name}': rerun")
    return str(answer["pipeline"])


def read(clearml: ClearML, run_id: str) -> Run:
    """One run. Raises TaskGoneError if it does not exist."""
    return _run(clearml, task_fields.read(clearml, run_id, _FIELDS))


def _run(clearml: ClearML, task: Mapping[str, Any]) -> Run:
    return Run(
        id=task["id"],
        url=clearml.task_url(task),
        status=task["status"],
        message=task.get("status_message") or task.get("status_reason") or "",
        arguments=task_parameters.values(task, "Args"),
        project=task["project"]["name"],
        project_id=task["project"]["id"],
        superseded_by=superseded_by(task),
        user=str((task.get("user") or {}).get("name") or "") if isinstance(task.get("user"), dict) else "",
    )


def superseded_by(task: Mapping[str, Any]) -> str:
    """The id of the newer run that superseded this one; empty if none did."""
    newer, _, own = task_parameters.values(task, "properties").get(SUPERSEDED, "").partition(" instead of ")
    return newer if own == task["id"] else ""  # a clone copies the property, and was not superseded itself


def commit_of(clearml: ClearML, run_id: str) -> str:
    """The commit of ClearML CI that a run executes; empty if the run does not exist."""
    task = task_fields.read_existing(clearml, [run_id] if run_id else [], ["script.version_num"]).get(run_id, {})
    return str((task.get("script") or {}).get("version_num") or "")


def restore_parameter_names(clearml: ClearML, run_id: str) -> None:
    """Rename the escaped parameters of a started run, which a rerun of a rerun has: see `task_parameters.values`."""
    task = task_fields.read(clearml, run_id, ["hyperparams.Args"])
    named = task_parameters.values(task, "Args")
    if named.keys() != ((task.get("hyperparams") or {}).get("Args") or {}).keys():
        items = task_parameters.section_items("Args", named)
        clearml.call(
            "tasks.edit_hyper_params", task=run_id, hyperparams=items, replace_hyperparams="section", force=True
        )


def describe_arguments(clearml: ClearML, run_id: str, descriptions: Mapping[str, str]) -> None:
    """Add descriptions, by name, to the parameters of a started run; New run and start_pipeline drop them."""
    given = task_parameters.values(task_fields.read(clearml, run_id, ["hyperparams.Args"]), "Args")
    items = task_parameters.section_items("Args", {name: given[name] for name in descriptions if name in given})
    described = [{**item, "description": descriptions[item["name"]]} for item in items]
    if described:
        clearml.call("tasks.edit_hyper_params", task=run_id, hyperparams=described, force=True)


def oldest_run(clearml: ClearML, beside: Run, *, argument: str, value: str) -> Run | None:
    """The oldest run of a run's own pipeline with this value in its `Args`, or None. A draft is no run."""
    filters = {f"hyperparams.Args.{argument}.value": [value]}
    found = _of_pipeline(clearml, beside, _FIELDS, status=[*LIVE, *ENDED], **filters)
    equal = (task for task in found if task_parameters.values(task, "Args").get(argument) == value)
    return next((_run(clearml, task) for task in equal), None)


def live_runs_before(clearml: ClearML, own: Run) -> list[Run]:
    """The runs of the same pipeline that were started before this one and have not ended, oldest first."""
    found = list(_of_pipeline(clearml, own, [*_FIELDS, *ownership.FIELDS], status=list(LIVE)))
    ids = [task["id"] for task in found]
    older = found[: ids.index(own.id)] if own.id in ids else []
    return [_run(clearml, task) for task in older if ownership.is_marked(task, task["id"])]


def _of_pipeline(clearml: ClearML, run: Run, fields: Sequence[str], **filters: Any) -> Iterator[Record]:
    """The runs of a run's own pipeline that match the filters, oldest first."""
    return paging.records(
        clearml,
        "tasks",
        project=[run.project_id],
        type=["controller"],
        only_fields=fields,
        order_by=["created"],
        **filters,
    )


def own_tasks(clearml: ClearML, run_id: str, fields: Sequence[str]) -> list[Record]:
    """The tasks that this run made, its steps and what they launched: children with its mark, oldest first.

    Reruns and clones of steps are children, too, and left out.
    """
    children = paging.records(
        clearml,
        "tasks",
        parent=task_fields.require_id(run_id),
        only_fields=["type", "parent", *fields, *ownership.FIELDS],
        order_by=["created"],
    )
    own = [child for child in children if child["type"] != "controller" and ownership.is_marked(child, run_id)]
    return [child for child in own if task_fields.reference_id(child.get("parent")) == run_id]
