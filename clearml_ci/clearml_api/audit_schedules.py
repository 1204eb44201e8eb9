"""The schedules of audits: register one as a service task, replace it, end it.

ClearML's scheduler never returns, so the task of a schedule occupies a worker permanently.
"""

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from clearml_ci.clearml_api import (
    ownership,
    paging,
    project_lookup,
    task_creation,
    task_fields,
    task_parameters,
    task_queue,
)
from clearml_ci.clearml_api.paging import Record
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.task_status import LIVE
from clearml_ci.clearml_api.worker_queues import Queue
from clearml_ci.core import schedule
from clearml_ci.core.git_source import Source
from clearml_ci.core.schedule import Schedule
from clearml_ci.parameters import check

NAME = "audit schedule"


SCRIPT = "pipelines/audit_schedule.py"


PURPOSE = "schedule"


PARAMETERS = ("schedule", check.NAME, "_project", "_controllers_queue", "_repository", "_commit", "_arguments")


_FIELDS = ["type", "project.id", "hyperparams.Args", *ownership.FIELDS]


@dataclass(frozen=True)
class AuditSchedule:
    """The times and the parameters of an audit: `project` is the pipeline project, `controllers` the audit's queue."""

    project: str
    when: Schedule
    controllers: str
    source: Source
    arguments: Mapping[str, str]

    @property
    def name(self) -> str:
        """The name of the audits; each name of a repository has a schedule of its own."""
        return self.arguments.get(check.NAME, "")

    def to_arguments(self) -> dict[str, str]:
        """The `Args` of the schedule's task, as `from_arguments` reads them."""
        return {
            "schedule": self.when.text,
            check.NAME: self.name,
            "_project": self.project,
            "_controllers_queue": self.controllers,
            "_repository": self.source.repository,
            "_commit": self.source.commit,
            "_arguments": json.dumps(dict(self.arguments), sort_keys=True),
        }


@dataclass(frozen=True)
class Registration:
    """The schedule that is valid now, and those that were ended for it. `new`: this registration created it."""

    id: str
    url: str
    new: bool
    ended: tuple[str, ...]


def from_arguments(arguments: Mapping[str, str]) -> AuditSchedule:
    """The schedule of a task with these `Args`. Raises UsageError if `schedule` cannot be parsed."""
    return AuditSchedule(
        project=arguments["_project"],
        when=schedule.parse(arguments["schedule"]),
        controllers=arguments["_controllers_queue"],
        source=Source(arguments["_repository"], arguments["_commit"]),
        arguments=json.loads(arguments["_arguments"]),
    )


def register(clearml: ClearML, audit_schedule: AuditSchedule, *, queue: Queue) -> Registration:
    """Start the audit on schedule by a task on `queue`, the services' queue. Idempotent. Raises ClearMLError.

    A repository and a name have one schedule: another one replaces it, and of two that are registered concurrently the
    newest counts. Drafts that an interrupted registration left are deleted.
    """
    _delete_drafts(clearml, audit_schedule.project)
    live = _live(clearml, audit_schedule.project)
    same = next((task for task in reversed(live) if _is_task_of(task, audit_schedule)), None)
    kept = same["id"] if same else _create(clearml, audit_schedule, queue)
    live = [task for task in _live(clearml, audit_schedule.project) if _name(task) == audit_schedule.name]
    newest = next(task for task in live if task["id"] == kept) if same else live[-1]
    ended = _end(clearml, (task["id"] for task in live if task["id"] != newest["id"]))
    return Registration(str(newest["id"]), clearml.task_url(newest), new=not same, ended=ended)


def unregister(clearml: ClearML, project: str, *, name: str = "") -> tuple[str, ...]:
    """End the schedules of a pipeline project, of one name if it is given; their ids."""
    return _end(clearml, (task["id"] for task in _live(clearml, project) if name in ("", _name(task))))


def _create(clearml: ClearML, audit_schedule: AuditSchedule, queue: Queue, *, attempts: int = 3) -> str:
    """The id of a new task of the schedule. A concurrent registration can take its draft for a left one."""
    task = task_creation.task(
        clearml,
        project=audit_schedule.project,
        name=NAME,
        source=audit_schedule.source,
        task_type="service",
        script=SCRIPT,
        working_directory=".",
        add_task_init_call=False,
    )
    try:
        items = task_parameters.section_items("Args", audit_schedule.to_arguments())
        clearml.call("tasks.edit_hyper_params", task=task, hyperparams=items)
        ownership.mark(clearml, task, run=task, purpose=PURPOSE)
        task_queue.enqueue(clearml, task, queue=queue.id)
    except ClearMLError:
        if attempts == 1 or task_fields.read_existing(clearml, [task], ["id"]):
            raise
        return _create(clearml, audit_schedule, queue, attempts=attempts - 1)
    return task


def _delete_drafts(clearml: ClearML, project: str) -> None:
    """Delete the drafts of schedules that this user has made in a pipeline project and never started."""
    project_id = project_lookup.id_of(clearml, project)
    if project_id is None:
        return
    drafts = paging.records(
        clearml,
        "tasks",
        project=[project_id],
        type=["service"],
        status=["created"],
        name=f"^{task_creation.unfinished(NAME)}$",
        only_fields=["user"],
    )
    user = clearml.call("users.get_current_user")["user"]["id"] if drafts else ""
    for draft in drafts:
        if task_fields.reference_id(draft.get("user")) == user:
            task_creation.delete(clearml, draft["id"])


def _live(clearml: ClearML, project: str) -> list[Record]:
    """The schedules' tasks of a pipeline project that are queued or in progress, oldest first."""
    project_id = project_lookup.id_of(clearml, project)
    if project_id is None:
        return []
    found = paging.records(
        clearml,
        "tasks",
        project=[project_id],
        type=["service"],
        status=list(LIVE),
        only_fields=_FIELDS,
        order_by=["created"],
    )
    return [task for task in found if ownership.purpose_of(task) == PURPOSE]


def _is_task_of(task: Mapping[str, Any], audit_schedule: AuditSchedule) -> bool:
    return task_parameters.values(task, "Args") == audit_schedule.to_arguments()


def _name(task: Mapping[str, Any]) -> str:
    return task_parameters.values(task, "Args").get(check.NAME, "")


def _end(clearml: ClearML, tasks: Iterable[str]) -> tuple[str, ...]:
    ended = tuple(tasks)
    for task in ended:
        with contextlib.suppress(ClearMLError):  # it has just ended by itself
            clearml.call("tasks.stop", task=task, status_reason="ClearML CI: another schedule replaced it")
    return ended
