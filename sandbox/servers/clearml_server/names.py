"""The names that the web UI offers in its filters: tags, users, parents, configurations."""

from __future__ import annotations

from collections.abc import Iterable

from .registry import endpoint
from .store import USER, USER_NAME, Record, Store, unique_sorted


def _tasks(store: Store, request: Record) -> list[Record]:
    projects = request.get("projects")
    return [task for task in store.tasks.values() if not projects or task.get("project") in projects]


def _tags(records: Iterable[Record], field: str = "tags") -> list[str]:
    return unique_sorted([tag for record in records for tag in record[field]])


@endpoint("organization.get_tags")
def get_tags(store: Store, request: Record) -> Record:
    """All tags of tasks and models; the system's own ones only on request."""
    records = [*store.tasks.values(), *store.models.values()]
    answer: Record = {"tags": _tags(records)}
    return {**answer, "system_tags": _tags(records, "system_tags")} if request.get("include_system") else answer


@endpoint("projects.get_task_tags", version="2.8")
def get_task_tags(store: Store, request: Record) -> Record:
    return {"tags": _tags(_tasks(store, request))}


@endpoint("projects.get_model_tags", version="2.8")
def get_model_tags(store: Store, request: Record) -> Record:
    return {"tags": _tags(model for model in store.models.values() if model.get("project") in request["projects"])}


@endpoint("projects.get_project_tags")
def get_project_tags(store: Store, request: Record) -> Record:
    required = set((request.get("filter") or {}).get("system_tags") or [])
    return {"tags": _tags(p for p in store.projects.values() if required <= set(p["system_tags"])), "system_tags": []}


@endpoint("projects.get_task_parents", version="2.12")
def get_task_parents(store: Store, request: Record) -> Record:
    """The parents of a project's tasks, with names; `tasks_state` active leaves archived tasks out."""
    active = request.get("tasks_state") == "active"
    children = [t for t in _tasks(store, request) if not (active and "archived" in t["system_tags"])]
    parents = dict.fromkeys(child["parent"] for child in children if child.get("parent") in store.tasks)
    return {"parents": [_named(store, store.tasks[parent]) for parent in parents]}


def _named(store: Store, task: Record) -> Record:
    project = store.projects.get(task.get("project", ""))
    named = {"project": {"id": project["id"], "name": project["name"]}} if project else {}
    return {"id": task["id"], "name": task["name"], **named}


@endpoint("projects.get_user_names")
def get_user_names(_store: Store, _request: Record) -> Record:
    return {"users": [{"id": USER, "name": USER_NAME}]}


@endpoint("tasks.get_configuration_names")
def get_configuration_names(store: Store, request: Record) -> Record:
    """With `skip_empty` a configuration without text is left out."""

    def names(task: str) -> list[str]:
        items = store.tasks[task]["configuration"].items() if task in store.tasks else ()
        return sorted(name for name, item in items if item.get("value") or not request.get("skip_empty", True))

    return {"configurations": [{"task": task, "names": names(task)} for task in request["tasks"]]}
