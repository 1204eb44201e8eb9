"""What an audit asks, in requests whose number grows with projects, not with tasks. A part of the ClearML gateway.

Live tasks are asked for by their status, which every server filters on, and not by their mark: servers before 1.10 do
not know a filter on `runtime`, and ignore it in silence.
"""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from clearml.backend_api.session import Session

from clearml_ci.clearml_api import pipeline_runs, run_cancellation, task_launch, task_records, worker_queues
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.pipeline_runs import PIPELINES, SUPERSEDED, TEMPLATE_MARK
from clearml_ci.clearml_api.session import ENDED, LIVE, MARKS, MOST, ClearML
from clearml_ci.core.errors import UsageError, nearest
from clearml_ci.core.gate import Gate
from clearml_ci.core.poll import Clock
from clearml_ci.decisions.audit_findings import Queue, Tasks, Template
from clearml_ci.decisions.leftovers import KnownRun, LiveTask
from clearml_ci.parameters import check

_MOST_COMMITS = 250  # in one filter, a regex of 10 kB; `github_reads.recent_commits` tells 200 at most


_DELETED = "__DELETED__"  # what servers put before the id of a parent that was deleted


_LIVE_FIELDS = ["name", "type", "status", "parent", "project.name", f"hyperparams.properties.{SUPERSEDED}", *MARKS]


@dataclass(frozen=True)
class Project:
    """A ClearML project and its page."""

    id: str
    name: str
    url: str


def projects(clearml: ClearML) -> list[Project]:
    """All projects of the workspace, hidden ones included."""
    host = Session.get_app_server_host()
    found = clearml_session.every(clearml, "projects", only_fields=["id", "name"])
    return [Project(one["id"], one["name"], f"{host}/projects/{one['id']}") for one in found]


def named(every: Sequence[Project], names: Iterable[str]) -> list[Project]:
    """The projects of these names; `name/*` is all below `name`. Raises UsageError where one does not exist."""
    found: dict[str, Project] = {}
    shown = [project for project in every if ".pipelines" not in project.name]
    for name in names:
        below = name.removesuffix("*") if name.endswith("/*") else None
        matching = [p for p in shown if (p.name.startswith(below) if below else p.name == name)]
        if not matching:
            raise UsageError(f"no ClearML project '{name}'{nearest(name, [p.name for p in shown], what='projects')}")
        found |= {project.id: project for project in matching}
    return list(found.values())


def checked_projects(clearml: ClearML, every: Sequence[Project], *, root: str) -> list[Project]:
    """The projects that the newest 500 checks of the pipeline project `root` were asked about: one request."""
    where = [project.id for project in every if project.name == f"{root}{PIPELINES}{check.PIPELINE}"]
    if not where:
        return []
    checks = clearml.call(
        "tasks.get_all_ex",
        project=where,
        type=["controller"],
        only_fields=["id", "hyperparams.Args.project"],
        order_by=["-created"],
        page=0,
        page_size=MOST,
        search_hidden=True,
    )["tasks"]
    asked = {clearml_session.values(one, "Args").get("project", "") for one in checks}
    return [project for project in every if project.name in asked]


def bests(
    clearml: ClearML, *, projects: Sequence[str] | None, task_name: str, tag: str, gates: Sequence[Gate]
) -> Tasks:
    """The tasks that carry the tag in these projects (ids), or in all, with their metrics, newest first."""
    where = {"project": list(projects)} if projects is not None else {}
    if projects is not None and not projects:
        return []  # an empty list filters nothing
    return list(task_records.matching(clearml, gates, tags=[tag], order_by=["-started"], **_named(task_name), **where))


def of_commits(
    clearml: ClearML, commits: Sequence[str], *, projects: Sequence[str], task_name: str, gates: Sequence[Gate]
) -> Tasks:
    """The tasks of these projects (ids) that ran one of these commits, newest first; the first 250 commits count."""
    if not commits or not projects:
        return []
    pattern = f"^({'|'.join(commits[:_MOST_COMMITS])})$"
    found = task_records.matching(
        clearml,
        gates,
        project=list(projects),
        _all_={"fields": ["script.version_num"], "pattern": pattern},
        order_by=["-started"],
        **_named(task_name),
    )
    return [(task, reported) for task, reported in found if task.commit in commits]


def _named(task_name: str) -> dict[str, str]:
    return {"name": f"^{re.escape(task_name)}$"} if task_name else {}


def live_tasks(clearml: ClearML) -> list[LiveTask]:
    """All tasks of the workspace that are queued or in progress."""
    found = clearml_session.every(clearml, "tasks", status=list(LIVE), only_fields=_LIVE_FIELDS, order_by=["created"])
    return [_live(clearml, task) for task in found]


def runs_of(clearml: ClearML, tasks: Iterable[LiveTask], *, root: str) -> dict[str, KnownRun]:
    """The runs of the pipeline project `root` that these tasks name, by their ids."""
    ids = sorted({one for task in tasks for one in (task.run, task.parent) if one})
    if not ids:
        return {}  # an empty list filters nothing
    found = clearml_session.every(clearml, "tasks", id=ids, only_fields=["type", "status", "project.name"])
    return {
        task["id"]: KnownRun(task["id"], ended=task["status"] in ENDED)
        for task in found
        if task.get("type") == "controller" and _project(task).startswith(f"{root}{PIPELINES}")
    }


def stop(clearml: ClearML, task: LiveTask, *, clock: Clock) -> None:
    """End a task that carries our mark; a controller with its steps, and a probe is archived as well."""
    reason = "ClearML CI: the audit found it left over"
    if task.run == task.id:
        run_cancellation.stop(clearml, task.id, reason=reason, clock=clock)
    else:
        archive = task.purpose == "probe"
        task_launch.end(clearml, task.id, run=task.run, archive=archive, reason=reason, clock=clock)


def _live(clearml: ClearML, task: Mapping[str, Any]) -> LiveTask:
    return LiveTask(
        id=task["id"],
        name=task.get("name") or "",
        url=clearml.task_url(task),
        status=task["status"],
        project=_project(task),
        parent=_id(task.get("parent")).removeprefix(_DELETED),
        controller=task.get("type") == "controller",
        run=clearml_session.run_of(task),
        purpose=clearml_session.purpose_of(task),
        superseded_by=pipeline_runs.superseded_by(task),
    )


def queues(clearml: ClearML, names: Iterable[str]) -> list[Queue]:
    """How the queues of these names are served."""
    found = {one["name"]: one for one in clearml_session.every(clearml, "queues", only_fields=["name", "entries"])}
    workers = clearml.call("workers.get_all", last_seen=worker_queues.WATCHED_WITHIN).get("workers", [])
    served = [queue.get("name") for worker in workers for queue in worker.get("queues", [])]
    url = f"{Session.get_app_server_host()}/workers-and-queues/queues"
    return [_queue(name, url, found.get(name), served.count(name)) for name in names]


def _queue(name: str, url: str, record: Mapping[str, Any] | None, workers: int) -> Queue:
    entries = (record or {}).get("entries") or []
    waits = max((_age(entry["added"]) for entry in entries), default=0.0)
    return Queue(name, url, exists=record is not None, workers=workers, entries=len(entries), waits=waits)


def templates(clearml: ClearML, every: Sequence[Project], *, root: str) -> list[Template]:
    """The drafts of the pipeline project `root` that are or were templates."""
    where = [project.id for project in every if project.name.startswith(f"{root}{PIPELINES}")]
    if not where:
        return []
    found = clearml_session.every(
        clearml,
        "tasks",
        project=where,
        type=["controller"],
        status=["created"],
        system_tags=["-archived"],
        only_fields=[f"runtime.{TEMPLATE_MARK}", "script.version_num", "created"],
        order_by=["created"],
    )
    drafts = [draft for draft in found if (draft.get("runtime") or {}).get(TEMPLATE_MARK) == draft["id"]]
    return [Template((draft.get("script") or {}).get("version_num") or "", _age(draft["created"])) for draft in drafts]


def version_of(clearml: ClearML, run: str) -> str:
    """The commit of ClearML CI that a run's agents run."""
    found = clearml_session.every(clearml, "tasks", id=[run], only_fields=["script.version_num"]) if run else iter(())
    return next(((task.get("script") or {}).get("version_num") or "" for task in found), "")


def _project(task: Mapping[str, Any]) -> str:
    return str((task.get("project") or {}).get("name") or "")


def _id(reference: object) -> str:
    """An id, which `get_all_ex` answers as an object where it knows the name."""
    return str(reference.get("id") or "") if isinstance(reference, dict) else str(reference or "")


def _age(moment: str) -> float:
    """Seconds since a time of the server's."""
    then = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    then = then if then.tzinfo else then.replace(tzinfo=timezone.utc)
    return max(0.0, time.time() - then.timestamp())
