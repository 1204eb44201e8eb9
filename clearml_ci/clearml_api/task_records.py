"""Read tasks as evidence: what a task ran, how it ended, and its values of the gates' metrics."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from clearml_ci.clearml_api import ownership, paging, task_fields, task_inputs, task_metrics
from clearml_ci.clearml_api.paging import PAGE, Record
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.comparability import Inputs
from clearml_ci.core.gate import Gate, Reported
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import copied_tag

STAMP, REFERENCE_STAMP = "clearml_ci_best_since", "clearml_ci_reference_since"  # runtime properties


Measured = tuple[RecordedTask, Reported]


_MOST_COMMITS = 250  # in one filter, a regex of 10 kB; `merge_history.recent` returns 200 at most


_FIELDS = [
    *("id", "name", "project.id", "project.name", "status", "system_tags", "started", "completed", "created", "parent"),
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


def existing(clearml: ClearML, tasks: Sequence[str], gates: Sequence[Gate]) -> dict[str, Measured]:
    """Those of these tasks that exist, with the gates' metrics, by id: one request."""
    found = task_fields.read_existing(clearml, tasks, [*_FIELDS, *task_metrics.fields(gates)])
    return {id_: (_recorded(clearml, task), task_metrics.reported(task, gates)) for id_, task in found.items()}


def with_tags(clearml: ClearML, tasks: Sequence[str]) -> dict[str, tuple[RecordedTask, list[str]]]:
    """Those of these tasks that exist, with the stamps and the tags of a reference, by id: one request."""
    found = task_fields.read_existing(clearml, tasks, [*_FIELDS, "tags", f"runtime.{REFERENCE_STAMP}"])
    return {
        id_: (replace(_recorded(clearml, task), stamp=_stamp(task, REFERENCE_STAMP)), task.get("tags") or [])
        for id_, task in found.items()
    }


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


def of_all_commits(
    clearml: ClearML, commits: Sequence[str], *, project: str | None, task_name: str, gates: Sequence[Gate]
) -> list[Measured]:
    """The tasks that ran one of these commits, with metrics, newest first: a request for each 250 commits.

    `project` is an id, or None for the whole workspace.
    """
    own = {**_named(task_name), **_in_projects(None if project is None else [project])}
    pages = (commits[start : start + _MOST_COMMITS] for start in range(0, len(commits), _MOST_COMMITS))
    known = {*commits}
    found = (found for page in pages for found in _matching(clearml, gates, **_with_commits(page), **own))
    return [(task, values) for task, values in found if task.commit.lower() in known]


def tagged(
    clearml: ClearML, tag: str, *, projects: Sequence[str] | None, task_name: str, gates: Sequence[Gate]
) -> list[Measured]:
    """The tasks that carry a tag, with metrics, newest first, in any status, archived ones included.

    `projects` are ids, or None for the whole workspace. Clones that copied the tag have their `copied_from`.
    """
    return by_tag(clearml, {tag: STAMP}, projects=projects, task_name=task_name, gates=gates)[tag]


def by_tag(
    clearml: ClearML,
    tags: Mapping[str, str],
    *,
    projects: Sequence[str] | None,
    task_name: str,
    gates: Sequence[Gate],
) -> dict[str, list[Measured]]:
    """The tasks that carry each of these tags, as those of `tagged`, by tag; all in one request.

    `tags` have the runtime property in which a promotion stamps the tasks to which it gives the tag.
    """
    if projects is not None and not projects:
        return {tag: [] for tag in tags}  # an empty list filters nothing
    filters = {"tags": list(tags), **_named(task_name), **_in_projects(projects)}
    return _by_tag(clearml, list(_records(clearml, gates, _of_tags(tags), **filters)), tags, gates)


def _of_tags(tags: Mapping[str, str]) -> list[str]:
    return ["tags", *(f"runtime.{stamp}" for stamp in sorted({*tags.values()}))]


def _by_tag(
    clearml: ClearML, found: Sequence[Record], tags: Mapping[str, str], gates: Sequence[Gate]
) -> dict[str, list[Measured]]:
    carriers = {tag: [task for task in found if tag in (task.get("tags") or [])] for tag in tags}
    recorded = {
        tag: [replace(_recorded(clearml, task), stamp=_stamp(task, tags[tag])) for task in tasks]
        for tag, tasks in carriers.items()
    }
    unknown = sorted({parent for tasks in recorded.values() for parent in copied_tag.unknown_parents(tasks)})
    parents = task_fields.read_existing(clearml, unknown, _of_tags(tags))
    return {
        tag: _with_sources(
            tasks,
            {id_: _stamp(task, tags[tag]) for id_, task in parents.items() if tag in (task.get("tags") or [])},
            [task_metrics.reported(task, gates) for task in carriers[tag]],
        )
        for tag, tasks in recorded.items()
    }


@dataclass(frozen=True)
class Related:
    """Tasks by their ids and by their tags, and the inputs of all of them."""

    by_id: dict[str, Measured]
    by_tag: dict[str, list[Measured]]
    inputs: dict[str, Inputs]


def related(
    clearml: ClearML,
    ids: Sequence[str],
    tags: Mapping[str, str],
    *,
    project: str,
    task_name: str,
    gates: Sequence[Gate],
) -> Related:
    """Those of these tasks that are in a project, and its tasks with these tags, as `by_tag`: all in one request.

    ClearML joins filters by a regex alone, which knows no case: both are compared once more here.
    """
    pattern = "|".join(map(re.escape, [*ids, *tags]))
    filters = {"_any_": {"fields": ["id", "tags"], "pattern": f"^({pattern})$"}, "project": [project]}
    fields = [*_of_tags(tags), *task_inputs.FIELDS]
    found = list(_records(clearml, gates, fields, **filters, **_named(task_name)))
    by_id = {task["id"]: (_recorded(clearml, task), task_metrics.reported(task, gates)) for task in found}
    return Related(
        {id_: by_id[id_] for id_ in ids if id_ in by_id},
        _by_tag(clearml, found, tags, gates),
        {task["id"]: task_inputs.of(task) for task in found},
    )


def newest_tagged(
    clearml: ClearML,
    tags: Sequence[str],
    *,
    projects: Sequence[str] | None,
    task_name: str,
    gates: Sequence[Gate],
    most: int,
) -> list[Measured]:
    """The `most` tasks with one of these tags that started last, at most 500: one request, however many there are."""
    if projects is not None and not projects:
        return []
    filters = {"tags": list(tags), **_named(task_name), **_in_projects(projects)}
    found = list(islice(_records(clearml, gates, [], page_size=most, **filters), most))
    reported = [task_metrics.reported(task, gates) for task in found]
    return _with_sources([_recorded(clearml, task) for task in found], {}, reported)


def _with_sources(
    tasks: Sequence[RecordedTask], parents: Mapping[str, str], reported: Sequence[Reported]
) -> list[Measured]:
    """Tasks with a tag and what they reported: clones that copied it have their `copied_from`."""
    copied = copied_tag.sources(tasks, parents)
    return [
        (replace(task, copied_from=copied.get(task.id, "")), values)
        for task, values in zip(tasks, reported, strict=True)
    ]


def _matching(clearml: ClearML, gates: Sequence[Gate], **filters: Any) -> Iterator[Measured]:
    for task in _records(clearml, gates, [], **filters):
        yield _recorded(clearml, task), task_metrics.reported(task, gates)


def _records(
    clearml: ClearML, gates: Sequence[Gate], fields: Sequence[str], **filters: Any
) -> Iterator[dict[str, Any]]:
    fields = [*_FIELDS, *fields, *task_metrics.fields(gates)]
    return paging.records(clearml, "tasks", only_fields=fields, order_by=["-started"], **filters)


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
        ended=task.get("completed") or "",
        created=task.get("created") or "",
        parent=task_fields.reference_id(task.get("parent")),
        series=task_metrics.series_kept(task),
    )


def _stamp(task: Mapping[str, Any], name: str = STAMP) -> str:
    return str((task.get("runtime") or {}).get(name) or "")
