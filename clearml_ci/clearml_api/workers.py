"""The workers that the server lists. `ci_trigger.py agents` takes its own off the list, and creates their queues."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from clearml_ci.clearml_api import paging
from clearml_ci.clearml_api.session import ClearML, ClearMLError

_SEEN_WITHIN = 90  # seconds: a worker counts if it reported to the server within this time


@dataclass(frozen=True)
class Worker:
    """An agent as the server knows it: its queues' names, and the name and id of the task that it executes, if any."""

    id: str
    queues: tuple[str, ...]
    task: str
    task_id: str
    running_seconds: float


def worker_records(clearml: ClearML) -> list[dict[str, Any]]:
    """The workers that reported in the last 90 s, as the server has them."""
    found: list[dict[str, Any]] = clearml.call("workers.get_all", last_seen=_SEEN_WITHIN).get("workers", [])
    return found


def listed(clearml: ClearML) -> dict[str, Worker]:
    """The workers that reported in the last 90 s, by id."""
    return {
        str(record["id"]): Worker(
            id=str(record["id"]),
            queues=tuple(str(queue.get("name")) for queue in record.get("queues") or ()),
            task=str((record.get("task") or {}).get("name") or ""),
            task_id=str((record.get("task") or {}).get("id") or ""),
            running_seconds=float((record.get("task") or {}).get("running_time") or 0) / 1000,
        )
        for record in worker_records(clearml)
    }


def unregister(clearml: ClearML, names: Iterable[str]) -> None:
    """Take workers that are still listed off the server's list, if it answers."""
    with contextlib.suppress(ClearMLError):
        for name in {*names} & listed(clearml).keys():
            clearml.call("workers.unregister", worker=name)


def create_missing_queues(clearml: ClearML, names: Iterable[str]) -> list[str]:
    """Create the queues of these names that do not exist; return their names."""
    existing = {str(queue["name"]) for queue in paging.records(clearml, "queues", only_fields=["name"])}
    missing = [name for name in dict.fromkeys(names) if name not in existing]
    for name in missing:
        clearml.call("queues.create", name=name)
    return missing
