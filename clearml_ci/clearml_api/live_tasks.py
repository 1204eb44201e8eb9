"""The tasks of the workspace that are queued or run, and the runs that made them: what the audit cleans up.

Live tasks are found by their status, which every server filters on, and not by their mark: servers before 1.10 do not
know a filter on `runtime`, and ignore it silently.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from clearml_ci.clearml_api import (
    ownership,
    paging,
    pipeline_runs,
    run_cancellation,
    server_time,
    task_cancellation,
    task_fields,
)
from clearml_ci.clearml_api.pipeline_runs import SUPERSEDED
from clearml_ci.clearml_api.project_lookup import PIPELINES
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.clearml_api.task_status import ENDED, LIVE
from clearml_ci.core.poll import Clock
from clearml_ci.decisions.leftovers import KnownRun, LiveTask

_DELETED = "__DELETED__"  # servers put it before the id of a parent that was deleted


_FIELDS = [
    *("name", "type", "status", "status_message", "parent", "project.name"),
    *("started", "completed", "status_changed", "last_update", "last_worker_report"),
    *(f"hyperparams.properties.{SUPERSEDED}", *ownership.FIELDS),
]


def read(clearml: ClearML, *, clock: Clock) -> list[LiveTask]:
    """All tasks of the workspace that are queued or in progress, oldest first."""
    found = paging.records(clearml, "tasks", status=list(LIVE), only_fields=_FIELDS, order_by=["created"])
    return [_live(clearml, task, clock.now()) for task in found]


def _live(clearml: ClearML, task: Mapping[str, Any], now: float) -> LiveTask:
    return LiveTask(
        id=task["id"],
        name=task.get("name") or "",
        url=clearml.task_url(task),
        status=task["status"],
        project=_project(task),
        parent=task_fields.reference_id(task.get("parent")).removeprefix(_DELETED),
        controller=task.get("type") == "controller",
        run=ownership.run_of(task),
        purpose=ownership.purpose_of(task),
        superseded_by=pipeline_runs.superseded_by(task),
        started=task.get("started") or "",
        completed=task.get("completed") or "",
        status_changed=task.get("status_changed") or "",
        stopping="stopping" in (task.get("status_message") or ""),
        silent=server_time.age(clearml, server_time.sign_of_life(task), now=now),
    )


def runs_of(clearml: ClearML, ids: Iterable[str], *, root: str) -> dict[str, KnownRun]:
    """Those of these tasks that are runs below the pipeline project `root`, by id."""
    found = task_fields.read_existing(
        clearml, sorted({*ids} - {""}), ["type", "status", "status_changed", "project.name"]
    )
    return {
        run: KnownRun(run, ended=task["status"] in ENDED, ended_at=task.get("status_changed") or "")
        for run, task in found.items()
        if task.get("type") == "controller" and _project(task).startswith(f"{root}{PIPELINES}")
    }


def _project(task: Mapping[str, Any]) -> str:
    return str((task.get("project") or {}).get("name") or "")


def stop(clearml: ClearML, task: LiveTask, *, clock: Clock) -> None:
    """Stop a task that carries our mark: a controller with its steps; a probe is archived as well."""
    reason = "ClearML CI: the audit found it left over"
    if task.run == task.id:
        run_cancellation.stop(clearml, task.id, reason=reason, clock=clock)
    else:
        archive = task.purpose == "probe"
        task_cancellation.end(clearml, task.id, run=task.run, archive=archive, reason=reason, clock=clock)
