"""Delete everything that carries a run's prefix from a ClearML server that is not the sandbox's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sandbox.runtime.clearml_access import ClearMLError, Client

PAGE = 500


def delete(client: Client, prefix: str, progress: Callable[[str], None] = print) -> None:
    """Deletes tasks, projects and queues whose names begin with `prefix`, through the API."""
    if len(prefix) < 8:
        raise ValueError(f"refusing to delete everything that begins with '{prefix}'")
    pattern = f"^{re.escape(prefix)}"
    projects = client.call("projects.get_all", name=pattern, search_hidden=True, only_fields=["id", "name"])["projects"]
    tasks = _delete_tasks(client, [project["id"] for project in projects])
    for project in sorted(projects, key=lambda project: len(project["name"]), reverse=True):
        _attempt(client, progress, "projects.delete", project=project["id"], force=True, delete_contents=True)
    queues = client.call("queues.get_all", name=pattern, search_hidden=True, only_fields=["id", "name"])["queues"]
    for queue in queues:
        _attempt(client, progress, "queues.delete", queue=queue["id"], force=True)
    progress(f"deleted {tasks} tasks, {len(projects)} projects and {len(queues)} queues of {prefix}")


def _delete_tasks(client: Client, projects: list[str]) -> int:
    """A task at a time, its artifacts first; a running one is no obstacle once its agent has ended."""
    deleted = 0
    while projects:
        tasks = client.call(
            "tasks.get_all",
            project=projects,
            only_fields=["id", "execution.artifacts"],
            search_hidden=True,
            page=0,
            page_size=PAGE,
        )["tasks"]
        for task in tasks:
            _delete_artifacts(client, task)
            client.call("tasks.delete", task=task["id"], force=True)
            deleted += 1
        if len(tasks) < PAGE:
            break
    return deleted


def _delete_artifacts(client: Client, task: dict[str, Any]) -> None:
    for artifact in (task.get("execution") or {}).get("artifacts") or []:
        client.delete_file(artifact.get("uri", ""))


def _attempt(client: Client, progress: Callable[[str], None], endpoint: str, **body: object) -> None:
    try:
        client.call(endpoint, **body)
    except ClearMLError as error:
        progress(f"could not be deleted: {error}")
