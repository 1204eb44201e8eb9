"""The `projects.*` endpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from . import errors, queue_records, references, task_states, tasks
from .query import Fields, project_fields, scrolled, select
from .registry import endpoint
from .store import COMPANY, USER, Record, Store, new_id, now, seconds_since, unique_sorted
from .task_records import check_name

FIELDS = Fields(
    patterns=("name", "basename", "description"),
    lists=("id", "tags", "system_tags", "parent", "path"),
    dates=("last_update",),
)
_DAY = 86400.0


def _found(store: Store, request: Record) -> tuple[list[Record], Record]:
    """The projects that match, and what a scroll adds to the answer."""
    request = {key: value for key, value in request.items() if key != "path"}
    if not request.get("shallow_search"):
        request["path"] = request.pop("parent", None)
    elif "parent" not in request:
        request["parent"] = [None]
    hidden_too = request.get("search_hidden") or request.get("id")
    projects = (p for p in store.projects.values() if hidden_too or "hidden" not in p["system_tags"])
    return scrolled(store, projects, request, FIELDS)


@endpoint("projects.get_all")
def get_all(store: Store, request: Record) -> Record:
    projects, scroll = _found(store, request)
    return {"projects": [project_fields(p, request.get("only_fields")) for p in projects], **scroll}


@endpoint("projects.get_all_ex")
def get_all_ex(store: Store, request: Record) -> Record:
    projects, scroll = _found(store, request)
    shown = [
        {**references.project(store, project, request.get("only_fields")), **_extra(store, project, request)}
        for project in projects
    ]
    return {"projects": shown, **scroll}


def _extra(store: Store, project: Record, request: Record) -> Record:
    extra: Record = {}
    if request.get("search_hidden") and "hidden" in project["system_tags"]:
        extra["hidden"] = True
    if request.get("check_own_contents"):
        kinds = {"own_tasks": store.tasks, "own_models": store.models}
        for name, records in kinds.items():
            extra[name] = len(_counted(records.values(), project, request))
    if request.get("include_stats"):
        extra |= {"stats": _stats(store, project, request), "sub_projects": _children(store, project)}
    return extra


def _counted(records: Iterable[Record], project: Record, request: Record) -> list[Record]:
    """The project's tasks or models that its statistics are about, archived ones not."""
    own = [r for r in records if r.get("project") == project["id"] and "archived" not in r["system_tags"]]
    return select(own, request.get("include_stats_filter") or {}, tasks.FIELDS)


def _children(store: Store, project: Record) -> list[Record]:
    below = [p for p in store.projects.values() if project["id"] in p.get("path", ())]
    return [{"id": p["id"], "name": p["name"]} for p in below if "hidden" not in p["system_tags"]]


def _stats(store: Store, project: Record, request: Record) -> Record:
    active = _counted(store.tasks.values(), project, request)
    counts = Counter(task["status"] for task in active)
    started = [task["started"] for task in active if task.get("started")]
    recent = [t for t in active if t.get("completed") and seconds_since(t["completed"]) < _DAY]
    return {
        "active": {
            "status_count": {status: counts[status] for status in task_states.STATUSES},
            "total_tasks": len(active),
            "completed_tasks_24h": len(recent),
            "total_runtime": float(sum(task.get("active_duration") or 0 for task in active)),
            "last_task_run": max(started, default=None),
        }
    }


@endpoint("projects.get_by_id")
def get_by_id(store: Store, request: Record) -> Record:
    return {"project": _get(store, request["project"])}


def _get(store: Store, project: str) -> Record:
    if project not in store.projects:
        raise errors.bad_request(401, "Invalid project id", id=project)
    return store.projects[project]


@endpoint("projects.create")
def create(store: Store, request: Record) -> Record:
    name = "/".join(part.strip() for part in request["name"].split("/") if part.strip())
    check_name(name)
    if any(project["name"] == name for project in store.projects.values()):
        message = f"Project with the same name already exists: name={name}, company={COMPANY}"
        raise errors.ApiError(400, 801, message)
    return {"id": _ensure(store, name, request)["id"]}


def _ensure(store: Store, name: str, request: Record) -> Record:
    """Return the project of that name, created with its parents if it does not exist."""
    for project in store.projects.values():
        if project["name"] == name:
            return project
    check_name(name)  # the names of the projects above it, too
    above, _, basename = name.rpartition("/")
    parent = _ensure(store, above, {}) if above else None
    moment = now()
    project = {
        "id": new_id(),
        "company": COMPANY,
        "user": USER,
        "name": name,
        "basename": basename,
        "description": request.get("description") or "",
        "created": moment,
        "last_update": moment,
        "tags": unique_sorted(request.get("tags")),
        "system_tags": unique_sorted(request.get("system_tags")),
        "featured": 9999,
    }
    if parent:
        project |= {"parent": parent["id"], "path": [*parent.get("path", ()), parent["id"]]}
    store.projects[project["id"]] = project
    return project


@endpoint("projects.update")
def update(store: Store, request: Record) -> Record:
    project = _get(store, request["project"])
    allowed = ("name", "description", "tags", "system_tags", "default_output_destination")
    fields = {name: request[name] for name in allowed if request.get(name) is not None}
    check_name(fields.get("name"))
    kept = {k: unique_sorted(v) if k in ("tags", "system_tags") else v for k, v in fields.items()}
    project.update({**kept, "last_update": now()})
    return {"fields": kept, "updated": 1}


@endpoint("projects.delete")
def delete(store: Store, request: Record) -> Record:
    """With force the contents go too: tasks and subprojects."""
    doomed = {_get(store, request["project"])["id"], *(p["id"] for p in _below(store, request["project"]))}
    tasks = [task["id"] for task in store.tasks.values() if task.get("project") in doomed]
    if tasks and not request.get("force"):
        raise errors.bad_request(402, "Project has associated tasks", "use force=true to delete", id=request["project"])
    for task in tasks:
        if request.get("delete_contents"):
            queue_records.remove_everywhere(store, task)
            del store.tasks[task], store.events[task]
        else:
            del store.tasks[task]["project"]
    for project in doomed:
        del store.projects[project]
    return {"deleted": 1, "disassociated_tasks": len(tasks), "deleted_tasks": len(tasks), "deleted_models": 0}


def _below(store: Store, project: str) -> list[Record]:
    return [p for p in store.projects.values() if project in p.get("path", ())]
