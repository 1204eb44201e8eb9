"""Task records: finding, making, editing and cloning them, with the checks of the real server."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from . import errors
from .store import COMPANY, USER, Record, Store, TaskEvents, new_id, now, seconds_since, unique_sorted

SHORTEST_NAME = 3
TYPES = frozenset(
    [
        "training",
        "testing",
        "inference",
        "data_processing",
        "application",
        "monitor",
        "controller",
        "report",
        "optimizer",
        "service",
        "qc",
        "custom",
        "dataset_import",
        "annotation",
        "annotation_manual",
    ]
)
EDITABLE = (
    *("name", "tags", "system_tags", "type", "comment", "parent", "project", "models", "container"),
    *("execution", "hyperparams", "configuration", "script", "runtime", "status"),
)
_MERGED = ("execution", "models", "output", "script")
_QUIET = {"name", "tags", "system_tags", "comment", "project"}  # edits that leave last_update alone


def get(store: Store, task: str) -> Record:
    """The task, or the refusal that writing calls give."""
    if task not in store.tasks:
        raise errors.invalid_task(id=task, company=COMPANY)
    return store.tasks[task]


def get_updatable(store: Store, request: Record, *, force: bool | None = None) -> Record:
    """A task that may still be changed: a draft, or a queued or running one by force."""
    task = get(store, request["task"])
    forced = request.get("force") if force is None else force
    if task["status"] not in ("created", *(("queued", "in_progress") if forced else ())):
        raise errors.invalid_status(expected="created", status=task["status"])
    return task


def children(store: Store, task: Record) -> list[Record]:
    """The tasks whose parent it is: a controller's steps, and the reruns that were cloned from it."""
    return [child for child in store.tasks.values() if child.get("parent") == task["id"]]


def touch(task: Record, *, update: bool = True) -> None:
    moment = now()
    task.update(last_change=moment, last_changed_by=USER)
    if update:
        task["last_update"] = moment


def touch_running(task: Record) -> None:
    """Progress (events, pings) also counts the time that the task has been running."""
    touch(task)
    if task["status"] == "in_progress" and task.get("started"):
        task["active_duration"] = int(seconds_since(task["started"]))


def empty_script() -> Record:
    return {"binary": "python", "repository": "", "entry_point": "", "requirements": {}}


def empty_execution() -> Record:
    return {"test_split": 0, "parameters": {}, "model_desc": {}, "model_labels": {}, "artifacts": []}


def create(store: Store, request: Record) -> Record:
    moment = now()
    task: Record = {
        "id": new_id(),
        "company": COMPANY,
        "user": USER,
        "last_changed_by": USER,
        "status": "created",
        "created": moment,
        "last_update": moment,
        "last_change": moment,
        "report_assets": [],
        "output": {},
        "tags": [],
        "system_tags": [],
        "container": {},
        "runtime": {},
        "last_iteration": 0,
        "last_metrics": {},
        "unique_metrics": [],
        "metric_stats": {},
        "hyperparams": {},
        "configuration": {},
        "models": {"input": [], "output": []},
        "script": empty_script(),
        "execution": empty_execution(),
    }
    task.update(edited_fields(store, task, request))
    _check_required(task)
    return add(store, task)


def add(store: Store, task: Record) -> Record:
    store.tasks[task["id"]] = task
    store.events[task["id"]] = TaskEvents()
    return task


def edited_fields(store: Store, task: Record, request: Record) -> Record:
    """The request's fields as they are kept: parts merged into the task's, tags sorted, all checked."""
    fields = {name: request[name] for name in EDITABLE if request.get(name) is not None}
    if request.get("output_dest") is not None:
        fields["output"] = {"destination": request["output_dest"]}
    for name in fields.keys() & {"tags", "system_tags"}:
        fields[name] = unique_sorted(fields[name])
    for name in fields.keys() & set(_MERGED):
        fields[name] = {**task[name], **fields[name]}
    if "artifacts" in fields.get("execution", {}):
        fields["execution"]["artifacts"] = [stored_artifact(a) for a in fields["execution"]["artifacts"]]
    _check(store, fields)
    return fields


def _check_required(task: Record) -> None:
    for field in ("name", "type"):
        if field not in task:
            raise errors.invalid(f"error for field '{field}': field is required!")


def _check(store: Store, fields: Record) -> None:
    check_name(fields.get("name"))
    if fields.get("type", "training") not in TYPES:
        raise errors.invalid(f"error for field 'type': value '{fields['type']}' is not a valid choice..")
    if fields.get("project") and fields["project"] not in store.projects:
        raise errors.bad_request(401, "Invalid project id", id=fields["project"])
    if fields.get("parent") and fields["parent"] not in store.tasks:
        raise errors.invalid_task(parent=fields["parent"])


def check_name(name: Any) -> None:
    if name is not None and len(str(name).strip()) < SHORTEST_NAME:
        raise errors.bad_request(800, "Data validation error", name="String value is too short")


def edit(store: Store, task: Record, fields: Record) -> Record:
    """Write the fields; the answer repeats them with the times of the change."""
    task.update(fields)
    loud = not set(fields) <= _QUIET
    touch(task, update=loud)
    times = ("last_change", "last_changed_by", *(("last_update",) if loud else ()))
    touch_project(store, task)
    return {"fields": {**fields, **{name: task[name] for name in times}}, "updated": 1}


def touch_project(store: Store, task: Record) -> None:
    project = store.projects.get(task.get("project", ""))
    if project:
        project["last_update"] = now()


def stored_artifact(artifact: Record) -> Record:
    return {"mode": "output", "display_data": [], **artifact}


def clone(store: Store, source: Record, *, changes: Record) -> Record:
    """A draft of the source: parameters, code and user tags; no results, no runtime properties."""
    kept = ("name", "type", "comment", "project", "script", "container", "hyperparams", "configuration")
    task = create(store, {"name": source["name"], "type": source["type"]})
    task.update({key: deepcopy(source[key]) for key in (*kept, "tags") if key in source})
    task["parent"] = _living_parent(source)
    task["system_tags"] = [tag for tag in source["system_tags"] if tag not in ("development", "archived")]
    task["execution"] = _inputs_only(source["execution"])
    task["models"]["input"] = deepcopy(source["models"]["input"])
    task["output"] = {k: v for k, v in source["output"].items() if k == "destination"}
    try:  # an empty change is none: `comment or task.comment` (clone_task in apiserver/bll/task/task_bll.py)
        task.update(edited_fields(store, task, {name: value for name, value in changes.items() if value}))
    except errors.ApiError:
        del store.tasks[task["id"]], store.events[task["id"]]
        raise
    return task


def _living_parent(source: Record) -> str:
    """Clones of a clone are siblings: all hang on the first task."""
    parent = str(source.get("parent") or "")
    return parent if parent and not parent.startswith("__DELETED__") else str(source["id"])


def _inputs_only(execution: Record) -> Record:
    kept = deepcopy({key: value for key, value in execution.items() if key != "queue"})
    kept["artifacts"] = [a for a in kept["artifacts"] if a["mode"] != "output"]
    return kept
