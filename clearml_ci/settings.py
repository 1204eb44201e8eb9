"""The trigger's settings: what a workflow's environment and its event say, checked before anything starts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clearml_ci import check, remote, repository
from clearml_ci.errors import UsageError
from clearml_ci.remote import RemoteRun

_CANDIDATE = "CLEARML_CI_CANDIDATE"
NO_PULL_REQUEST = (
    "the event '{event}' is no pull request: run this in a workflow with `on: pull_request` "
    "(or `pull_request_target`), or point GITHUB_EVENT_PATH to such an event"
)


@dataclass(frozen=True)
class Queues:
    """The names of the three queues: controllers, trusted steps, and pull-request code."""

    controllers: str
    steps: str
    code: str


@dataclass(frozen=True)
class Settings:
    """All that the trigger needs to know. `deadline` is in seconds; an empty `repository` means: this checkout.

    `arguments` are the `Args` of the run.
    """

    check: check.Check
    queues: Queues
    remote_run: RemoteRun | None
    arguments: dict[str, str]
    pipeline_project: str
    deadline: float
    repository: str
    commit: str
    github_token: str = field(repr=False)


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Settings of a GitHub workflow's job. Raises UsageError that names the variable and what to do."""
    event = _event(environ)
    project = environ.get("CLEARML_CI_PIPELINE_PROJECT", "").strip() or "ClearML CI"
    launch, names = _remote_run(environ)
    wanted, queues = _check(environ, event, launch), _queues(environ)
    return Settings(
        check=wanted,
        queues=queues,
        remote_run=launch,
        arguments={
            **names,
            **wanted.to_arguments(),
            "_steps_queue": queues.steps,
            "_shared_queue": environ.get("CLEARML_CI_SHARED_QUEUE", "").strip(),
        },
        pipeline_project=f"{project}/{event['repository']['full_name']}",
        deadline=_seconds(environ, "CLEARML_CI_DEADLINE", default=_patience(launch)),
        repository=environ.get("CLEARML_CI_REPOSITORY", "").strip(),
        commit=_own_commit(environ.get("CLEARML_CI_COMMIT", "").strip()),
        github_token=environ.get("GITHUB_TOKEN", "") or environ.get("GH_TOKEN", ""),
    )


def _own_commit(text: str) -> str:
    """A branch or a tag would not pin the code that the agents run."""
    return check.commit(text, name="CLEARML_CI_COMMIT") if text else ""


def _remote_run(environ: Mapping[str, str]) -> tuple[RemoteRun | None, dict[str, str]]:
    """The launch, and the `Args` that ask for it."""
    arguments = remote.arguments_of(environ)
    names = {argument: remote.variable(argument, environ) for argument in arguments}
    launch = remote.from_arguments(arguments, names={**names, "candidate": _CANDIDATE})
    if launch is None:
        return None, {}
    return launch, {**arguments, "run_queue": launch.queue}


def _patience(launch: RemoteRun | None) -> float:
    """Seconds that a run may take when nobody says otherwise: five minutes more than its remote run."""
    limits = (launch.queue_limit, launch.setup_limit, launch.progress_limit) if launch else ()
    return max(1800.0, sum(limits) + 300)


def _check(environ: Mapping[str, str], event: dict[str, Any], launch: RemoteRun | None) -> check.Check:
    source = launch.candidate if launch else remote.candidate(environ.get("CLEARML_CI_CANDIDATE", ""), name=_CANDIDATE)
    if source == "none" and launch is None:
        raise UsageError(f"{_CANDIDATE} is 'none' and there is no remote run: nothing would be checked")
    return check.Check(
        commit=_commit(environ, event),
        pull_request=_pull_request(environ, event),
        project=environ.get("CLEARML_PROJECT", "").strip(),
        task_name=environ.get("CLEARML_TASK_NAME", "").strip(),
        metric=check.metric(
            title=environ.get("CLEARML_SCALAR_TITLE", ""),
            series=environ.get("CLEARML_SCALAR_SERIES", ""),
            goal=environ.get("CLEARML_SCALAR_MIN_MAX", ""),
            threshold=environ.get("CLEARML_SCALAR_THRESHOLD", ""),
            prefix=("CLEARML_SCALAR_TITLE", "CLEARML_SCALAR_SERIES"),
        ),
        best_tag=check.best_tag(environ.get("CLEARML_BEST_TAGNAME", ""), name="CLEARML_BEST_TAGNAME"),
        candidate=source,
        until=launch.until if launch else "off",
    )


def _event(environ: Mapping[str, str]) -> dict[str, Any]:
    name = environ.get("GITHUB_EVENT_NAME", "").strip()
    path = environ.get("GITHUB_EVENT_PATH", "").strip()
    if not path:
        raise UsageError(
            "GITHUB_EVENT_PATH is not set: it names the file with the pull-request event. "
            "Run this in a GitHub workflow (see README.md), or `make demo` for a first look"
        )
    try:
        event = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"GITHUB_EVENT_PATH: {path} cannot be read as JSON: {error}") from error
    wanted = ("pull_request", "pull_request_target", "")
    if name not in wanted or not isinstance(event, dict) or not isinstance(event.get("pull_request"), dict):
        raise UsageError(NO_PULL_REQUEST.format(event=name or "unknown"))
    return event


def _commit(environ: Mapping[str, str], event: dict[str, Any]) -> str:
    head = check.commit(_text(event, "pull_request", "head", "sha"), name="pull_request.head.sha of the event")
    given = environ.get("COMMIT_ID", "").strip()
    if given and check.commit(given, name="COMMIT_ID") != head:
        raise UsageError(
            f"COMMIT_ID is {given}, but the pull request's head is {head}: remove COMMIT_ID, "
            "or set it to ${{ github.event.pull_request.head.sha }} (GITHUB_SHA is a merge commit)"
        )
    return head


def _pull_request(environ: Mapping[str, str], event: dict[str, Any]) -> check.PullRequest:
    number = event["pull_request"].get("number")
    full_name = _text(event, "repository", "full_name")
    if not isinstance(number, int) or not full_name:
        raise UsageError("the pull-request event names no number or no repository: is it an event of GitHub's?")
    return check.PullRequest(
        repository=full_name,
        number=number,
        repositories=_repositories(event),
        github_api=environ.get("GITHUB_API_URL", "").strip() or "https://api.github.com",
        author=_text(event, "pull_request", "user", "login"),
        head_repository=_text(event, "pull_request", "head", "repo", "full_name"),
        head_url=repository.without_credentials(_text(event, "pull_request", "head", "repo", "clone_url")),
        labeled_by=_labeled_by(environ, event),
    )


def _labeled_by(environ: Mapping[str, str], event: dict[str, Any]) -> str:
    """Who approved with the label, in this very event: a label that is still there approves no later commit."""
    label = environ.get("CLEARML_CI_APPROVAL_LABEL", "").strip() or remote.DEFAULT_LABEL
    if event.get("action") != "labeled" or _text(event, "label", "name") != label:
        return ""
    return _text(event, "sender", "login")


def _repositories(event: dict[str, Any]) -> tuple[str, ...]:
    """Clone addresses of head and base; `head.repo` is null when a fork was deleted."""
    sides = [_at(event, "pull_request", side, "repo") or {} for side in ("head", "base")]
    urls = [str(side.get("clone_url") or "") for side in [*sides, event["repository"]]]
    return tuple(dict.fromkeys(repository.without_credentials(url) for url in urls if url))


def _queues(environ: Mapping[str, str]) -> Queues:
    queues = Queues(
        controllers=environ.get("CLEARML_CI_CONTROLLER_QUEUE", "").strip() or "ci-controllers",
        steps=environ.get("CLEARML_CI_STEPS_QUEUE", "").strip() or "ci-steps",
        code=remote.arguments_of(environ)["run_queue"] or "ci-code",
    )
    shared = {"_steps_queue": queues.steps, "_shared_queue": environ.get("CLEARML_CI_SHARED_QUEUE", "").strip()}
    remote.refuse_shared_queue(shared, code=queues.code)
    return queues


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
