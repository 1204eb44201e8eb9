"""The graph of a pipeline run, from the configuration that the SDK writes and the web UI draws."""

from __future__ import annotations

import json
from dataclasses import dataclass

from .store import Record, Store


@dataclass(frozen=True)
class Node:
    """A step of the graph; `task` is None before it has one, and `status` is what the graph shows of it."""

    name: str
    parents: tuple[str, ...]
    status: str
    task: Record | None


def columns(store: Store, run: Record) -> list[list[Node]]:
    """The steps from left to right, each in the column after all that it waits for."""
    steps = _steps(run)
    depths: dict[str, int] = {}
    for _ in steps:  # the longest way has as many steps as there are
        for name, step in steps.items():
            depths[name] = 1 + max((depths.get(parent, -1) for parent in step.get("parents") or []), default=-1)
    found: list[list[Node]] = [[] for _ in range(max(depths.values(), default=-1) + 1)]
    for name, step in steps.items():
        found[depths[name]].append(_node(store, name, step))
    return found


def _steps(run: Record) -> dict[str, Record]:
    text = (run["configuration"].get("Pipeline") or {}).get("value") or "{}"
    try:
        steps = json.loads(text)
    except ValueError:  # it is an ordinary configuration, which users can edit
        return {}
    return {str(n): step for n, step in steps.items() if isinstance(step, dict)} if isinstance(steps, dict) else {}


def _node(store: Store, name: str, step: Record) -> Node:
    task = store.tasks.get(step.get("job_id") or step.get("executed") or "")
    status = str(task["status"] if task else step.get("status") or "pending")
    return Node(name, tuple(step.get("parents") or ()), status, task)
