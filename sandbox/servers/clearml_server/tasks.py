"""The `tasks.*` endpoints that find, make, change and remove tasks; `task_runs` holds those of a run."""

from __future__ import annotations

from collections.abc import Iterable

from . import errors, queue_records, references, task_records, task_states
from .query import Fields, project_fields, scrolled
from .registry import endpoint
from .store import Record, Store

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


def _found(store: Store, request: Record) -> tuple[list[Record], Record]:
    """The tasks that match, and what a scroll adds to the answer."""
    if request.get("include_subprojects") and request.get("project"):
        request = {**request, "project": _with_subprojects(store, request["project"])}
    tasks: Iterable[Record] = store.tasks.values()
    if request.get("id"):  # agents and controllers poll by id: no need to look at all tasks
        ids = request["id"] if isinstance(request["id"], list) else [request["id"]]
        tasks = [store.tasks[task] for task in ids if task in store.tasks]
    hidden_too = request.get("search_hidden") or request.get("id")
    shown = tasks if hidden_too else (task for task in tasks if "hidden" not in task["system_tags"])
    return scrolled(store, shown, request, FIELDS)


def _with_subprojects(store: Store, projects: str | list[str]) -> list[str]:
    ids = [projects] if isinstance(projects, str) else projects
    below = [p["id"] for p in store.projects.values() if not set(ids).isdisjoint(p.get("path", ()))]
    return [*ids, *below]


@endpoint("tasks.get_all")
def get_all(store: Store, request: Record) -> Record:
    tasks, scroll = _found(store, request)
    return {"tasks": [project_fields(task, request.get("only_fields")) for task in tasks], **scroll}


@endpoint("tasks.get_all_ex")
def get_all_ex(store: Store, request: Record) -> Record:
    """As get_all, with the fields of what a task refers to, and always with the ids."""
    tasks, scroll = _found(store, request)
    return {"tasks": [references.task(store, task, request.get("only_fields")) for task in tasks], **scroll}


@endpoint("tasks.get_by_id_ex")
def get_by_id_ex(store: Store, request: Record) -> Record:
    """Hidden tasks too; an id of no task is left out."""
    ids = request["id"] if isinstance(request["id"], list) else [request["id"]]
    tasks = [store.tasks[task] for task in ids if task in store.tasks]
    return {"tasks": [references.task(store, task, request.get("only_fields")) for task in tasks]}


@endpoint("tasks.get_types")
def get_types(store: Store, request: Record) -> Record:
    projects = request.get("projects") or list(store.projects)
    types = (task["type"] for task in store.tasks.values() if task.get("project") in projects)
    return {"types": list(dict.fromkeys(types))}


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
        archive_one(store, task, request)
    return {"archived": len(request["tasks"])}


def archive_one(store: Store, task_id: str, request: Record) -> Record:
    """A queued task leaves its queue, a running one is stopped; with `include_pipeline_steps` its children as well."""
    task = task_records.get(store, task_id)
    for step in _steps(store, task, request):
        _archive(store, step, request)
    return _archive(store, task, request)


def _steps(store: Store, task: Record, request: Record) -> list[Record]:
    """The children of a controller, reruns included, if the request is for them too."""
    included = request.get("include_pipeline_steps") and store.include_pipeline_steps
    return task_records.children(store, task) if included and task["type"] == "controller" else []


def _archive(store: Store, task: Record, request: Record) -> Record:
    task_states.dequeue(store, task, request, running_becomes="stopped")
    task["system_tags"] = sorted({*task["system_tags"], "archived"})
    task.update(status_message=request.get("status_message") or "", status_reason=request.get("status_reason") or "")
    task_records.touch(task, update=False)
    return {"archived": True}


def unarchive_one(store: Store, task_id: str, request: Record) -> Record:
    """Restore the task alone, or with `include_pipeline_steps`, which the web UI does not send, its children too."""
    task = task_records.get(store, task_id)
    for step in (*_steps(store, task, request), task):
        _unarchive(step, request)
    return {"unarchived": True}


def _unarchive(task: Record, request: Record) -> None:
    task["system_tags"] = [tag for tag in task["system_tags"] if tag != "archived"]
    task.update(status_message=request.get("status_message") or "", status_reason=request.get("status_reason") or "")
    task_records.touch(task, update=False)


@endpoint("tasks.reset")
def reset(store: Store, request: Record) -> Record:
    answer = reset_one(store, request["task"], request)
    return {**answer, "deleted_models": 0, "dequeued": {}, "events": {}, "urls": {}}


def reset_one(store: Store, task_id: str, request: Record) -> Record:
    """Make a draft of the task alone: the steps of a controller stay as they are."""
    task = task_records.get(store, task_id)
    answer = task_states.reset(store, task, request)
    store.events[task_id] = type(store.events[task_id])()
    return answer


@endpoint("tasks.delete")
def delete(store: Store, request: Record) -> Record:
    return {"deleted": True, "updated_models": 0, "deleted_models": 0, "urls": None} | {
        "updated_children": delete_one(store, request["task"], request)
    }


def delete_one(store: Store, task_id: str, request: Record) -> int:
    """Remove the task, with `include_pipeline_steps` its children too; the number of children that are orphans now."""
    task = task_records.get(store, task_id)
    if task["status"] != "created" and "archived" not in task["system_tags"] and not request.get("force"):
        details = {"task": task_id, "expected": "created", "current": task["status"]}
        raise errors.bad_request(123, "Task cannot be deleted", "due to status, use force=True", **details)
    for step in _steps(store, task, request):
        _remove(store, step)
    return _remove(store, task)


def _remove(store: Store, task: Record) -> int:
    queue_records.remove_everywhere(store, task["id"])
    children = task_records.children(store, task)
    for child in children:
        child["parent"] = f"__DELETED__{task['id']}"
    del store.tasks[task["id"]], store.events[task["id"]]
    return len(children)


@endpoint("tasks.move")
def move(store: Store, request: Record) -> Record:
    project = request.get("project") or ""
    if project not in store.projects:
        raise errors.bad_request(401, "Invalid project id", id=project)
    for task in request["ids"]:
        task_records.get(store, task)["project"] = project
    return {"project_id": project}
