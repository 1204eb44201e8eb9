"""The settings of an audit: those of the checks, from the same environment and policy, and a few of its own.

Its gates limit how much worse than the baseline the default branch may be, and it probes the head of that branch.
"""

from collections.abc import Mapping
from dataclasses import replace

from clearml_ci.core import schedule
from clearml_ci.core.errors import UsageError
from clearml_ci.core.schedule import Schedule
from clearml_ci.github_api import credentials
from clearml_ci.job import settings
from clearml_ci.job.settings import Queues, Settings
from clearml_ci.parameters import audit, check, job_environment, remote_run, run_arguments
from clearml_ci.parameters.audit import Audit, Home
from clearml_ci.parameters.job_environment import Given
from clearml_ci.parameters.remote_run import RemoteRun
from clearml_ci.policy.policy_file import Policy

OFF = "off"


def from_environment(
    environ: Mapping[str, str], home: Home, policy: Policy | None, *, lasting: bool = False
) -> Settings:
    """Settings of an audit's job. Raises UsageError that names the variable.

    Queues of pull-request code are looked at, not required.

    A `lasting` audit is started again and again: it does not carry the commits of today, and no job waits for it.
    """
    given = job_environment.read(environ)
    launch, described = settings.remote_run(given, policy)
    names = settings.queues(given, launch)
    own = _audit(given, replace(home, recent=(), merges=()) if lasting else home, policy, waited_for=not lasting)
    own = replace(own, queues=(*_queues(names, code=bool(launch or own.retrain or own.bisect)), *own.queues))
    governed = _governed(own, policy) if policy else own
    _require_gate(given, governed)
    arguments = {
        **_declared(described),
        **governed.to_arguments(),
        "run_until": _until(launch),
        "run_queue": names.code,
        "_shared_queue": given.texts["_shared_queue"],
    }
    seconds = deadline(environ, arguments)
    return Settings(
        pipeline=audit.PIPELINE,
        check=audit.as_check(governed),
        queues=names,
        remote_run=None,
        arguments=run_arguments.presented(audit.PIPELINE, arguments | settings.own_arguments(names, seconds)),
        pipeline_project=f"{given.value('pipeline_project')}/{home.repository}",
        deadline=seconds,
        **settings.agents_code(environ),
        github_token=credentials.token(environ),
        notes=settings.overridden(
            policy, given, own=audit.as_check(own), governed={**described, **audit.as_check(governed).to_arguments()}
        ),
    )


def _audit(given: Given, home: Home, policy: Policy | None, *, waited_for: bool) -> Audit:
    """The audit by the job's inputs alone, but for its projects; `queues` are those besides its own."""
    values = run_arguments.read(run_arguments.held_by(Audit, audit.PIPELINE), given.texts, names=given.names)
    project = (policy.check.project if policy else "") or given.texts["project"]
    return Audit(
        **{**values, "projects": values["projects"] or ((project,) if project else ())},
        home=home,
        gates=check.gates(given.texts, names=given.names),
        queues=given.value("audit_queues"),
        waited_for=given.value("wait") and waited_for,
    )


def _queues(names: Queues, *, code: bool) -> tuple[str, ...]:
    return (*names.trusted, *([names.code] if code else []))


def _governed(own: Audit, policy: Policy) -> Audit:
    """The audit as the base branch's policy has it; what the policy leaves open is the workflow's."""
    return replace(
        own,
        home=replace(own.home, comment_authors=policy.check.comment_authors),
        task_name=policy.check.task_name or own.task_name,
        best_tag=policy.check.best_tag,
        gates=policy.check.gates,
        name=policy.check.name,
        **policy.audit,
    )


def _require_gate(given: Given, governed: Audit) -> None:
    for name, number in (("retrain", governed.retrain), ("bisect", governed.bisect)):
        if number and not governed.gates:
            raise UsageError(
                f"{given.names[name]} is {number}, but there is no gate: name the metrics in which the default branch "
                "is to be as good"
            )


def _declared(described: Mapping[str, str]) -> dict[str, str]:
    """The `Args` of a launch that the pipeline `audit` has."""
    declared = run_arguments.declared(audit.PIPELINE)
    return {name: text for name, text in described.items() if name in declared}


def _until(launch: RemoteRun | None) -> str:
    """The `until` of the default branch's head: that of pull requests, but a probe instead of a training."""
    if launch is None:
        return "off"
    return remote_run.PROBE if launch.candidate in remote_run.TRAINING else launch.until


def deadline(environ: Mapping[str, str], arguments: Mapping[str, str]) -> float:
    """Seconds until an audit with these `Args` is stopped: a training takes longer than a probe. Raises UsageError."""
    times = audit.trainings(arguments)
    trains = audit.RETRAINING if times else {}
    return settings.deadline(environ, remote_run.from_arguments({**arguments, **trains}), times=1 + times)


def when(text: str) -> Schedule | None:
    """The schedule of this text, None for `off`. Raises UsageError."""
    return None if text.strip().lower() == OFF else schedule.parse(text)


def services_queue(environ: Mapping[str, str]) -> str:
    """The name of the queue whose agent runs tasks that never end."""
    return str(job_environment.read(environ).value("services_queue"))
