"""Both servers as their public APIs show them, read directly and not through the proxy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

from tools.faults.truth import World

PAGE = 100
TIMEOUT = 30


@dataclass(frozen=True)
class Addresses:
    """The servers' addresses, and the keys of a user who may see everything."""

    clearml: str
    files: str
    keys: tuple[str, str] = field(repr=False)
    github: str
    token: str = field(repr=False)
    repository: str


def read(servers: Addresses, commits: Iterable[str]) -> World:
    """Everything that the case left, with the statuses of these commits and of all heads."""
    pulls = [_with_comments(servers, pull) for pull in _github(servers, "pulls", state="all")]
    issues = [issue for issue in _github(servers, "issues", state="all") if "pull_request" not in issue]
    every = dict.fromkeys([*commits, *(pull["head"]["sha"] for pull in pulls)])
    return World(
        tasks=tuple(_tasks(servers)),
        commits={commit: _commit(servers, commit) for commit in every},
        pulls=tuple(pulls),
        issues=tuple(_with_comments(servers, issue) for issue in issues),
    )


def statuses(servers: Addresses, commit: str) -> list[dict[str, Any]]:
    """The statuses of a commit, newest first."""
    return list(_github(servers, f"commits/{commit}/statuses"))


def live_tasks(servers: Addresses) -> list[dict[str, Any]]:
    """The tasks that have not ended."""
    live = {"status": ["queued", "in_progress"], "search_hidden": True}
    return list(_call(servers, "tasks.get_all", **live)["tasks"])


def _commit(servers: Addresses, commit: str) -> dict[str, Any]:
    runs = _github(servers, f"commits/{commit}/check-runs", key="check_runs")
    return {"statuses": statuses(servers, commit), "check_runs": list(runs)}


def _with_comments(servers: Addresses, issue: Mapping[str, Any]) -> dict[str, Any]:
    return {**issue, "comments": list(_github(servers, f"issues/{issue['number']}/comments"))}


def _github(servers: Addresses, resource: str, *, key: str = "", **query: str) -> Iterator[dict[str, Any]]:
    url = f"{servers.github}/repos/{servers.repository}/{resource}"
    headers = {"Authorization": f"Bearer {servers.token}"}
    page = 1
    while True:
        parameters = {**query, "per_page": str(PAGE), "page": str(page)}
        answer = requests.get(url, params=parameters, headers=headers, timeout=TIMEOUT)
        answer.raise_for_status()
        found = answer.json()[key] if key else answer.json()
        yield from found
        if len(found) < PAGE:
            return
        page += 1


def _tasks(servers: Addresses) -> Iterator[dict[str, Any]]:
    projects = _call(servers, "projects.get_all", search_hidden=True)["projects"]
    names = {project["id"]: project["name"] for project in projects}
    for task in _call(servers, "tasks.get_all", search_hidden=True, page=0, page_size=500)["tasks"]:
        artifacts = (task.get("execution") or {}).get("artifacts") or []
        files = {artifact["key"]: _download(servers, artifact.get("uri") or "") for artifact in artifacts}
        yield {**task, "place": names.get(task.get("project"), ""), "console": _console(servers, task), "files": files}


def _console(servers: Addresses, task: Mapping[str, Any]) -> str:
    found = _call(
        servers, "events.get_task_log", task=task["id"], batch_size=10_000, order="asc", navigate_earlier=True
    )
    return "\n".join(str(event.get("msg") or "") for event in found.get("events", []))


def _download(servers: Addresses, uri: str) -> str:
    """A file, whose address was written with the proxy's name of the file server."""
    if not uri.startswith("http"):
        return ""
    answer = requests.get(servers.files + urlsplit(uri).path, timeout=TIMEOUT)
    return answer.text if answer.ok else ""


def _call(servers: Addresses, endpoint: str, **body: Any) -> dict[str, Any]:
    answer = requests.post(f"{servers.clearml}/{endpoint}", json=body, auth=servers.keys, timeout=TIMEOUT)
    answer.raise_for_status()
    data: dict[str, Any] = answer.json()["data"]
    return data
