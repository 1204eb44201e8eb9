"""A GitHub workflow's job, as the trigger sees it: its event, its token, its files, and the log that it prints."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from github.PullRequest import PullRequest
from github.Repository import Repository

from sandbox import processes
from sandbox.processes import Process
from sandbox.state import Sandbox

CHECKOUT = Path(__file__).parent.parent
METRIC = {"CLEARML_SCALAR_TITLE": "accuracy", "CLEARML_SCALAR_SERIES": "validation", "CLEARML_SCALAR_MIN_MAX": "MAX"}
BEST_TAG = "Best Performance"


class CheckoutError(Exception):
    """This directory is no git checkout that agents could clone."""


@dataclass(frozen=True)
class Job:
    """A finished job. `enqueued_seconds`: from its start to the line that names its run, None without such a line."""

    exit_code: int
    seconds: float
    enqueued_seconds: float | None
    outputs: Mapping[str, str]
    summary: str
    log: str


def run(
    sandbox: Sandbox,
    *,
    event: Mapping[str, Any],
    event_name: str = "pull_request",
    settings: Mapping[str, str | None] | None = None,
    command: tuple[str, ...] = ("pr",),
    tell: Callable[[str], None] = lambda _: None,
) -> Job:
    """Runs ci_trigger.py to its end. `settings` add to the variables of a job; None takes one away."""
    directory = _fresh(sandbox.directory / "trigger")
    (directory / "event.json").write_text(json.dumps(event))
    variables = {**_runner(sandbox, directory, event_name), **_settings(sandbox), **(settings or {})}
    given = {name: value for name, value in variables.items() if value is not None}
    began = time.monotonic()
    exit_code, lines = _execute(command, processes.clean_environment(directory / "home", given), tell)
    seconds = time.monotonic() - began
    outputs = _outputs(directory / "output")
    enqueued = (at - began for at, line in lines if outputs.get("pipeline_id", "\n") in line)
    return Job(
        exit_code=exit_code,
        seconds=seconds,
        enqueued_seconds=next(enqueued, None),
        outputs=outputs,
        summary=(directory / "summary.md").read_text(),
        log="\n".join(line for _, line in lines),
    )


def pull_request_event(repository: Repository, pull: PullRequest, *, action: str) -> dict[str, Any]:
    """The payload that GitHub would write to $GITHUB_EVENT_PATH, from what its API says now."""
    fresh = repository.get_pull(pull.number)
    return {
        "action": action,
        "number": fresh.number,
        "pull_request": fresh.raw_data,
        "repository": repository.raw_data,
        "sender": fresh.raw_data["user"],
    }


def code_of_agents() -> tuple[str, str, bool]:
    """Repository and commit of this checkout, and whether it holds changes that are not in that commit."""
    toplevel = Path(_git("rev-parse", "--show-toplevel"))
    changed = _git("status", "--porcelain", "--untracked-files=normal")
    return toplevel.as_uri(), _git("rev-parse", "HEAD"), bool(changed)


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(CHECKOUT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip()
        raise CheckoutError(
            f"agents clone ClearML CI from this directory, which must be a git clone with a commit: {said}"
        ) from None


def _fresh(directory: Path) -> Path:
    """A directory for one job, numbered: several may run at once."""
    directory.mkdir(parents=True, exist_ok=True)
    number = len(list(directory.iterdir())) + 1
    job = directory / str(number)
    job.mkdir()
    for name in ("output", "summary.md"):
        (job / name).touch()
    return job


def _runner(sandbox: Sandbox, directory: Path, event_name: str) -> dict[str, str]:
    """What GitHub's runner sets for every job."""
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
    """What the sample repository's workflow gives to the check."""
    repository, commit, _ = code_of_agents()
    return {
        **sandbox.clearml.environment(),
        **METRIC,
        "CLEARML_PROJECT": sandbox.project,
        "CLEARML_TASK_NAME": "train digits",
        "CLEARML_BEST_TAGNAME": BEST_TAG,
        "CLEARML_SCALAR_THRESHOLD": "3",
        "CLEARML_CI_CONTROLLER_QUEUE": sandbox.queues.controllers,
        "CLEARML_CI_STEPS_QUEUE": sandbox.queues.steps,
        "CLEARML_CI_CODE_QUEUE": sandbox.queues.code,
        "CLEARML_CI_PIPELINE_PROJECT": sandbox.pipeline_project,
        "CLEARML_CI_REPOSITORY": repository,
        "CLEARML_CI_COMMIT": commit,
    }


def _execute(
    command: tuple[str, ...], environment: Mapping[str, str], tell: Callable[[str], None]
) -> tuple[int, list[tuple[float, str]]]:
    """Exit code, and each line with the moment at which it came."""
    lines = []
    with subprocess.Popen(
        [sys.executable, str(CHECKOUT / "ci_trigger.py"), *command],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as trigger:
        assert trigger.stdout is not None  # noqa: S101  Popen was asked for a pipe
        born = Process.of(trigger.pid)
        try:
            for line in trigger.stdout:
                lines.append((time.monotonic(), line.rstrip("\n")))
                tell(line.rstrip("\n"))
        except BaseException:
            processes.end_trees([born], patience=10.0)
            raise
    return trigger.returncode, lines


def _outputs(path: Path) -> dict[str, str]:
    """The lines `name=value` of $GITHUB_OUTPUT; the trigger writes no others."""
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
