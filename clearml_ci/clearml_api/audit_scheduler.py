"""The ClearML gateway's part for schedules: one service task that starts a repository's audit again and again.

ClearML's scheduler is a program that never returns, so the task occupies a worker for good.
"""

import contextlib
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from clearml import Task
from clearml.automation import TaskScheduler

from clearml_ci.clearml_api import pipeline_runs, worker_queues
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.session import LIVE, OWN_MARK, PURPOSE_MARK, ClearML, ClearMLError
from clearml_ci.clearml_api.worker_queues import Queue
from clearml_ci.core import schedule
from clearml_ci.core.errors import UsageError
from clearml_ci.core.git_source import Source
from clearml_ci.core.schedule import Schedule
from clearml_ci.parameters import audit, check
from clearml_ci.parameters import check as check_module

NAME = "audit schedule"


SCRIPT = "pipelines/audit_schedule.py"


PURPOSE = "schedule"


JOB = "audit"


PARAMETERS = ("schedule", check.NAME, "_project", "_controllers_queue", "_repository", "_commit", "_arguments")


_CONFIGURATION = "schedule"  # where the scheduler keeps its jobs, and reads them again every 15 minutes


_FIELDS = ["type", "status", "created", "project.id", "hyperparams.Args", "script.repository", "script.version_num"]


@dataclass(frozen=True)
class Wanted:
    """What a schedule starts, when, and where: `project` is the pipeline project, `controllers` the audit's queue."""

    project: str
    when: Schedule
    controllers: str
    source: Source
    arguments: Mapping[str, str]

    @property
    def name(self) -> str:
        """That of the audits; each name of a repository has a schedule of its own."""
        return self.arguments.get(check.NAME, "")

    def to_arguments(self) -> dict[str, str]:
        """The `Args` of the schedule's task."""
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
class Registered:
    """The one schedule that counts, and those that were ended for it. `new`: it was not there before."""

    id: str
    url: str
    new: bool
    ended: tuple[str, ...]


def from_arguments(arguments: Mapping[str, str]) -> Wanted:
    """What a schedule's task was told. Raises UsageError where the schedule is none."""
    return Wanted(
        project=arguments["_project"],
        when=schedule.parse(arguments["schedule"]),
        controllers=arguments["_controllers_queue"],
        source=Source(arguments["_repository"], arguments["_commit"]),
        arguments=json.loads(arguments["_arguments"]),
    )


def register(clearml: ClearML, wanted: Wanted, *, queue: Queue) -> Registered:
    """Have `queue` (the services') start the audit on schedule; the same schedule again changes nothing.

    There is one schedule for a repository and a name: another one replaces it, and of two that are registered at once
    the newest counts. Raises ClearMLError.
    """
    same = next((task for task in reversed(_living(clearml, wanted.project)) if _is(task, wanted)), None)
    kept = same["id"] if same else _create(clearml, wanted, queue)
    living = [task for task in _living(clearml, wanted.project) if _name(task) == wanted.name]
    newest = kept if same else str(living[-1]["id"])
    ended = _end(clearml, (task["id"] for task in living if task["id"] != newest))
    found = next(task for task in living if task["id"] == newest)
    return Registered(newest, clearml.task_url(found), new=not same, ended=ended)


def unregister(clearml: ClearML, project: str, *, name: str = "") -> tuple[str, ...]:
    """End the schedules of a pipeline project, or those of a name alone; their ids."""
    return _end(clearml, (task["id"] for task in _living(clearml, project) if name in ("", _name(task))))


def _create(clearml: ClearML, wanted: Wanted, queue: Queue) -> str:
    try:
        task = Task.create(
            project_name=wanted.project,
            task_name=NAME,
            task_type=Task.TaskTypes.service,
            repo=wanted.source.repository,
            commit=wanted.source.commit,
            script=SCRIPT,
            working_directory=".",
            add_task_init_call=False,
            detect_repository=False,
        ).id
    except Exception as error:  # the SDK raises whatever its layers raise
        raise ClearMLError(f"the schedule '{wanted.project}/{NAME}' could not be created: {error}") from error
    items = clearml_session.section_items("Args", wanted.to_arguments())
    clearml.call("tasks.edit_hyper_params", task=task, hyperparams=items)
    clearml_session.mark(clearml, task, run=task, purpose=PURPOSE)
    clearml.call("tasks.enqueue", task=task, queue=queue.id)
    return str(task)


def _living(clearml: ClearML, project: str) -> list[dict[str, Any]]:
    """The schedules of a pipeline project that wait or run, oldest first."""
    where = clearml_session.project_id(clearml, project)
    if where is None:
        return []
    found = clearml_session.every(
        clearml,
        "tasks",
        project=[where],
        type=["service"],
        status=list(LIVE),
        only_fields=[*_FIELDS, f"runtime.{OWN_MARK}", f"runtime.{PURPOSE_MARK}"],
        order_by=["created"],
    )
    return [task for task in found if _is_ours(task)]


def _is_ours(task: Mapping[str, Any]) -> bool:
    runtime = task.get("runtime") or {}
    return (runtime.get(OWN_MARK), runtime.get(PURPOSE_MARK)) == (task["id"], PURPOSE)


def _is(task: Mapping[str, Any], wanted: Wanted) -> bool:
    return clearml_session.values(task, "Args") == wanted.to_arguments()


def _name(task: Mapping[str, Any]) -> str:
    return clearml_session.values(task, "Args").get(check.NAME, "")


def _end(clearml: ClearML, tasks: Iterable[str]) -> tuple[str, ...]:
    ended = tuple(tasks)
    for task in ended:
        with contextlib.suppress(ClearMLError):  # it has just ended by itself
            clearml.call("tasks.stop", task=task, status_reason="ClearML CI: another schedule replaced it")
    return ended


def serve(*, tell: Callable[[str], None]) -> None:
    """Start audits on schedule, for ever: what the schedule's task does on its agent."""
    task = Task.init(auto_connect_arg_parser=False, auto_connect_frameworks=False, auto_resource_monitoring=False)
    wanted = from_arguments(task.connect(dict.fromkeys(PARAMETERS, ""), name="Args"))
    scheduler(task, wanted.when, lambda: _audit(wanted, tell)).start()


def _audit(wanted: Wanted, tell: Callable[[str], None]) -> None:
    """One audit; what hinders it is said, and the next one is tried on time."""
    try:
        clearml = clearml_session.connect()
        tell(f"started the audit {pipeline_runs.run(clearml, start_audit(clearml, wanted)).url}")
    except (ClearMLError, UsageError) as error:
        tell(f"the audit could not be started: {error}")


def start_audit(clearml: ClearML, wanted: Wanted) -> str:
    """The id of a new run of the audit, started as the web UI's New run does; its template is registered if need be."""
    queue = worker_queues.watched_queues(clearml, [wanted.controllers])[wanted.controllers]
    draft, _ = pipeline_runs.template(
        clearml, project=wanted.project, name=audit.PIPELINE, source=wanted.source, arguments=wanted.arguments
    )
    arguments = {**wanted.arguments, check_module.ORIGIN: secrets.token_hex(16)}
    return pipeline_runs.start(clearml, template=draft, queue=queue, arguments=arguments)


def scheduler(task: Task, when: Schedule, act: Any) -> TaskScheduler:
    """ClearML's scheduler, which calls `act` on schedule once it is started, on the task that it runs in.

    Its jobs stand in a configuration object of the task, where they can be edited; a restarted one keeps the edits.
    """
    made = TaskScheduler()
    made.add_task(schedule_function=act, name=JOB, recurring=True, **schedule.for_scheduler(when))
    if not task.get_configuration_object(_CONFIGURATION):
        jobs = [job.to_dict() for job in made.get_scheduled_tasks()]
        text = json.dumps(jobs, default=lambda value: value.isoformat())
        task.set_configuration_object(_CONFIGURATION, config_text=text, config_type="json")
    return made
