"""CI jobs of a case: ci_trigger.py as a process, with the variables and files that GitHub's runner gives it."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.runtime import processes
from tools.faults import stage as stages
from tools.faults.job import Job
from tools.faults.stage import Stage

KILLED_AFTER = 60.0  # seconds beyond its deadline
METRIC = {
    "CLEARML_SCALAR_TITLE": "accuracy",
    "CLEARML_SCALAR_SERIES": "validation",
    "CLEARML_SCALAR_MIN_MAX": "MAX",
    "CLEARML_SCALAR_THRESHOLD": "3",
}


@dataclass(frozen=True)
class Order:
    """A job that is to be started."""

    name: str
    event: Mapping[str, Any]
    event_name: str = "pull_request"
    command: tuple[str, ...] = ()
    commit: str = ""
    pull: int = 0
    settings: Mapping[str, str | None] = field(default_factory=dict)


def start(stage: Stage, order: Order, *, deadline: float) -> Job:
    """Start a job; a thread of its own waits for its end, and kills it long after its deadline."""
    directory = stage.directory / "jobs" / f"{len(stage.jobs) + 1}-{order.name.replace(' ', '-')}"
    directory.mkdir(parents=True)
    (directory / "event.json").write_text(json.dumps(order.event))
    variables = {**_runner(stage, order, directory), **_settings(stage, deadline), **order.settings}
    given = {name: value for name, value in variables.items() if value is not None}
    program = stage.launcher.start(
        [str(stages.CHECKOUT / "ci_trigger.py"), *order.command],
        processes.clean_environment(directory / "home", given),
        directory=stages.CHECKOUT,
        log=directory / "log",
    )
    waits = given.get("CLEARML_CI_WAIT") != "false"
    job = Job(order.name, order.commit, order.pull, waits, deadline, directory, program, time.monotonic())
    stage.jobs.append(job)
    threading.Thread(target=_await, args=(stage, job), daemon=True).start()
    return job


def _await(stage: Stage, job: Job) -> None:
    if not job.program.wait(job.deadline + KILLED_AFTER):
        job.hung = True
        job.program.kill()
        job.program.wait(10)
    job.seconds = time.monotonic() - job.began
    job.statuses = stages.status_ids(stage, job.commit) if job.commit else []
    job.done.set()


def _runner(stage: Stage, order: Order, directory: Path) -> dict[str, str]:
    """The variables that GitHub's runner sets for every job."""
    for name in ("output", "summary.md"):
        (directory / name).touch()
    return {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": order.event_name,
        "GITHUB_EVENT_PATH": str(directory / "event.json"),
        "GITHUB_REPOSITORY": stage.repository.full_name,
        "GITHUB_API_URL": stage.api_url,
        "GITHUB_SERVER_URL": stages.github_door(stage),
        "GITHUB_TOKEN": stage.job_token,
        "GITHUB_OUTPUT": str(directory / "output"),
        "GITHUB_STEP_SUMMARY": str(directory / "summary.md"),
        "GITHUB_RUN_ID": str(len(stage.jobs) + 1),
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_WORKFLOW": "model check",
        "GITHUB_JOB": "check",
    }


def _settings(stage: Stage, deadline: float) -> dict[str, str]:
    """The variables that the repository's workflow gives to ClearML CI."""
    return {
        **stages.clearml_variables(stage, "job"),
        **METRIC,
        "CLEARML_PROJECT": stages.PROJECT,
        "CLEARML_TASK_NAME": stages.TASK,
        "CLEARML_BEST_TAGNAME": stages.TAG,
        "CLEARML_CI_CONTROLLER_QUEUE": stages.QUEUES["controllers"],
        "CLEARML_CI_STEPS_QUEUE": "" if stage.steps_here else stages.QUEUES["steps"],
        "CLEARML_CI_CODE_QUEUE": stages.QUEUES["code"],
        "CLEARML_CI_PIPELINE_PROJECT": stages.PIPELINES,
        "CLEARML_CI_REPOSITORY": stages.CHECKOUT.as_uri(),
        "CLEARML_CI_COMMIT": _own_commit(),
        "CLEARML_CI_DEADLINE": f"{deadline:g}",
    }


def _own_commit() -> str:
    command = ["git", "-C", str(stages.CHECKOUT), "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
