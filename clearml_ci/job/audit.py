"""The job of an audit: what it asks for, and its schedule in ClearML. It is started and waited for by `trigger`."""

from collections.abc import Mapping

from clearml_ci.clearml_api import audit_schedules
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.audit_schedules import AuditSchedule
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.schedule import Schedule
from clearml_ci.job import agent_code, audit_settings, event_context, settings, start, workflow_output
from clearml_ci.job.settings import Settings
from clearml_ci.parameters import check


def asked(environ: Mapping[str, str], *, lasting: bool = False) -> Settings:
    """The audit of this job's repository; `lasting` as in `audit_settings`.

    Raises GitHubError and UsageError.
    """
    home = event_context.home(environ)
    policy = event_context.read_policy(home.main, settings.github_token(environ), settings.policy_file(environ))
    return audit_settings.from_environment(environ, home, policy, lasting=lasting)


def schedule(environ: Mapping[str, str], text: str) -> int:
    """Have ClearML start the audit on schedule, or `off`. Raises ClearMLError, GitHubError and UsageError."""
    when = audit_settings.when(text)
    if when:
        return _register(clearml_session.connect(), asked(environ, lasting=True), when, environ)
    project = f"{settings.pipeline_project(environ)}/{settings.github_repository(environ)}"
    ended = audit_schedules.unregister(clearml_session.connect(), project, name=settings.name(environ))
    workflow_output.say(f"ended the schedule {', '.join(ended)}" if ended else f"there was no schedule in '{project}'")
    return 0


def _register(clearml: ClearML, audit: Settings, when: Schedule, environ: Mapping[str, str]) -> int:
    services = audit_settings.services_queue(environ)
    queues, _ = start.prepare(clearml, audit, also=[services])
    code = agent_code.of_agents(configured_repository=audit.repository, configured_commit=audit.commit)
    # Each audit that it starts is an original, with an origin of its own.
    arguments = {name: value for name, value in audit.arguments.items() if name != check.ORIGIN}
    wanted = AuditSchedule(audit.pipeline_project, when, audit.queues.controllers, code, arguments)
    made = audit_schedules.register(clearml, wanted, queue=queues[services])
    news = "registered" if made.new else "registered already"
    workflow_output.say(f"{news}: the audit runs {when.text} UTC, started by {made.url}")
    return 0
