"""The trigger's settings: what a workflow's environment and its event say, checked before anything starts."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from clearml_ci.core import repository_url
from clearml_ci.core.comment_mode import MODES
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Gate
from clearml_ci.job import events, ignored_inputs
from clearml_ci.parameters import check, promotion_mode, pull_request
from clearml_ci.parameters import remote_run as remote
from clearml_ci.parameters.remote_run import RemoteRun
from clearml_ci.policy import schema
from clearml_ci.policy.policy_file import Policy

_CANDIDATE = "CLEARML_CI_CANDIDATE"


@dataclass(frozen=True)
class Queues:
    """The names of the three queues: controllers, trusted steps, and pull-request code."""

    controllers: str
    steps: str
    code: str


@dataclass(frozen=True)
class Settings:
    """All that the trigger needs to know. `deadline` is in seconds; an empty `repository` means: this checkout.

    `pipeline` is the name of the one that is started, and `arguments` are the `Args` of the run. `notes` are what the
    job says before it starts.
    """

    pipeline: str
    check: check.Check
    queues: Queues
    remote_run: RemoteRun | None
    arguments: dict[str, str]
    pipeline_project: str
    deadline: float
    repository: str
    commit: str
    github_token: str = field(repr=False)
    notes: tuple[str, ...]


ReadPolicy = Callable[[pull_request.PullRequest, str, str], Policy | None]


def from_environment(
    environ: Mapping[str, str],
    *,
    read_policy: ReadPolicy = lambda *_: None,
    event: events.Event | None = None,
    promotes: bool = False,
) -> Settings:
    """Settings of a GitHub workflow's job. Raises UsageError that names the variable and what to do.

    `read_policy` is given the pull request, the job's token, and the path of a policy file where one is named; it
    returns the base branch's policy or None. What a policy says goes before what the workflow says: a pull request can
    change its own workflow, but not its base. `event` is the job's own where nothing else is given; with `promotes` it
    is that of a merge.
    """
    event = event or events.pull_request(environ)
    token = github_token(environ)
    pull = _pull_request(environ, event)
    policy = read_policy(pull, token, policy_file(environ))
    launch, described = (None, {}) if promotes else remote_run(environ, policy)
    pull = replace(pull, labeled_by=_labeled_by(event, launch))
    asked, names = _check(environ, event, pull, launch, policy), queues(environ, launch)
    wanted = _governed(asked, policy) if policy else asked
    if wanted.candidate == "none" and launch is None and not promotes:
        raise UsageError("the candidate is 'none' and there is no remote run: nothing would be checked")
    if launch:
        reach = {"project": wanted.project, "task_name": wanted.task_name}
        remote.refuse_out_of_reach(launch, **reach, names=_names_of_places(environ, policy))
    if promotes:
        wanted = replace(wanted, action="promote", merge_commit=_merge_commit(event))
    return Settings(
        pipeline=promotion_mode.PIPELINE if promotes else check.PIPELINE,
        check=wanted,
        queues=names,
        remote_run=launch,
        arguments={
            **(described if launch else {}),
            **wanted.to_arguments(),
            "_origin": secrets.token_hex(16),
            "_steps_queue": names.steps,
            **({} if promotes else {"_shared_queue": shared_queue(environ)}),
        },
        pipeline_project=f"{pipeline_project(environ)}/{event['repository']['full_name']}",
        deadline=deadline(environ, launch),
        **agents_code(environ),
        github_token=token,
        notes=overruled_by(policy, environ, asked=asked, governed={**described, **wanted.to_arguments()}),
    )


def overruled_by(
    policy: Policy | None, environ: Mapping[str, str], *, asked: check.Check, governed: Mapping[str, str]
) -> tuple[str, ...]:
    """What to say of inputs that the policy overrules; `asked` is the check as the job alone would have it."""
    if policy is None:
        return ()
    own = asked.to_arguments() | remote.arguments_of(environ)
    return ignored_inputs.notes(environ, policy=policy.source, asked=own, governed=governed)


def for_rollback(environ: Mapping[str, str], last: check.Check, *, undoes: str) -> Settings:
    """Settings of a run that undoes the promotion by the run `undoes`; `last` is what that one was asked."""
    wanted = replace(last, action="rollback", waited_for=True)
    names = queues(environ, None)
    return Settings(
        pipeline=promotion_mode.PIPELINE,
        check=wanted,
        queues=names,
        remote_run=None,
        arguments={
            **wanted.to_arguments(),
            "_origin": secrets.token_hex(16),
            "_steps_queue": names.steps,
            promotion_mode.UNDOES: undoes,
        },
        pipeline_project=f"{pipeline_project(environ)}/{github_repository(environ)}",
        deadline=deadline(environ),
        **agents_code(environ),
        github_token=github_token(environ),
        notes=(),
    )


def github_repository(environ: Mapping[str, str]) -> str:
    """owner/name, where no event tells it. Raises UsageError."""
    name = environ.get("GITHUB_REPOSITORY", "").strip()
    if name.count("/") != 1:
        raise UsageError(f"GITHUB_REPOSITORY is {name!r}: expected owner/name of the GitHub repository")
    return name


def github_token(environ: Mapping[str, str]) -> str:
    """The job's own; empty where it has none."""
    return environ.get("GITHUB_TOKEN", "") or environ.get("GH_TOKEN", "")


def pipeline_project(environ: Mapping[str, str]) -> str:
    """The ClearML project below which every GitHub repository has its pipelines. Raises UsageError."""
    name = environ.get("CLEARML_CI_PIPELINE_PROJECT", "").strip() or "ClearML CI"
    return remote.project(name, called="CLEARML_CI_PIPELINE_PROJECT")


def agents_code(environ: Mapping[str, str]) -> dict[str, str]:
    """`repository` and `commit` of the code that the agents run; empty: this checkout's."""
    return {
        "repository": environ.get("CLEARML_CI_REPOSITORY", "").strip(),
        "commit": _own_commit(environ.get("CLEARML_CI_COMMIT", "").strip()),
    }


def shared_queue(environ: Mapping[str, str]) -> str:
    """The words that allow one queue for steps and code, or what stands in their place."""
    return environ.get("CLEARML_CI_SHARED_QUEUE", "").strip()


def waits(environ: Mapping[str, str]) -> bool:
    """Does the job wait for the verdict? Raises UsageError."""
    return _word(environ, "CLEARML_CI_WAIT", ("true", "false")) == "true"


def name(environ: Mapping[str, str]) -> str:
    """What a check is called where no policy says so; empty where a repository has one. Raises UsageError."""
    return _form(environ, "CLEARML_CI_NAME", schema.NAME)


def policy_file(environ: Mapping[str, str]) -> str:
    """The path of the policy file that a job names; empty: the usual one, if there is any. Raises UsageError."""
    return _form(environ, "CLEARML_CI_POLICY", schema.FILE)


def controller_queue(environ: Mapping[str, str]) -> str:
    """The name of the controllers' queue."""
    return environ.get("CLEARML_CI_CONTROLLER_QUEUE", "").strip() or "ci-controllers"


def deadline(environ: Mapping[str, str], launch: RemoteRun | None = None, *, times: int = 1) -> float:
    """Seconds until a run that launches this, so many times, is stopped: five minutes more than the limits."""
    limits = (launch.queue_limit, launch.setup_limit, launch.progress_limit) if launch else ()
    return _seconds(environ, "CLEARML_CI_DEADLINE", default=max(1800.0, times * sum(limits) + 300))


def _merge_commit(event: events.Event) -> str:
    sha = _text(event, "pull_request", "merge_commit_sha")
    return check.commit(sha, name="pull_request.merge_commit_sha of the event")


def _own_commit(text: str) -> str:
    """A branch or a tag would not pin the code that the agents run."""
    return check.commit(text, name="CLEARML_CI_COMMIT") if text else ""


def remote_run(environ: Mapping[str, str], policy: Policy | None) -> tuple[RemoteRun | None, dict[str, str]]:
    """The launch, None where none is asked for, and the `Args` that describe it, whether or not they ask for it."""
    arguments = remote.arguments_of(environ)
    names = {argument: remote.variable(argument, environ) for argument in arguments} | {"candidate": _CANDIDATE}
    if policy:
        given = remote.arguments_of_policy(policy.remote_run, candidate=policy.candidate)
        open_ = {"run_project": policy.project, "run_name": policy.task_name}
        arguments |= {name: text for name, text in open_.items() if text} | given
        names |= {argument: f"remote_run.{argument.removeprefix('run_')} of the policy" for argument in given}
    launch = remote.from_arguments(arguments, names=names)
    return launch, {**arguments, "run_queue": launch.queue if launch else arguments["run_queue"]}


def _names_of_places(environ: Mapping[str, str], policy: Policy | None) -> dict[str, str]:
    """What a person calls the project and the name of the check's tasks, and those of the launched one."""
    names = {"project": "CLEARML_PROJECT", "task_name": "CLEARML_TASK_NAME"}
    names |= {argument: remote.variable(argument, environ) for argument in ("run_project", "run_name")}
    if policy:
        given = [key for key in ("project", "name") if key in (policy.remote_run or {})]
        names |= {f"run_{key}": f"remote_run.{key} of the policy" for key in given}
        names |= {key: f"{key} of the policy" for key in ("project", "task_name") if getattr(policy, key)}
    return names


def _check(
    environ: Mapping[str, str],
    event: dict[str, Any],
    pull: pull_request.PullRequest,
    launch: RemoteRun | None,
    policy: Policy | None,
) -> check.Check:
    """The check as the workflow has it."""
    return check.Check(
        commit=_commit(environ, event),
        pull_request=pull,
        project=environ.get("CLEARML_PROJECT", "").strip(),
        task_name=environ.get("CLEARML_TASK_NAME", "").strip(),
        gates=gates(environ),
        best_tag=check.best_tag(environ.get("CLEARML_BEST_TAGNAME", ""), name="CLEARML_BEST_TAGNAME"),
        candidate=launch.candidate if launch else _candidate(environ, policy),
        until=launch.until if launch else "off",
        inconclusive=_word(environ, "CLEARML_CI_INCONCLUSIVE", ("fail", "pass")),
        baseline_main=_word(environ, "CLEARML_CI_BASELINE_MAIN", ("true", "false")) == "true",
        comment=_word(environ, "CLEARML_CI_COMMENT", MODES),
        promote=_word(environ, "CLEARML_CI_PROMOTE", promotion_mode.MODES),
        name=name(environ),
        waited_for=waits(environ),
    )


def gates(environ: Mapping[str, str]) -> tuple[Gate, ...]:
    """The one gate of a workflow that has no policy, or none."""
    return check.single_gate(
        title=environ.get("CLEARML_SCALAR_TITLE", ""),
        series=environ.get("CLEARML_SCALAR_SERIES", ""),
        goal=environ.get("CLEARML_SCALAR_MIN_MAX", ""),
        threshold=environ.get("CLEARML_SCALAR_THRESHOLD", ""),
        prefix=("CLEARML_SCALAR_TITLE", "CLEARML_SCALAR_SERIES"),
    )


def _candidate(environ: Mapping[str, str], policy: Policy | None) -> str:
    """Where nothing is launched."""
    source = policy.candidate if policy else environ.get("CLEARML_CI_CANDIDATE", "")
    return remote.candidate(source, name="candidate of the policy" if policy else _CANDIDATE)


def _governed(asked: check.Check, policy: Policy) -> check.Check:
    """The check as the base branch's policy has it; what the policy leaves open is the workflow's.

    Not so its name: who requires the status of a name requires what the policy of that name asks.
    """
    return replace(
        asked,
        name=policy.name,
        project=policy.project or asked.project,
        task_name=policy.task_name or asked.task_name,
        gates=policy.gates,
        best_tag=policy.baselines.tag,
        baseline_main=policy.baselines.main,
        alike=policy.alike,
        inconclusive=policy.inconclusive,
        comment=policy.comment,
        promote=policy.promote,
        comment_authors=policy.comment_authors,
        ignored_paths=policy.evidence.ignored_paths,
    )


def _commit(environ: Mapping[str, str], event: dict[str, Any]) -> str:
    head = check.commit(_text(event, "pull_request", "head", "sha"), name="pull_request.head.sha of the event")
    given = environ.get("COMMIT_ID", "").strip()
    if given and check.commit(given, name="COMMIT_ID") != head:
        raise UsageError(
            f"COMMIT_ID is {given}, but the pull request's head is {head}: remove COMMIT_ID, "
            "or set it to ${{ github.event.pull_request.head.sha }} (GITHUB_SHA is a merge commit)"
        )
    return head


def _pull_request(environ: Mapping[str, str], event: dict[str, Any]) -> pull_request.PullRequest:
    number = event["pull_request"].get("number")
    full_name = _text(event, "repository", "full_name")
    if not isinstance(number, int) or not full_name:
        raise UsageError("the pull-request event names no number or no repository: is it an event of GitHub's?")
    return pull_request.PullRequest(
        repository=full_name,
        number=number,
        repositories=_repositories(event),
        github_api=events.api_url(environ),
        author=_text(event, "pull_request", "user", "login"),
        head_repository=_text(event, "pull_request", "head", "repo", "full_name"),
        head_url=repository_url.without_credentials(_text(event, "pull_request", "head", "repo", "clone_url")),
        base=_text(event, "pull_request", "base", "ref"),
        default_branch=_text(event, "repository", "default_branch"),
    )


def _labeled_by(event: dict[str, Any], launch: RemoteRun | None) -> str:
    """Who approved with the label, in this very event: a label that is still there approves no later commit."""
    if launch is None or event.get("action") != "labeled" or _text(event, "label", "name") != launch.approval_label:
        return ""
    return _text(event, "sender", "login")


def _repositories(event: dict[str, Any]) -> tuple[str, ...]:
    """Clone addresses of head and base; `head.repo` is null when a fork was deleted."""
    sides = [_at(event, "pull_request", side, "repo") or {} for side in ("head", "base")]
    urls = [str(side.get("clone_url") or "") for side in [*sides, event["repository"]]]
    return tuple(dict.fromkeys(repository_url.without_credentials(url) for url in urls if url))


def queues(environ: Mapping[str, str], launch: RemoteRun | None) -> Queues:
    """Raises UsageError where the launched code would run on the trusted steps' queue."""
    names = Queues(
        controllers=controller_queue(environ),
        steps=environ.get("CLEARML_CI_STEPS_QUEUE", "").strip() or "ci-steps",
        code=launch.queue if launch else remote.arguments_of(environ)["run_queue"] or remote.DEFAULT_QUEUE,
    )
    shared = {"_steps_queue": names.steps, "_shared_queue": shared_queue(environ)}
    remote.refuse_shared_queue(shared, code=names.code)
    return names


def _word(environ: Mapping[str, str], name: str, allowed: Sequence[str]) -> str:
    """One of the allowed words; the first where nothing is set."""
    text = environ.get(name, "").strip().lower() or allowed[0]
    if text not in allowed:
        raise UsageError(f"{name} is {text!r}: expected {' or '.join(allowed)}")
    return text


def _form(environ: Mapping[str, str], variable: str, form: schema.Schema) -> str:
    """A text as the policy's schema describes it; nothing where it is not set."""
    text = environ.get(variable, "").strip()
    if text and not schema.fits(text, form):
        raise UsageError(f"{variable} is {text[:60]!r}: expected {form['errorMessage']}")
    return text


def _seconds(environ: Mapping[str, str], name: str, *, default: float) -> float:
    text = environ.get(name, "").strip()
    try:
        seconds = float(text) if text else default
    except ValueError:
        seconds = -1
    if not 0 < seconds < float("inf"):
        raise UsageError(f"{name} is {text!r}: expected a number of seconds, such as {default:g}")
    return seconds


def _text(event: dict[str, Any], *path: str) -> str:
    found = _at(event, *path)
    return found if isinstance(found, str) else ""


def _at(event: object, *path: str) -> Any:
    for key in path:
        event = event.get(key) if isinstance(event, dict) else None
    return event
