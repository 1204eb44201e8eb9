"""Pipeline runs: read one, and find other runs of its pipeline."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from clearml_ci.clearml_api import ownership, paging, started_runs, task_fields, task_parameters
from clearml_ci.clearml_api.paging import PAGE, Record
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.clearml_api.task_status import LIVE

SUPERSEDED = "superseded_by"  # a user property


RESULT = "result"  # a configuration object of a step


GIVEN_UP = "given_up"  # a user property: the run's own id, since its job has ended without its verdict


UNWANTED_FIELDS = [f"hyperparams.properties.{name}" for name in (SUPERSEDED, GIVEN_UP)]  # what `why_unwanted` reads


# The key of the request that started a run, which the request wrote, and which its job wrote once it knew the run.
START_ARGUMENT, START_PROPERTY = "_start", "start_key"


START_FIELDS = ["hyperparams.Args", f"hyperparams.properties.{START_PROPERTY}"]  # what `is_known_to_its_job` reads


EXECUTION = "clearml_ci_execution"  # beside a step's marks of ownership: the execution of the controller that made it


STEP_FIELDS = ["name", "status", "user", f"configuration.{RESULT}", f"runtime.{EXECUTION}"]  # what `run_results` reads


_OF_CHILDREN = ["type", "parent", *ownership.FIELDS]  # what `own_tasks` reads


_OF_STEPS = ["created", *STEP_FIELDS, *_OF_CHILDREN]


_FIELDS = [
    *("id", "type", "status", "status_message", "status_reason", "project.id", "project.name", "user.name"),
    *(*START_FIELDS, *UNWANTED_FIELDS, *started_runs.FIELDS),
]


@dataclass(frozen=True)
class Run:
    """A pipeline run: `arguments` are the strings of its `Args` section, by which it is judged.

    `recorded` are those that it has on the server, `started_with` those that a job started it with, None if no job did,
    and `reported_by` is the step that has reported it.
    """

    id: str
    url: str
    status: str
    message: str
    arguments: dict[str, str]
    project: str
    project_id: str
    superseded_by: str
    unwanted: str = ""  # the reason why it must change nothing any more
    user: str = ""  # the name of the user who started it
    recorded: dict[str, str] = field(default_factory=dict)
    started_with: dict[str, str] | None = None
    reported_by: str = ""
    steps: Sequence[Record] = ()  # of its steps, those that were read with it, oldest first


def read(clearml: ClearML, run_id: str, *, steps: Sequence[str] = ()) -> Run:
    """One run, and the steps of these ids that are its own, in one request. Raises TaskGoneError if it is gone."""
    fields = [*_FIELDS, *_OF_STEPS] if steps else _FIELDS
    found = task_fields.read_existing(clearml, [task_fields.require_id(run_id), *steps], fields)
    task_fields.require(found, [run_id])
    children = sorted((task for task in found.values() if task["id"] in steps), key=lambda task: task["created"])
    return replace(_run(clearml, found[run_id]), steps=_own(children, run_id))


def _run(clearml: ClearML, task: Mapping[str, Any]) -> Run:
    arguments = task_parameters.values(task, "Args")
    return Run(
        id=task["id"],
        url=clearml.task_url(task),
        status=task["status"],
        message=task.get("status_message") or task.get("status_reason") or "",
        arguments=arguments,
        project=task["project"]["name"],
        project_id=task["project"]["id"],
        superseded_by=superseded_by(task),
        unwanted=why_unwanted(task),
        user=str((task.get("user") or {}).get("name") or "") if isinstance(task.get("user"), dict) else "",
        recorded=arguments,
        started_with=started_runs.started_with(task),
        reported_by=started_runs.reported_by(task),
    )


def superseded_by(task: Mapping[str, Any]) -> str:
    """The id of the newer run that superseded this one; empty if none did."""
    newer, _, own = task_parameters.values(task, "properties").get(SUPERSEDED, "").partition(" instead of ")
    return newer if own == task["id"] else ""  # a clone copies the property, and was not superseded itself


def why_unwanted(task: Mapping[str, Any]) -> str:
    """Reason why a run must change nothing any more, or "": it was superseded, or its job gave it up."""
    if newer := superseded_by(task):
        return f"superseded by the newer run {newer}"
    given_up = task_parameters.values(task, "properties").get(GIVEN_UP) == task["id"]
    return "the job that started it has ended with an error; use New run in ClearML" if given_up else ""


def is_known_to_its_job(task: Mapping[str, Any]) -> bool:
    """False if a job's request started the run, and the job has not learned of it. Clones copy both keys."""
    key = task_parameters.values(task, "Args").get(START_ARGUMENT, "")
    return key in ("", task_parameters.values(task, "properties").get(START_PROPERTY))


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


def describe_arguments(
    clearml: ClearML, run_id: str, *, defaults: Mapping[str, str], descriptions: Mapping[str, str]
) -> dict[str, str]:
    """Write the parameters of a started run in the order of `defaults`, with those that it lacks, and descriptions.

    New run shows them as they are stored. It and start_pipeline drop descriptions, and the SDK adds the missing
    parameters at the end. Returns all of them.
    """
    given = task_parameters.values(task_fields.read(clearml, run_id, ["hyperparams.Args"]), "Args")
    ordered = {**defaults, **given}
    described = [
        {**item, "description": descriptions.get(item["name"], "")}
        for item in task_parameters.section_items("Args", ordered)
    ]
    clearml.call(
        "tasks.edit_hyper_params", task=run_id, hyperparams=described, replace_hyperparams="section", force=True
    )
    return ordered


def started_run(clearml: ClearML, beside: Run, *, argument: str, value: str) -> Run | None:
    """The run of a run's own pipeline that a job started with this value in its `Args`, or None."""
    filters = {f"hyperparams.Args.{argument}.value": [value]}
    found = (_run(clearml, task) for task in _of_pipeline(clearml, beside, _FIELDS, **filters))
    return next((run for run in found if (run.started_with or {}).get(argument) == value), None)


def newest(clearml: ClearML, project: str, fields: Sequence[str]) -> list[Record]:
    """The newest 100 runs and drafts of the pipeline whose project has this id, newest first."""
    found = paging.records(
        clearml,
        "tasks",
        page_size=PAGE,
        project=[project],
        type=["controller"],
        only_fields=fields,
        order_by=["-created"],
    )
    return list(islice(found, PAGE))


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
        only_fields=[*_OF_CHILDREN, *fields],
        order_by=["created"],
    )
    return _own(children, run_id)


def _own(children: Iterable[Record], run_id: str) -> list[Record]:
    own = [child for child in children if child["type"] != "controller" and ownership.is_marked(child, run_id)]
    return [child for child in own if task_fields.reference_id(child.get("parent")) == run_id]
