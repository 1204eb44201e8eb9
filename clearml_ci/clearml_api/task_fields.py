"""Read chosen fields of tasks by their ids, and write runtime properties."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clearml_ci.clearml_api import paging
from clearml_ci.clearml_api.paging import Record
from clearml_ci.clearml_api.session import ClearML, ClearMLError, TaskGoneError


def read(clearml: ClearML, task: str, fields: Sequence[str]) -> Record:
    """The fields of one task, with its id. Raises TaskGoneError if it does not exist."""
    (found,) = read_all(clearml, [task], fields)
    return found


def read_all(clearml: ClearML, tasks: Iterable[str], fields: Sequence[str]) -> list[Record]:
    """The fields of these tasks, in their order, each once. Raises TaskGoneError if one does not exist."""
    ids = list(dict.fromkeys(require_id(task) for task in tasks))
    by_id = read_existing(clearml, ids, fields)
    require(by_id, ids)
    return [by_id[task] for task in ids]


def require(found: Mapping[str, object], tasks: Iterable[str]) -> None:
    """Refuse to go on if one of these tasks was not found. Raises TaskGoneError."""
    for task in tasks:
        if task not in found:
            raise TaskGoneError(f"no ClearML task {task}: it does not exist, or was deleted; start a new run")


def read_existing(clearml: ClearML, tasks: Sequence[str], fields: Sequence[str]) -> dict[str, Record]:
    """The fields of those of these tasks that exist, by id: one request for each 500."""
    if not tasks:
        return {}  # an empty list filters nothing
    only_fields = ["id", *(field for field in fields if field != "id")]
    return {task["id"]: task for task in paging.records(clearml, "tasks", id=list(tasks), only_fields=only_fields)}


def require_id(task: str) -> str:
    """The id itself. Raises ClearMLError if it is empty: several endpoints would answer with another user's task."""
    if not task:
        raise ClearMLError("an empty task id: nothing was requested or changed; rerun with the id of a task")
    return task


def reference_id(reference: object) -> str:
    """The id of a reference such as `parent`, which `get_all_ex` answers as an object if it knows the name."""
    return str(reference.get("id") or "") if isinstance(reference, dict) else str(reference or "")


def add_runtime(clearml: ClearML, task: str, properties: Mapping[str, str], **fields: str) -> dict[str, Any]:
    """Set runtime properties, and fields in the same request; the properties that were there before.

    `tasks.edit` replaces all of them, so the present ones are read and kept.
    """
    present: dict[str, Any] = read(clearml, task, ["runtime"]).get("runtime") or {}
    clearml.call("tasks.edit", task=task, runtime={**present, **properties}, force=True, **fields)
    return present
