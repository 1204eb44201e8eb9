"""The `tasks.*` endpoints that find, make, change and remove tasks; `task_runs` holds those of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from . import errors, queue_records, task_records, task_states
from .query import Fields, project_fields, select
from .registry import endpoint
from .store import USER, USER_NAME, Record, Store

FIELDS = Fields(
    patterns=("name", "comment", "report"),
    lists=(
        *("id", "user", "tags", "system_tags", "type", "status", "project", "parent"),
        *("hyperparams.*", "execution.queue", "models.input.model"),
    ),
    ranges=("created", "started", "active_duration", "last_metrics.*", "last_iteration"),
    dates=("status_changed", "last_update", "last_change"),
    equals=("runtime.*",),
)


def found(store: Store, request: Record) -> list[Record]:
    if request.get("include_subprojects") and request.get("project"):
        request = {**request, "project": _with_subprojects(store, request["project"])}
    tasks: Iterable[Record] = store.tasks.values()
    if request.get("id"):  # agents and controllers poll by id: no need to look at all tasks
        ids = request["id"] if isinstance(request["id"], list) else [request["id"]]
        tasks = [store.tasks[task] for task in ids if task in store.tasks]
    hidden_too = request.get("search_hidden") or request.get("id")
    shown = tasks if hidden_too else (task for task in tasks if "hidden" not in task["system_tags"])
    return select(shown, request, FIELDS)


def _with_subprojects(store: Store, projects: str | list[str]) -> list[str]:
    ids = [projects] if isinstance(projects, str) else projects
    below = [p["id"] for p in store.projects.values() if not set(ids).isdisjoint(p.get("path", ()))]
    return [*ids, *below]


@endpoint("tasks.get_all")
def get_all(store: Store, request: Record) -> Record:
    return {"tasks": [project_fields(task, request.get("only_fields")) for task in found(store, request)]}


@endpoint("tasks.get_all_ex")
def get_all_ex(store: Store, request: Record) -> Record:
    """As get_all, with the names of what a task refers to, and always with the ids."""
    only = request.get("only_fields")
    if only:
        only = ["id", *(f"{path.split('.')[0]}.id" for path in only if "." in path), *only]
    return {"tasks": [project_fields(_joined(store, task), only) for task in found(store, request)]}


def _joined(store: Store, task: Record) -> Record:
    referred = {"project": store.projects, "parent": store.tasks}
    names = {
        field: {"id": task[field], "name": records[task[field]]["name"]}
        for field, records in referred.items()
        if task.get(field) in records
    }
    return {**task, **names, "user": {"id": USER, "name": USER_NAME}}


@endpoint("tasks.get_by_id")
def get_by_id(store: Store, request: Record) -> Record:
    """The whole task: `only_fields` is ignored here."""
    task = request.get("task") or ""
    if task not in store.tasks:
        raise errors.invalid_task(ids=[task] if task else [])
    return {"task": store.tasks[task]}


@endpoint("tasks.create")
def create(store: Store, request: Record) -> Record:
    task = task_records.create(store, request)
    task_records.touch_project(store, task)
    return {"id": task["id"]}


@endpoint("tasks.clone")
def clone(store: Store, request: Record) -> Record:
    source = store.tasks.get(request["task"])
    if not source:
        raise errors.invalid_task(id=request["task"])
    changes = {key.removeprefix("new_task_"): value for key, value in request.items() if key.startswith("new_task_")}
    return {"id": task_records.clone(store, source, changes=changes)["id"]}


@endpoint("tasks.edit")
def edit(store: Store, request: Record) -> Record:
    task = task_records.get(store, request["task"])
    if not request.get("force") and task["status"] != "created":
        raise errors.invalid_status(expected="created", status=task["status"])
    fields = task_records.edited_fields(store, task, request)
    if "hyperparams" in fields:
        store.parameter_keys.pop(task["id"], None)
    return task_records.edit(store, task, fields) if fields else {"updated": 0}


@endpoint("tasks.update")
def update(store: Store, request: Record) -> Record:
    """The few fields that may change at any time."""
    task = task_records.get(store, request["task"])
    allowed = {k: v for k, v in request.items() if k in ("name", "tags", "system_tags", "comment", "project")}
    return task_records.edit(store, task, task_records.edited_fields(store, task, allowed))


@endpoint("tasks.update_tags")
def update_tags(store: Store, request: Record) -> Record:
    ids = request.get("ids") or []
    unknown = [task for task in ids if task not in store.tasks]
    if unknown:
        raise errors.invalid_task(ids=unknown)
    for task in (store.tasks[task] for task in ids):
        tags = {*task["tags"], *(request.get("add_tags") or [])} - set(request.get("remove_tags") or [])
        task["tags"] = sorted(tags)
        task_records.touch(task, update=False)
    return {"updated": len(ids)}


@endpoint("tasks.archive")
def archive(store: Store, request: Record) -> Record:
    unknown = [task for task in request["tasks"] if task not in store.tasks]
    if unknown:
        raise errors.invalid_task(ids=unknown)
    for task in request["tasks"]:
        _archive(store, task, request)
    return {"archived": len(request["tasks"])}


def _archive(store: Store, task_id: str, request: Record) -> Record:
    """A queued task leaves its queue, a running one is stopped."""
    task = task_records.get(store, task_id)
    task_states.dequeue(store, task, request, running_becomes="stopped")
    task["system_tags"] = sorted({*task["system_tags"], "archived"})
    task.update(status_message=request.get("status_message") or "", status_reason=request.get("status_reason") or "")
    task_records.touch(task, update=False)
    return {"archived": True}


def _unarchive(store: Store, task_id: str, request: Record) -> Record:
    task = task_records.get(store, task_id)
    task["system_tags"] = [tag for tag in task["system_tags"] if tag != "archived"]
    task.update(status_message=request.get("status_message") or "", status_reason=request.get("status_reason") or "")
    task_records.touch(task, update=False)
    return {"unarchived": True}


@endpoint("tasks.reset")
def reset(store: Store, request: Record) -> Record:
    task = task_records.get(store, request["task"])
    answer = task_states.reset(store, task, request)
    store.events[task["id"]] = type(store.events[task["id"]])()
    return {**answer, "deleted_models": 0, "dequeued": {}, "events": {}, "urls": {}}


@endpoint("tasks.delete")
def delete(store: Store, request: Record) -> Record:
    return {"deleted": True, "updated_models": 0, "deleted_models": 0, "urls": None} | {
        "updated_children": _delete(store, request["task"], request)
    }


def _delete(store: Store, task_id: str, request: Record) -> int:
    """Remove the task; the number of children that now point to a deleted parent."""
    task = task_records.get(store, task_id)
    if task["status"] != "created" and "archived" not in task["system_tags"] and not request.get("force"):
        details = {"task": task_id, "expected": "created", "current": task["status"]}
        raise errors.bad_request(123, "Task cannot be deleted", "due to status, use force=True", **details)
    queue_records.remove_everywhere(store, task_id)
    children = [child for child in store.tasks.values() if child.get("parent") == task_id]
    for child in children:
        child["parent"] = f"__DELETED__{task_id}"
    del store.tasks[task_id], store.events[task_id]
    return len(children)


@endpoint("tasks.move")
def move(store: Store, request: Record) -> Record:
    project = request.get("project") or ""
    if project not in store.projects:
        raise errors.bad_request(401, "Invalid project id", id=project)
    for task in request["ids"]:
        task_records.get(store, task)["project"] = project
    return {"project_id": project}


def _many(store: Store, request: Record, change: Callable[[Store, str, Record], Record]) -> Record:
    """Each id on its own: what succeeded and what failed."""
    answers = [_one_of_many(store, task, request, change) for task in request.get("ids") or []]
    return {
        "succeeded": [answer for answer in answers if "error" not in answer],
        "failed": [answer for answer in answers if "error" in answer],
    }


def _one_of_many(store: Store, task: str, request: Record, change: Callable[[Store, str, Record], Record]) -> Record:
    try:
        return {"id": task, **change(store, task, request)}
    except errors.ApiError as error:
        codes = [error.status, error.subcode]
        return {"id": task, "error": {"codes": codes, "msg": error.message, "data": {}}}


@endpoint("tasks.archive_many")
def archive_many(store: Store, request: Record) -> Record:
    return _many(store, request, _archive)


@endpoint("tasks.unarchive_many")
def unarchive_many(store: Store, request: Record) -> Record:
    return _many(store, request, _unarchive)


@endpoint("tasks.delete_many")
def delete_many(store: Store, request: Record) -> Record:
    return _many(store, request, lambda s, task, r: {"deleted": True, "updated_children": _delete(s, task, r)})
