"""GitHub's event: the command that it starts, and whether there is anything to do."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearml_ci.core.errors import UsageError

Event = dict[str, Any]


NO_PULL_REQUEST = (
    "the event '{event}' is no pull request: run this in a workflow with `on: pull_request` "
    "(or `pull_request_target`), or point GITHUB_EVENT_PATH to such an event"
)


ONLY_DEFAULT = "and only what is merged into '{default}' is promoted: nothing is done"


_OF_PULL_REQUESTS = ("pull_request", "pull_request_target", "")


_COMMANDS = {"push": "promote", "schedule": "audit"}


@dataclass(frozen=True)
class Push:
    """A push to a branch; `commits` are those that the event lists, oldest first, which may not be all."""

    branch: str
    before: str
    after: str
    commits: tuple[str, ...]


def command(environ: Mapping[str, str]) -> str:
    """The command that the job's event starts if none is given: `pr` for any event that is not known here."""
    name = environ.get("GITHUB_EVENT_NAME", "").strip()
    if name in _OF_PULL_REQUESTS and environ.get("GITHUB_EVENT_PATH", "").strip():
        return "promote" if read(environ).get("action") == "closed" else "pr"
    return _COMMANDS.get(name, "pr")


def read(environ: Mapping[str, str]) -> Event:
    """The job's event. Raises UsageError if there is none."""
    path = environ.get("GITHUB_EVENT_PATH", "").strip()
    if not path:
        raise UsageError(
            "GITHUB_EVENT_PATH is not set: it names the file with the pull-request event. "
            "Run this in a GitHub workflow (see README.md), or run `make demo` to try it"
        )
    try:
        event = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"GITHUB_EVENT_PATH: {path} cannot be read as JSON: {error}") from error
    return event if isinstance(event, dict) else {}


def pull_request(environ: Mapping[str, str]) -> Event:
    """The job's event, which is about a pull request. Raises UsageError if it is not."""
    event = read(environ)
    name = environ.get("GITHUB_EVENT_NAME", "").strip()
    if name not in _OF_PULL_REQUESTS or not isinstance(event.get("pull_request"), dict):
        raise UsageError(NO_PULL_REQUEST.format(event=name or "unknown"))
    return event


def at(event: object, *path: str) -> Any:
    """The value at these keys; None if one of them is missing, or leads into something else than an object."""
    for key in path:
        event = event.get(key) if isinstance(event, dict) else None
    return event


def text(event: object, *path: str) -> str:
    """The text at these keys; "" if there is none: GitHub sends null for what was deleted."""
    value = at(event, *path)
    return value if isinstance(value, str) else ""


def pushed(environ: Mapping[str, str], event: Event) -> Push | None:
    """The push that the event is; None if it is none. Raises UsageError for a tag or a deleted branch."""
    if environ.get("GITHUB_EVENT_NAME", "").strip() != "push":
        return None
    ref, after = text(event, "ref"), text(event, "after")
    if not ref.startswith("refs/heads/") or not after.strip("0"):
        raise UsageError(
            f"the push of {(ref or 'nothing')!r} moves no branch: run this with `on: push: branches: [main]`"
        )
    listed = event.get("commits") if isinstance(event.get("commits"), list) else []
    commits = (text(commit, "id") for commit in listed or [])
    return Push(ref.removeprefix("refs/heads/"), text(event, "before"), after, tuple(filter(None, commits)))


def of_merge(event: Event, pull: Event | None, *, branch: str) -> Event | None:
    """The event of the merge that a push was, as GitHub writes it for the pull request; None if it was no merge."""
    if pull is None or text(pull, "base", "ref") != branch:
        return None
    return {"action": "closed", "pull_request": {**pull, "merged": True}, "repository": event["repository"]}


def default_branch(event: Event) -> str:
    """The repository's default branch; "" if the event does not name it."""
    return text(event, "repository", "default_branch")


def repository(event: Event) -> str:
    """owner/name of the event's repository. Raises UsageError if the event does not name it."""
    if name := text(event, "repository", "full_name"):
        return name
    raise UsageError("the event names no repository: is it an event of GitHub's?")


def nothing_to_promote(event: Event) -> str | None:
    """Reason why there is nothing to promote, or None. Raises UsageError if the pull request is still open."""
    pull = event["pull_request"]
    number, default = pull.get("number"), default_branch(event)
    if pull.get("merged"):
        base = text(pull, "base", "ref") or default
        if default and base != default:
            return f"pull request #{number} was merged into '{base}', {ONLY_DEFAULT.format(default=default)}"
        return None
    if event.get("action") == "closed":
        return f"pull request #{number} was closed without a merge: nothing is promoted"
    raise UsageError(
        f"pull request #{number} is not merged: the baseline's tag moves after the merge "
        "(`on: pull_request_target: types: [closed]`, or a push to the default branch)"
    )
