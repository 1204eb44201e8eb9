"""The `models.*` endpoints."""

from __future__ import annotations

from . import errors, task_records
from .query import Fields, project_fields, select
from .registry import endpoint
from .store import COMPANY, USER, Record, Store, new_id, now, unique_sorted

FIELDS = Fields(
    patterns=("name", "comment"),
    lists=("tags", "system_tags", "framework", "uri", "id", "user", "project", "task", "parent"),
    dates=("last_update", "last_change"),
    equals=("ready",),
)
_EDITABLE = (
    *("name", "tags", "system_tags", "task", "comment", "uri", "project", "parent", "framework", "design"),
    *("labels", "ready"),
)


@endpoint("models.create")
def create(store: Store, request: Record) -> Record:
    model: Record = {
        "id": new_id(),
        "company": COMPANY,
        "user": USER,
        "created": now(),
        "ready": True,
        "tags": [],
        "system_tags": [],
        "design": {},
        "labels": {},
        "metadata": {},
        "last_iteration": 0,
        "last_metrics": {},
    }
    _write(model, request)
    store.models[model["id"]] = model
    return {"created": True, "id": model["id"]}


def _write(model: Record, request: Record) -> Record:
    fields = {name: request[name] for name in _EDITABLE if request.get(name) is not None}
    task_records.check_name(fields.get("name"))
    for name in fields.keys() & {"tags", "system_tags"}:
        fields[name] = unique_sorted(fields[name])
    model.update(fields)
    task_records.touch(model)
    return fields


def _get(store: Store, model: str) -> Record:
    if model not in store.models:
        raise errors.bad_request(201, "Invalid model id", id=model, company=COMPANY)
    return store.models[model]


@endpoint("models.edit")
def edit(store: Store, request: Record) -> Record:
    model = _get(store, request["model"])
    fields = _write(model, request)
    model["last_iteration"] = max(model["last_iteration"], request.get("iteration") or 0)
    times = {name: model[name] for name in ("last_change", "last_changed_by", "last_update")}
    return {"fields": {**fields, "ui_cache": {}, **times}, "updated": 1}


@endpoint("models.update")
def update(store: Store, request: Record) -> Record:
    return edit(store, request)


@endpoint("models.update_for_task")
def update_for_task(store: Store, request: Record) -> Record:
    """Replace the uri of the task's output model, or make one."""
    task = task_records.get(store, request["task"])
    outputs = task["models"]["output"]
    if outputs:
        model = outputs[-1]["model"]
        _write(_get(store, model), request)
        return {"id": model, "created": False, "updated": 1, "fields": {}}
    made = create(store, {"name": f"{task['name']} - model", "project": task.get("project"), **request})
    outputs.append({"name": "Output Model", "model": made["id"], "updated": now()})
    return made


@endpoint("models.get_by_id")
def get_by_id(store: Store, request: Record) -> Record:
    return {"model": _get(store, request["model"])}


@endpoint("models.get_all")
def get_all(store: Store, request: Record) -> Record:
    found = select(store.models.values(), request, FIELDS)
    return {"models": [project_fields(model, request.get("only_fields")) for model in found]}


@endpoint("models.get_all_ex")
def get_all_ex(store: Store, request: Record) -> Record:
    return get_all(store, request)


@endpoint("models.set_ready")
def set_ready(store: Store, request: Record) -> Record:
    model = _get(store, request["model"])
    if model["ready"] and not request.get("force_publish_task"):
        raise errors.bad_request(203, "Model is ready", company=COMPANY, model=model["id"])
    model["ready"] = True
    task_records.touch(model)
    return {"fields": {}, "updated": 1}


@endpoint("models.add_or_update_metadata", version="2.13")
def add_or_update_metadata(store: Store, request: Record) -> Record:
    model = _get(store, request["model"])
    model["metadata"] |= {item["key"]: item for item in request["metadata"]}
    return {"updated": 1}


@endpoint("models.delete")
def delete(store: Store, request: Record) -> Record:
    model = _get(store, request["model"])
    del store.models[model["id"]]
    return {"deleted": True, "url": model.get("uri")}
