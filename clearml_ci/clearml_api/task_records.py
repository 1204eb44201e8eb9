"""Read tasks as evidence: what a task ran, how it ended, and its values of the gates' metrics."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from clearml_ci.clearml_api import ownership, paging, task_fields, task_metrics
from clearml_ci.clearml_api.paging import PAGE
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.gate import Gate, Reported
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import copied_tag

STAMP = "clearml_ci_best_since"  # a runtime property


Measured = tuple[RecordedTask, Reported]


_MOST_COMMITS = 250  # in one filter, a regex of 10 kB; `git_history.recent_commits` returns 200 at most


_FIELDS = [
    *("id", "name", "project.id", "project.name", "status", "system_tags", "started", "created", "parent"),
    *("script.version_num", "script.repository", "script.diff"),
    *(f"runtime.{STAMP}", *ownership.FIELDS),
]


def read(clearml: ClearML, task: str) -> RecordedTask:
    """One task, as decisions and verdicts need it. Raises TaskGoneError if it does not exist."""
    return _recorded(clearml, task_fields.read(clearml, task, _FIELDS))


def with_metrics(clearml: ClearML, tasks: Sequence[str], gates: Sequence[Gate]) -> dict[str, Measured]:
    """These tasks with the gates' metrics, by id. Raises TaskGoneError if one does not exist."""
    found = task_fields.read_all(clearml, tasks, [*_FIELDS, *task_metrics.fields(gates)])
    return {task["id"]: (_recorded(clearml, task), task_metrics.reported(task, gates)) for task in found}


def of_commit(clearml: ClearML, *, commit: str, project: str | None, task_name: str) -> Iterator[RecordedTask]:
    """The tasks that ran this commit, newest first, in any status, archived ones included: 100 a request.

    `project` is an id, or None for the whole workspace. ClearML filters commits by an unanchored, case-insensitive
    regex: it is anchored here, and the decision checks equality again.
    """
    found = paging.records(
        clearml,
        "tasks",
        page_size=PAGE,
        only_fields=_FIELDS,
        order_by=["-started"],
        **_with_commits([commit]),
        **_named(task_name),
        **_in_projects(None if project is None else [project]),
    )
    return (_recorded(clearml, task) for task in found)


def of_commits(
    clearml: ClearML, commits: Sequence[str], *, projects: Sequence[str], task_name: str, gates: Sequence[Gate]
) -> list[Measured]:
    """The tasks of these projects (ids) that ran one of the first 250 of these commits, with metrics, newest first."""
    if not commits or not projects:
        return []
    filters = {**_with_commits(commits[:_MOST_COMMITS]), **_named(task_name), **_in_projects(projects)}
    return [found for found in _matching(clearml, gates, **filters) if found[0].commit in commits]


def tagged(
    clearml: ClearML, tag: str, *, projects: Sequence[str] | None, task_name: str, gates: Sequence[Gate]
) -> list[Measured]:
    """The tasks that carry a tag, with metrics, newest first, in any status, archived ones included.

    `projects` are ids, or None for the whole workspace. Clones that copied the tag have their `copied_from`.
    """
    if projects is not None and not projects:
        return []  # an empty list filters nothing
    found = list(_matching(clearml, gates, tags=[tag], **_named(task_name), **_in_projects(projects)))
    tasks = [task for task, _ in found]
    copied = copied_tag.sources(tasks, _stamps(clearml, copied_tag.unknown_parents(tasks), tag))
    return [(replace(task, copied_from=copied.get(task.id, "")), reported) for task, reported in found]


def _stamps(clearml: ClearML, tasks: Sequence[str], tag: str) -> dict[str, str]:
    """The stamps, as texts, of those of these tasks that carry the tag."""
    found = task_fields.read_existing(clearml, tasks, ["tags", f"runtime.{STAMP}"])
    return {id_: _stamp(task) for id_, task in found.items() if tag in (task.get("tags") or [])}


def _matching(clearml: ClearML, gates: Sequence[Gate], **filters: Any) -> Iterator[Measured]:
    fields = [*_FIELDS, *task_metrics.fields(gates)]
    for task in paging.records(clearml, "tasks", only_fields=fields, order_by=["-started"], **filters):
        yield _recorded(clearml, task), task_metrics.reported(task, gates)


def _with_commits(commits: Sequence[str]) -> dict[str, Any]:
    return {"_all_": {"fields": ["script.version_num"], "pattern": f"^({'|'.join(commits)})$"}}


def _named(task_name: str) -> dict[str, str]:
    return {"name": f"^{re.escape(task_name)}$"} if task_name else {}


def _in_projects(projects: Sequence[str] | None) -> dict[str, list[str]]:
    return {} if projects is None else {"project": list(projects)}


def _recorded(clearml: ClearML, task: Mapping[str, Any]) -> RecordedTask:
    script, project = task.get("script") or {}, task.get("project") or {}
    return RecordedTask(
        id=task["id"],
        name=task.get("name") or "",
        project_id=project.get("id") or "",
        project=project.get("name") or "",
        status=task.get("status") or "",
        commit=script.get("version_num") or "",
        repository=script.get("repository") or "",
        diff=script.get("diff") or "",
        archived="archived" in (task.get("system_tags") or []),
        url=clearml.task_url(task),
        purpose=ownership.purpose_of(task),
        stamp=_stamp(task),
        started=task.get("started") or "",
        created=task.get("created") or "",
        parent=task_fields.reference_id(task.get("parent")),
    )


def _stamp(task: Mapping[str, Any]) -> str:
    return str((task.get("runtime") or {}).get(STAMP) or "")
