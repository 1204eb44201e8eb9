"""The settings of a job: its environment, its event and the base branch's policy, checked before anything starts."""

import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from clearml_ci.core import checkpoint
from clearml_ci.core.errors import UsageError
from clearml_ci.github_api import credentials
from clearml_ci.job import events, ignored_inputs, pull_request_event
from clearml_ci.job.events import Event
from clearml_ci.parameters import catalogue, check, job_environment, promotion_mode, run_arguments
from clearml_ci.parameters import remote_run as remote
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.job_environment import Given
from clearml_ci.parameters.pull_request import PullRequest
from clearml_ci.parameters.remote_run import RemoteRun
from clearml_ci.policy.policy_file import Policy


@dataclass(frozen=True)
class Queues:
    """The names of the queues: controllers, trusted steps (empty: with their controller), and pull-request code."""

    controllers: str
    steps: str
    code: str

    @property
    def trusted(self) -> tuple[str, ...]:
        """The queues on which no pull-request code runs."""
        return (self.controllers, self.steps) if self.steps else (self.controllers,)


@dataclass(frozen=True)
class Settings:
    """All that a job needs to start a run. `deadline` is in seconds; an empty `repository` means this checkout.

    `pipeline` is the name of the one that is started, and `arguments` are the `Args` of the run. `notes` are the lines
    that the job prints before it starts.
    """

    pipeline: str
    check: Check
    queues: Queues
    remote_run: RemoteRun | None
    arguments: dict[str, str]
    pipeline_project: str
    deadline: float
    repository: str
    commit: str
    github_token: str = field(repr=False)
    notes: tuple[str, ...]


ReadPolicy = Callable[[PullRequest, str, str], Policy | None]


def from_environment(
    environ: Mapping[str, str],
    *,
    read_policy: ReadPolicy = lambda *_: None,
    event: Event | None = None,
    promotes: bool = False,
) -> Settings:
    """Settings of a GitHub workflow's job. Raises UsageError that names the variable and what to do.

    `read_policy` takes the pull request, the job's token, and the path of a policy file if the job names one; it
    returns the base branch's policy or None. A policy overrides the workflow's inputs: a pull request can change its
    own workflow, but not its base. `event` is the job's own unless one is given; with `promotes` it is that of a merge.
    """
    given = job_environment.read(environ)
    event = event or events.pull_request(environ)
    pull = pull_request_event.pull_request(event, github_api=credentials.api_url(environ))
    policy = read_policy(pull, credentials.token(environ), given.value("policy"))
    launch, described = (None, {}) if promotes else remote_run(given, policy)
    own = _check(given, event, pull, launch, policy)
    governed = policy.governed(own) if policy else own
    names, seconds = queues(given, launch), deadline(environ, launch, times=1 + governed.repeats)
    if promotes:
        governed = replace(governed, action="promote", merge_commit=pull_request_event.merge_commit(event))
    else:
        _refuse_impossible(governed, launch, called=called(given, policy))
    return Settings(
        pipeline=promotion_mode.PIPELINE if promotes else check.PIPELINE,
        check=governed,
        queues=names,
        remote_run=launch,
        arguments=run_arguments.presented(
            promotion_mode.PIPELINE if promotes else check.PIPELINE,
            {
                **(described if launch else {}),
                **governed.to_arguments(),
                **own_arguments(names, seconds),
                **({} if promotes else {"_shared_queue": given.texts["_shared_queue"]}),
            },
        ),
        pipeline_project=f"{given.value('pipeline_project')}/{event['repository']['full_name']}",
        deadline=seconds,
        **agents_code(environ),
        github_token=credentials.token(environ),
        notes=(
            *overridden(policy, given, own=own, governed={**described, **governed.to_arguments()}),
            *(_left_open(policy, given) if policy and environ.get("GITHUB_EVENT_NAME") == "pull_request" else ()),
        ),
    )


def for_rollback(environ: Mapping[str, str], last: Check, *, undoes: str) -> Settings:
    """Settings of a run that undoes the promotion by the run `undoes`, whose check was `last`.

    Any user of the ClearML server can edit what that run recorded, so the job's token goes to the GitHub of the job.
    """
    home = replace(last.pull_request, repository=github_repository(environ), github_api=credentials.api_url(environ))
    undone = replace(last, action="rollback", waited_for=True, pull_request=home)
    names = queues(job_environment.read(environ), None)
    return Settings(
        pipeline=promotion_mode.PIPELINE,
        check=undone,
        queues=names,
        remote_run=None,
        arguments=run_arguments.presented(
            promotion_mode.PIPELINE,
            {
                **undone.to_arguments(),
                **own_arguments(names, deadline(environ)),
                promotion_mode.UNDOES: undoes,
            },
        ),
        pipeline_project=f"{pipeline_project(environ)}/{github_repository(environ)}",
        deadline=deadline(environ),
        **agents_code(environ),
        github_token=credentials.token(environ),
        notes=(),
    )


def own_arguments(names: Queues, seconds: float) -> dict[str, str]:
    """The `Args` that a job adds to those of its check or audit; `seconds` are the run's deadline."""
    return {
        check.ORIGIN: secrets.token_hex(16),
        "_deadline": f"{math.ceil(seconds)}",
        "_controller_queue": names.controllers,
        "_steps_queue": names.steps,
    }


def github_repository(environ: Mapping[str, str]) -> str:
    """owner/name of a job without an event that has it. Raises UsageError."""
    name = environ.get("GITHUB_REPOSITORY", "").strip()
    if not name:
        raise UsageError("GITHUB_REPOSITORY is not set: set it to owner/name of the GitHub repository")
    if name.count("/") != 1:
        raise UsageError(f"GITHUB_REPOSITORY is {name!r}: expected owner/name of the GitHub repository")
    return name


def pipeline_project(environ: Mapping[str, str]) -> str:
    """The ClearML project below which every GitHub repository has its pipelines. Raises UsageError."""
    return str(job_environment.read(environ).value("pipeline_project"))


def agents_code(environ: Mapping[str, str]) -> dict[str, str]:
    """`repository` and `commit` of the code that the agents run; empty: this checkout's.

    Raises UsageError for a branch or a tag, which would not pin the code.
    """
    given = job_environment.read(environ)
    return {"repository": given.value("agents_repository"), "commit": given.value("agents_commit")}


def name(environ: Mapping[str, str]) -> str:
    """The name of a check without a policy; empty if a repository has one check. Raises UsageError."""
    return str(job_environment.read(environ).value("_name"))


def policy_file(environ: Mapping[str, str]) -> str:
    """The path of the policy file that a job names; empty: the usual one, if there is any. Raises UsageError."""
    given = str(job_environment.read(environ).value("policy"))
    return str(PurePosixPath(given)) if given else ""  # as GitHub names it: without `./`


def controller_queue(environ: Mapping[str, str]) -> str:
    """The name of the controllers' queue."""
    return str(job_environment.read(environ).value("_controller_queue"))


def deadline(environ: Mapping[str, str], launch: RemoteRun | None = None, *, times: int = 1) -> float:
    """Seconds until a run is stopped that launches this so many times: five minutes more than the limits."""
    given = job_environment.read(environ)
    seconds = float(given.value("deadline"))
    if given.texts["deadline"]:
        return seconds
    return max(seconds, shortest_deadline(launch, times=times) if launch else 0)


def shortest_deadline(launch: RemoteRun, *, times: int) -> float:
    """Seconds in which so many launches end, each within its limits, and five minutes more."""
    return times * (launch.queue_limit + launch.setup_limit + launch.progress_limit) + 300


def queues(given: Given, launch: RemoteRun | None) -> Queues:
    """The queues of a run. Raises UsageError if the launched code would run on a trusted queue."""
    names = Queues(
        controllers=given.value("_controller_queue"),
        steps=given.value("_steps_queue"),
        code=launch.queue if launch else given.value("run_queue"),
    )
    shared = {"_steps_queue": names.steps, "_shared_queue": given.texts["_shared_queue"]}
    remote.refuse_shared_queue(shared, code=names.code, controllers=names.controllers)
    return names


def remote_run(given: Given, policy: Policy | None) -> tuple[RemoteRun | None, dict[str, str]]:
    """The launch, None if there is none, and the `Args` that describe it in either case."""
    arguments = remote.arguments_of(given)
    if policy:
        places = {name: getattr(policy.check, fallback) for name, fallback in _FALLBACKS.items()}
        arguments |= {name: text for name, text in places.items() if text}
        arguments |= remote.arguments_of_policy(policy.remote_run, candidate=policy.check.candidate)
    launch = remote.from_arguments(arguments, names=called(given, policy))
    return launch, {**arguments, "run_queue": launch.queue if launch else arguments["run_queue"]}


_FALLBACKS = {parameter.name: parameter.fallback for parameter in catalogue.PARAMETERS if parameter.fallback}


def overridden(policy: Policy | None, given: Given, *, own: Check, governed: Mapping[str, str]) -> tuple[str, ...]:
    """Notes on the inputs that the policy overrides; `own` is the check by the job's inputs alone."""
    if policy is None:
        return ()
    arguments = own.to_arguments() | remote.arguments_of(given)
    return ignored_inputs.notes(given, policy=policy.source, own=arguments, governed=governed)


def _left_open(policy: Policy, given: Given) -> tuple[str, ...]:
    return ignored_inputs.left_open(given, policy=policy.source, decided=policy.check)


def called(given: Given, policy: Policy | None) -> dict[str, str]:
    """The names of the Args in messages: the variable, or the key of the policy that sets it."""
    if policy is None:
        return dict(given.names)
    decided = remote.arguments_of_policy(policy.remote_run, candidate=policy.check.candidate)
    decided |= {name: name for name in _FALLBACKS.values() if getattr(policy.check, name)}
    keys = {name: catalogue.parameter(name).key for name in decided}
    return {**given.names, **{name: f"{key.path} of the policy" for name, key in keys.items() if key}}


def _check(given: Given, event: Event, pull: PullRequest, launch: RemoteRun | None, policy: Policy | None) -> Check:
    """The check by the job's inputs alone, but for its candidate. Raises UsageError."""
    source = launch or (policy.check if policy else None)
    arguments = {**given.texts, **({"candidate": source.candidate} if source else {})}
    values = run_arguments.read(run_arguments.held_by(Check, check.PIPELINE), arguments, names=given.names)
    return Check(
        **{**values, "commit": pull_request_event.head(event, expected=given.value("commit_id"))},
        pull_request=pull,
        gates=check.gates(arguments, names=given.names),
        until=launch.until if launch else "off",
        waited_for=given.value("wait"),
    )


def _refuse_impossible(governed: Check, launch: RemoteRun | None, *, called: Mapping[str, str]) -> None:
    if governed.candidate == "none" and launch is None:
        raise UsageError("the candidate is 'none' and there is no remote run: nothing would be checked")
    if governed.repeats and governed.candidate not in remote.TRAINING:
        raise UsageError(
            f"{called['repeats']} is {governed.repeats}, but the candidate is '{governed.candidate}': set it to train "
            "or find-or-train, or set repeats to 0"
        )
    checkpoint.resolved(governed.gates, governed.at)  # refuses one whose metric has no gate
    if launch:
        remote.refuse_out_of_reach(launch, project=governed.project, task_name=governed.task_name, names=called)
