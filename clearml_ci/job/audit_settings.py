"""The settings of an audit: those of the checks, from the same environment and policy, and a few of its own.

Gates tell how much worse than the best main may be, and what checks launch is the probe of main's head.
"""

import secrets
from collections.abc import Mapping
from dataclasses import replace

from clearml_ci.core import schedule
from clearml_ci.core.errors import UsageError
from clearml_ci.core.schedule import Schedule
from clearml_ci.job import settings
from clearml_ci.job.settings import Settings
from clearml_ci.parameters import audit, check, remote_run
from clearml_ci.parameters.audit import Audit, Home
from clearml_ci.parameters.remote_run import RemoteRun
from clearml_ci.policy.policy_file import Policy

_RETRAIN = "CLEARML_CI_AUDIT_RETRAIN"


# What an audit's run has no parameter for: nothing is chosen, and main's head needs no approval.
_OF_CHECKS_ALONE = ("candidate", "run_approval_label")


OFF = "off"


def from_environment(
    environ: Mapping[str, str], home: Home, policy: Policy | None, *, lasting: bool = False
) -> Settings:
    """Raises UsageError that names the variable. Queues of pull-request code are looked at, not required.

    A `lasting` audit is started again and again: it is not told what main is now, and no job waits for it.
    """
    home = replace(home, recent=()) if lasting else home
    launch, described = settings.remote_run(environ, policy)
    names = settings.queues(environ, launch)
    times = audit.times(environ.get(_RETRAIN, ""), name=_RETRAIN)
    looked_at = (names.controllers, names.steps, *([names.code] if launch or times else []))
    own = Audit(
        home=home,
        commit="",  # main's head, whenever the run looks
        projects=_projects(environ, policy),
        task_name=environ.get("CLEARML_TASK_NAME", "").strip(),
        best_tag=check.best_tag(environ.get("CLEARML_BEST_TAGNAME", ""), name="CLEARML_BEST_TAGNAME"),
        gates=settings.gates(environ),
        queues=(*looked_at, *audit.names(environ.get("CLEARML_CI_AUDIT_QUEUES", ""))),
        retrain=times,
        waited_for=settings.waits(environ) and not lasting,
        name=settings.name(environ),
    )
    asked = _governed(own, policy) if policy else own
    if times and not asked.gates:
        raise UsageError(
            f"{_RETRAIN} is {times}, but there is no gate: name the metrics in which main is to be as good"
        )
    arguments = {
        **{name: value for name, value in described.items() if name not in _OF_CHECKS_ALONE},
        **asked.to_arguments(),
        "run_until": _until(launch),
        "run_queue": names.code,
        "_origin": secrets.token_hex(16),
        "_steps_queue": names.steps,
        "_shared_queue": settings.shared_queue(environ),
    }
    return Settings(
        pipeline=audit.PIPELINE,
        check=audit.as_check(asked),
        queues=names,
        remote_run=None,
        arguments=arguments,
        pipeline_project=f"{settings.pipeline_project(environ)}/{home.repository}",
        deadline=deadline(environ, arguments),
        **settings.agents_code(environ),
        github_token=settings.github_token(environ),
        notes=settings.overruled_by(
            policy,
            environ,
            asked=audit.as_check(own),
            governed={**described, **audit.as_check(asked).to_arguments()},
        ),
    )


def _governed(own: Audit, policy: Policy) -> Audit:
    """The audit as the base branch's policy has it; what the policy leaves open is the workflow's."""
    return replace(
        own,
        home=replace(own.home, comment_authors=policy.comment_authors),
        task_name=policy.task_name or own.task_name,
        best_tag=policy.baselines.tag,
        gates=policy.gates,
        name=policy.name,
    )


def deadline(environ: Mapping[str, str], arguments: Mapping[str, str]) -> float:
    """Seconds until an audit with these `Args` is stopped: a training takes longer than a probe. Raises UsageError."""
    times = audit.times(arguments.get("retrain", ""), name="retrain")
    trains = {"run_until": remote_run.COMPLETION, "candidate": "train"} if times else {}
    return settings.deadline(environ, remote_run.from_arguments({**arguments, **trains}), times=1 + times)


def when(text: str) -> Schedule | None:
    """The schedule that somebody typed, None for `off`. Raises UsageError."""
    return None if text.strip().lower() == OFF else schedule.parse(text)


def services_queue(environ: Mapping[str, str]) -> str:
    """The name of the queue whose agent runs what never returns."""
    return environ.get("CLEARML_CI_SERVICES_QUEUE", "").strip() or "services"


def _projects(environ: Mapping[str, str], policy: Policy | None) -> tuple[str, ...]:
    """None: those that the repository's checks are asked about."""
    own = (policy and policy.project) or environ.get("CLEARML_PROJECT", "").strip()
    return audit.names(environ.get("CLEARML_CI_AUDIT_PROJECTS", "")) or ((own,) if own else ())


def _until(launch: RemoteRun | None) -> str:
    """How far main's head is run: as far as a pull request's, but for trainings, of which a probe is enough."""
    if launch is None:
        return "off"
    return remote_run.PROBE if launch.candidate in remote_run.TRAINING else launch.until
