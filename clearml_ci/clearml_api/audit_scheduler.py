"""The scheduler process: starts audits on schedule, on the agent that runs a schedule's task."""

import json
import secrets
from collections.abc import Callable

from clearml import Task
from clearml.automation import TaskScheduler

from clearml_ci.clearml_api import audit_schedules, pipeline_runs, pipeline_templates, run_start, worker_queues
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.audit_schedules import AuditSchedule
from clearml_ci.clearml_api.pipeline_code import PipelineCode
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import schedule
from clearml_ci.core.errors import UsageError
from clearml_ci.core.poll import Clock
from clearml_ci.core.schedule import Schedule
from clearml_ci.parameters import audit, check

JOB = "audit"


_CONFIGURATION = "schedule"  # the scheduler keeps its jobs in this object, and reads it again every 15 minutes


def serve(*, clock: Clock, log: Callable[[str], None]) -> None:
    """Start audits on schedule, forever."""
    task = Task.init(auto_connect_arg_parser=False, auto_connect_frameworks=False, auto_resource_monitoring=False)
    audit_schedule = audit_schedules.from_arguments(
        task.connect(dict.fromkeys(audit_schedules.PARAMETERS, ""), name="Args")
    )
    scheduler(task, audit_schedule.when, lambda: _start_and_log(audit_schedule, clock, log)).start()


def _start_and_log(audit_schedule: AuditSchedule, clock: Clock, log: Callable[[str], None]) -> None:
    """Start one audit; log why if that fails, and leave the next audit to the scheduler."""
    try:
        clearml = clearml_session.connect(clock)
        log(f"started the audit {pipeline_runs.read(clearml, start_audit(clearml, audit_schedule)).url}")
    except (ClearMLError, UsageError) as error:
        log(f"the audit could not be started: {error}")


def start_audit(clearml: ClearML, audit_schedule: AuditSchedule) -> str:
    """The id of a new run of the audit. Registers its template if there is none. Raises ClearMLError, UsageError."""
    queue = worker_queues.served(clearml, [audit_schedule.controllers])[audit_schedule.controllers]
    template, _ = pipeline_templates.find_or_register(
        clearml,
        project=audit_schedule.project,
        name=audit.PIPELINE,
        source=audit_schedule.source,
        arguments=audit_schedule.arguments,
    )
    arguments = {**audit_schedule.arguments, check.ORIGIN: secrets.token_hex(16)}
    code = PipelineCode(audit_schedule.source, audit.PIPELINE)
    run = run_start.start(clearml, template=template, queue=queue, arguments=arguments, clock=clearml.clock, code=code)
    run_start.acknowledge(clearml, run)
    return run


def scheduler(task: Task, when: Schedule, act: Callable[[], None]) -> TaskScheduler:
    """ClearML's scheduler, not started yet, which calls `act` on schedule in the process of `task`.

    Its jobs are in a configuration object of the task, where users can edit them; a restarted one keeps the edits.
    """
    made = TaskScheduler()
    made.add_task(schedule_function=act, name=JOB, recurring=True, **schedule.for_scheduler(when))
    if not task.get_configuration_object(_CONFIGURATION):
        jobs = [job.to_dict() for job in made.get_scheduled_tasks()]
        text = json.dumps(jobs, default=lambda value: value.isoformat())
        task.set_configuration_object(_CONFIGURATION, config_text=text, config_type="json")
    return made
