"""The `tasks.*` endpoints for single hyperparameters and configuration objects."""

from __future__ import annotations

from . import errors, parameter_keys, task_records
from .registry import endpoint
from .store import Record, Store


@endpoint("tasks.get_hyper_params", version="2.9")
def get_hyper_params(store: Store, request: Record) -> Record:
    def items(task: str) -> list[Record]:
        sections = task_records.get(store, task)["hyperparams"].values()
        return [item for section in sections for item in section.values()]

    return {"params": [{"task": task, "hyperparams": items(task)} for task in request["tasks"]]}


@endpoint("tasks.edit_hyper_params")
def edit_hyper_params(store: Store, request: Record) -> Record:
    if not request["hyperparams"]:
        raise errors.invalid("value '[]' length is lower than allowed minimum '1'")
    task = _task(store, request)
    sections = task["hyperparams"]
    given: Record = {}
    for item in request["hyperparams"]:
        given.setdefault(item["section"], {})[item["name"]] = item
    replace = request.get("replace_hyperparams")
    if replace == "all":
        sections = {}
    for section, items in given.items():
        sections[section] = items if replace == "section" else {**sections.get(section, {}), **items}
    task["hyperparams"] = sections
    parameter_keys.written(
        store, task["id"], [item["name"] for item in request["hyperparams"] if item["section"] == "Args"]
    )
    return _updated(task, request)


@endpoint("tasks.delete_hyper_params", version="2.9")
def delete_hyper_params(store: Store, request: Record) -> Record:
    task = _task(store, request)
    for item in request["hyperparams"]:
        if item.get("name"):
            task["hyperparams"].get(item["section"], {}).pop(item["name"], None)
        else:
            task["hyperparams"].pop(item["section"], None)
    return {"deleted": _updated(task, request)["updated"]}


def _task(store: Store, request: Record) -> Record:
    """User properties may change at any time, all else only before the run (or during it, by force)."""
    if _properties_only(request):
        return task_records.get(store, request["task"])
    return task_records.get_updatable(store, request)


def _properties_only(request: Record) -> bool:
    return all(item["section"] == "properties" for item in request["hyperparams"])


def _updated(task: Record, request: Record) -> Record:
    task_records.touch(task, update=not _properties_only(request))
    return {"updated": 1}


@endpoint("tasks.get_configurations", version="2.9")
def get_configurations(store: Store, request: Record) -> Record:
    names = request.get("names")

    def items(task: str) -> list[Record]:
        configuration = task_records.get(store, task)["configuration"]
        return [item for name, item in configuration.items() if not names or name in names]

    return {"configurations": [{"task": task, "configuration": items(task)} for task in request["tasks"]]}


@endpoint("tasks.edit_configuration", version="2.9")
def edit_configuration(store: Store, request: Record) -> Record:
    task = task_records.get_updatable(store, request)
    kept = {} if request.get("replace_configuration") else task["configuration"]
    task["configuration"] = {**kept, **{item["name"]: item for item in request["configuration"]}}
    task_records.touch(task)
    return {"updated": 1}


@endpoint("tasks.delete_configuration", version="2.9")
def delete_configuration(store: Store, request: Record) -> Record:
    task = task_records.get_updatable(store, request)
    for name in request["configuration"]:
        task["configuration"].pop(name, None)
    task_records.touch(task)
    return {"deleted": 1}
