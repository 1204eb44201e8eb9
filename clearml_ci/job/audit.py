"""The job of an audit: its settings, and its schedule in ClearML. `start` starts it and waits for it."""

from collections.abc import Mapping

from clearml_ci.clearml_api import audit_schedules
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.audit_schedules import AuditSchedule
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import console
from clearml_ci.core.poll import Clock
from clearml_ci.core.schedule import Schedule
from clearml_ci.github_api import credentials
from clearml_ci.job import agent_code, audit_settings, event_context, start
from clearml_ci.job import settings as job_settings
from clearml_ci.job.settings import Settings
from clearml_ci.parameters import check


def read_settings(environ: Mapping[str, str], *, lasting: bool = False) -> Settings:
    """The settings of an audit of this job's repository; `lasting` as in `audit_settings`.

    Raises GitHubError and UsageError.
    """
    home = event_context.home(environ, needed_by="an audit")
    policy = event_context.read_policy(home.main, credentials.token(environ), job_settings.policy_file(environ))
    return audit_settings.from_environment(environ, home, policy, lasting=lasting)


def schedule(environ: Mapping[str, str], text: str, clock: Clock) -> int:
    """Schedule the audit in ClearML; `off` ends that. Raises ClearMLError, GitHubError and UsageError."""
    when = audit_settings.when(text)
    if when:
        return _register(clearml_session.connect(clock), read_settings(environ, lasting=True), when, environ)
    project = f"{job_settings.pipeline_project(environ)}/{job_settings.github_repository(environ)}"
    ended = audit_schedules.unregister(clearml_session.connect(clock), project, name=job_settings.name(environ))
    console.log(f"ended the schedule {', '.join(ended)}" if ended else f"there was no schedule in '{project}'")
    return 0


def _register(clearml: ClearML, settings: Settings, when: Schedule, environ: Mapping[str, str]) -> int:
    services = audit_settings.services_queue(environ)
    queues, *_ = start.prepare(clearml, settings, environ, also=[services])
    code = agent_code.of_agents(
        configured_repository=settings.repository, configured_commit=settings.commit, environ=environ
    )
    # Each audit that the schedule starts is an original, with an origin of its own.
    arguments = {name: value for name, value in settings.arguments.items() if name != check.ORIGIN}
    audits = AuditSchedule(settings.pipeline_project, when, settings.queues.controllers, code, arguments)
    made = audit_schedules.register(clearml, audits, queue=queues[services])
    state = "registered" if made.new else "registered already"
    replaced = f"; it replaces the schedule {', '.join(made.ended)}" if made.ended else ""
    console.log(f"{state}: the audit runs {when.text} UTC, started by {made.url}{replaced}")
    return 0
