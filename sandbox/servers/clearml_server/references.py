"""References between records, as the `*_ex` calls answer them: an object with the id, and the fields that were named.

`only_fields: ["parent.name"]` answers `{"parent": {"id": …, "name": …}}`, and without `only_fields` each reference is
an object with its id alone (get_many_with_join in apiserver/database/model/base.py, apiserver/database/projection.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .query import project_fields
from .store import USER, USER_NAME, Record, Store

_MODEL = ("user", "project", "task", "parent", "company")
_TASK = (
    *("company", "user", "project", "parent", "execution.queue"),
    *("models.input.model", "models.output.model"),
)
_PROJECT = ("company", "user", "parent")


def task(store: Store, record: Record, only_fields: Iterable[str] | None) -> Record:
    """The task with its references, cut to the fields that were named."""
    return _cut(_joined_task(store, record, depth=2), _TASK, only_fields)


def project(store: Store, record: Record, only_fields: Iterable[str] | None) -> Record:
    """The project with its references, cut to the fields that were named."""
    joined = {**record, "user": _user(record), "company": {"id": record["company"]}}
    if "parent" in record:
        joined["parent"] = _of(store.projects, record["parent"])
    joined.pop("path", None)
    return _cut(joined, _PROJECT, only_fields)


def _cut(record: Record, references: tuple[str, ...], only_fields: Iterable[str] | None) -> Record:
    named = list(only_fields or record)
    paths = ["id", *(path for field in named for path in _with_ids(field, references))]
    return project_fields(record, list(dict.fromkeys(paths)))


def _with_ids(field: str, references: tuple[str, ...]) -> list[str]:
    """The field, and the ids of the references that it goes through; of a bare reference the id alone."""
    if field in references:
        return [f"{field}.id"]
    if below := [reference for reference in references if reference.startswith(f"{field}.")]:
        return [field, *(f"{reference}.id" for reference in below)]
    for reference in references:
        if field.startswith(f"{reference}."):
            rest = field.removeprefix(f"{reference}.")
            nested = _TASK if reference == "parent" else _MODEL if reference.startswith("models.") else ()
            return [f"{reference}.{path}" for path in ("id", *_with_ids(rest, nested))]
    return [field]


def _joined_task(store: Store, record: Record, *, depth: int) -> Record:
    joined = {**record, "company": {"id": record["company"]}, "user": _user(record)}
    if record.get("project"):
        joined["project"] = _of(store.projects, record["project"])
    if record.get("parent"):
        parent = store.tasks.get(record["parent"])
        joined["parent"] = (
            _joined_task(store, parent, depth=depth - 1) if parent and depth else _of(store.tasks, record["parent"])
        )
    if record["execution"].get("queue"):
        joined["execution"] = {**record["execution"], "queue": _of(store.queues, record["execution"]["queue"])}
    joined["models"] = {
        kind: [{**entry, "model": _of(store.models, entry["model"])} for entry in entries]
        for kind, entries in record["models"].items()
    }
    return joined


def _of(records: dict[str, Record], reference: str) -> dict[str, Any]:
    return {**records.get(reference, {}), "id": reference}


def _user(record: Record) -> Record:
    return {"id": record.get("user", USER), "name": USER_NAME}
