"""A job of a GitHub workflow that runs ci_trigger.py: its event, its token, its files, and its log."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from github.PullRequest import PullRequest

from sandbox.runtime import processes
from sandbox.runtime.processes import Process
from sandbox.runtime.state import Sandbox

CHECKOUT = Path(__file__).parents[2]
METRIC = {"CLEARML_SCALAR_TITLE": "accuracy", "CLEARML_SCALAR_SERIES": "validation", "CLEARML_SCALAR_MIN_MAX": "MAX"}
BEST_TAG = "Best Performance"


MASK = "::add-mask::"  # a command to the runner, which keeps it out of the log


class CheckoutError(Exception):
    """This directory is no git checkout, so agents cannot clone it."""


@dataclass(frozen=True)
class Job:
    """A finished job. `enqueued_seconds`: from its start to the line that names its run, None without such a line."""

    exit_code: int
    seconds: float
    enqueued_seconds: float | None
    outputs: Mapping[str, str]
    summary: str
    log: str


@dataclass(frozen=True)
class Running:
    """A job that has not ended: its process, and its lines so far, each with the moment at which it came."""

    process: subprocess.Popen[str]
    lines: list[tuple[float, str]] = field(default_factory=list)

    def terminate(self) -> None:
        """Cancel the job as a runner does: the trigger replaced the shell, so it gets the signal."""
        self.process.terminate()

    @property
    def log(self) -> str:
        return "\n".join(line for _, line in self.lines)

    @property
    def pipeline_id(self) -> str:
        """The run that the log has named. Raises LookupError before that."""
        named = re.search(r"^ClearML run: \S+/([0-9a-f]{32})\b", self.log, re.MULTILINE)
        if named is None:
            raise LookupError(f"the job has named no run yet: {self.log}")
        return named[1]


OnLine = Callable[[str, Running], None]


def once(moment: str, act: Callable[[Running], None]) -> OnLine:
    """Return an `on_line` that acts when the log shows exactly this line for the first time."""
    shown = itertools.count()

    def on_line(line: str, running: Running) -> None:
        if line == moment and next(shown) == 0:
            act(running)

    return on_line


def run(
    sandbox: Sandbox,
    *,
    event: Mapping[str, Any],
    event_name: str = "pull_request",
    settings: Mapping[str, str | None] | None = None,
    command: tuple[str, ...] = ("pr",),
    on_line: OnLine = lambda line, running: None,  # noqa: ARG005  it is called with both
) -> Job:
    """Run ci_trigger.py to its end. `settings` add to the variables of a job; None takes one away.

    `on_line` is given each line of the log as it comes, with the job, which goes on meanwhile: it may end that job,
    or run another one beside it.
    """
    directory = _fresh(sandbox.directory / "trigger")
    (directory / "event.json").write_text(json.dumps(event))
    variables = {**_runner(sandbox, directory, event_name), **_settings(sandbox), **(settings or {})}
    given = {name: value for name, value in variables.items() if value is not None}
    began = time.monotonic()
    program = [*sandbox.python, str(CHECKOUT / "ci_trigger.py"), *command]
    ended = _execute(program, processes.clean_environment(directory / "home", given), on_line)
    seconds = time.monotonic() - began
    outputs = _outputs(directory / "output")
    enqueued = (at - began for at, line in ended.lines if outputs.get("pipeline_id", "\n") in line)
    return Job(
        exit_code=ended.process.returncode,
        seconds=seconds,
        enqueued_seconds=next(enqueued, None),
        outputs=outputs,
        summary=(directory / "summary.md").read_text(),
        log=ended.log,
    )


def pull_request_event(sandbox: Sandbox, pull: PullRequest, *, action: str) -> dict[str, Any]:
    """Return the payload that GitHub would write to $GITHUB_EVENT_PATH now."""
    query: dict[str, str | int] = {"repository": sandbox.repository, "number": pull.number, "action": action}
    answer = requests.get(f"{sandbox.github.url}/_sandbox/events/pull_request", params=query, timeout=30)
    answer.raise_for_status()
    payload: dict[str, Any] = answer.json()
    return payload


def comment_event(sandbox: Sandbox, pull: PullRequest, comment: int) -> dict[str, Any]:
    """Return the payload that GitHub would write for a new comment on a pull request."""
    query: dict[str, str | int] = {"repository": sandbox.repository, "number": pull.number, "comment": comment}
    answer = requests.get(f"{sandbox.github.url}/_sandbox/events/issue_comment", params=query, timeout=30)
    answer.raise_for_status()
    payload: dict[str, Any] = answer.json()
    return payload


def merge_group(sandbox: Sandbox, pull: PullRequest, *, after: str = "") -> dict[str, Any]:
    """Take a pull request into the merge queue, behind the group with the commit `after`; return the event."""
    order = {"repository": sandbox.repository, "number": str(pull.number), "after": after}
    owner = {"Authorization": f"token {sandbox.github.owner_token}"}
    answer = requests.post(f"{sandbox.github.url}/_sandbox/merge_groups", json=order, headers=owner, timeout=30)
    answer.raise_for_status()
    payload: dict[str, Any] = answer.json()
    return payload


def code_of_agents() -> tuple[str, str, bool]:
    """Return repository and commit of this checkout, and whether it has uncommitted changes."""
    toplevel = Path(_git("rev-parse", "--show-toplevel"))
    changed = _git("status", "--porcelain", "--untracked-files=normal")
    return toplevel.as_uri(), _git("rev-parse", "HEAD"), bool(changed)


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(CHECKOUT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        reason = (getattr(error, "stderr", "") or str(error)).strip()
        raise CheckoutError(
            f"agents cannot clone ClearML CI from {CHECKOUT}, which must be a git clone with a commit: {reason}"
        ) from None


def _fresh(directory: Path) -> Path:
    """Create a numbered directory for one job: several may run concurrently."""
    directory.mkdir(parents=True, exist_ok=True)
    number = len(list(directory.iterdir())) + 1
    job = directory / str(number)
    job.mkdir()
    for name in ("output", "summary.md"):
        (job / name).touch()
    return job


def _runner(sandbox: Sandbox, directory: Path, event_name: str) -> dict[str, str]:
    """Return the variables that GitHub's runner sets for every job."""
    return {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": event_name,
        "GITHUB_EVENT_PATH": str(directory / "event.json"),
        "GITHUB_REPOSITORY": sandbox.repository,
        "GITHUB_API_URL": sandbox.github.api_url,
        "GITHUB_SERVER_URL": sandbox.github.url,
        "GITHUB_TOKEN": sandbox.github.workflow_token,
        "GITHUB_OUTPUT": str(directory / "output"),
        "GITHUB_STEP_SUMMARY": str(directory / "summary.md"),
        "GITHUB_RUN_ID": directory.name,
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_RUN_NUMBER": directory.name,
        "GITHUB_WORKFLOW": "model check",
        "GITHUB_JOB": "check",
    }


def _settings(sandbox: Sandbox) -> dict[str, str]:
    """Return the variables that the sample repository's workflow sets."""
    repository, commit, _ = code_of_agents()
    return {
        **sandbox.clearml.environment(),
        **METRIC,
        "CLEARML_PROJECT": sandbox.project,
        "CLEARML_TASK_NAME": "train digits",
        "CLEARML_BEST_TAGNAME": BEST_TAG,
        "CLEARML_SCALAR_THRESHOLD": "3",
        "CLEARML_CI_CONTROLLER_QUEUE": sandbox.queues.controllers,
        "CLEARML_CI_CODE_QUEUE": sandbox.queues.code,
        "CLEARML_CI_PIPELINE_PROJECT": sandbox.pipeline_project,
        "CLEARML_CI_REPOSITORY": repository,
        "CLEARML_CI_COMMIT": commit,
    }


def _execute(command: Sequence[str], environment: Mapping[str, str], on_line: OnLine) -> Running:
    with subprocess.Popen(
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as trigger:
        assert trigger.stdout is not None  # noqa: S101  Popen was asked for a pipe
        born, running = Process.of(trigger.pid), Running(trigger)
        try:
            for line in trigger.stdout:
                if line.startswith(MASK):
                    continue
                running.lines.append((time.monotonic(), line.rstrip("\n")))
                on_line(line.rstrip("\n"), running)
        except BaseException:
            processes.end_trees([born], patience=10.0)
            raise
    return running


def _outputs(path: Path) -> dict[str, str]:
    """Return the lines `name=value` of $GITHUB_OUTPUT; the trigger writes no others."""
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
