"""The demo's audits: how each is played. What main promises is looked at, and one issue tells what is not so."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from github.Issue import Issue

from clearml_ci.audit import Audit, Home
from clearml_ci.gate import Gate
from sandbox import job, processes, story
from sandbox.story import Story, StoryError

ENDS_WITHIN = 180  # seconds
ENDED = ("completed", "failed", "stopped")
PROBE = {"run_until": "first-iteration", "run_script": "train.py"}
RETRAIN = {"retrain": "2", "run_script": "train.py", "run_name": "train digits"}


@dataclass(frozen=True)
class Audited:
    """An audit that has ended, and the repository's one issue, if there is one."""

    run: str
    verdict: Mapping[str, Any]
    issue: Issue | None

    def seen(self, kind: str) -> list[str]:
        """What the findings of a kind are about."""
        return [one["where"]["name"] for one in self.verdict["findings"] if one["kind"] == kind]


@dataclass(frozen=True)
class Planted:
    """What is wrong with a workspace, on purpose: ids of tasks, and a queue's name."""

    second_best: str
    archived_best: str
    probe: str
    unmarked: str
    queue: str


def audit(tale: Story, *, queues: tuple[str, ...] = (), more: Mapping[str, str] | None = None) -> Audited:
    """One audit of the sample project, on the sandbox's agents, to its end; `more` are further `Args`."""
    tale.tell("an audit starts")
    run = _start(tale, queues or (tale.sandbox.queues.steps, tale.sandbox.queues.code), more or {})
    _wait(tale, run)
    found = [one for one in tale.repository.get_issues(state="all") if (one.body or "").startswith("<!-- clearml-ci")]
    if len(found) > 1:
        raise StoryError(f"an audit keeps one issue, and there are {len(found)}")
    return Audited(run, story.verdict(tale, run), found[0] if found else None)


def green(tale: Story) -> Audited:
    """All is well, and main's head runs on an agent today."""
    story.ensure_best(tale)
    return audit(tale, more=PROBE)


def findings(tale: Story) -> tuple[Planted, Audited]:
    """Two bests, an archived best, a probe left over and its clone, a queue without workers."""
    best, dead = story.ensure_best(tale), _dead_run(tale)
    planted = Planted(
        second_best=_copy(tale, best, name="", archived=False),
        archived_best=_copy(tale, best, name="an older model", archived=True),
        probe=_left_over(tale, dead, marked=True),
        unmarked=_left_over(tale, dead, marked=False),
        queue=f"{tale.sandbox.prefix}-ci-forgotten".lstrip("-"),
    )
    tale.clearml.call("queues.create", name=planted.queue)
    tale.tell("two bests, an archived one, a probe of a dead run and its clone, a queue without workers")
    return planted, audit(tale, queues=(planted.queue,))


def repair(tale: Story, planted: Planted) -> None:
    """What people do when they have read the issue."""
    tale.clearml.call("tasks.update_tags", ids=[planted.second_best, planted.archived_best], remove_tags=[job.BEST_TAG])
    tale.clearml.call("tasks.stopped", task=planted.unmarked, force=True)


def _start(tale: Story, queues: tuple[str, ...], more: Mapping[str, str]) -> str:
    sandbox = tale.sandbox
    url = tale.repository.clone_url
    home = Home(sandbox.repository, url, sandbox.github.api_url, "main", (url,))
    gate = Gate(job.METRIC["CLEARML_SCALAR_TITLE"], job.METRIC["CLEARML_SCALAR_SERIES"], tolerance=3.0)
    asked = Audit(home, "", (sandbox.project,), "", job.BEST_TAG, (gate,), queues)
    repository, commit, _ = job.code_of_agents()
    given = {
        "project": f"{sandbox.pipeline_project}/{sandbox.repository}",
        "controllers": sandbox.queues.controllers,
        "repository": repository,
        "commit": commit,
        "arguments": {
            **asked.to_arguments(),
            "_steps_queue": sandbox.queues.steps,
            "run_queue": sandbox.queues.code,
            "run_project": sandbox.project,
            "run_name": "probe of main",
            **more,
        },
    }
    done = subprocess.run(
        [sys.executable, "-m", "sandbox.audit_job"],
        cwd=job.CHECKOUT,
        env=processes.clean_environment(sandbox.directory / "schedule", sandbox.clearml.environment()),
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StoryError(f"the audit could not be started: {done.stderr}")
    return done.stdout.split()[-1]


def _wait(tale: Story, run: str) -> None:
    deadline = time.monotonic() + ENDS_WITHIN
    while _status(tale, run) not in ENDED:
        if time.monotonic() > deadline:
            raise StoryError(f"the audit {run} had not ended within {ENDS_WITHIN} s: {_status(tale, run)}")
        time.sleep(0.5)


def _status(tale: Story, task: str) -> str:
    return str(tale.clearml.call("tasks.get_by_id", task=task)["task"]["status"])


def _dead_run(tale: Story) -> str:
    """A run of the repository's checks that has ended."""
    project = f"{tale.sandbox.pipeline_project}/{tale.sandbox.repository}/.pipelines/pr_check"
    where = tale.clearml.call("projects.get_all", name=f"^{project}$", search_hidden=True)["projects"]
    made = where[0]["id"] if where else tale.clearml.call("projects.create", name=project)["id"]
    run = str(tale.clearml.call("tasks.create", name="pr_check #0", type="controller", project=made)["id"])
    tale.clearml.call("tasks.started", task=run)
    tale.clearml.call("tasks.failed", task=run)
    return run


def _copy(tale: Story, task: str, *, name: str, archived: bool) -> str:
    """Another task that carries the best tag, as a person would leave it."""
    found = tale.clearml.call("tasks.get_by_id", task=task)["task"]
    made = {key: found[key] for key in ("type", "project", "script", "tags")}
    copy = str(tale.clearml.call("tasks.create", name=name or found["name"], **made)["id"])
    tale.clearml.call("tasks.started", task=copy)
    tale.clearml.call("tasks.completed", task=copy)
    if archived:
        tale.clearml.call("tasks.archive", tasks=[copy])
    return copy


def _left_over(tale: Story, run: str, *, marked: bool) -> str:
    """A task that a run launched, or a person's clone of one, which nobody ended."""
    (project,) = tale.clearml.call("projects.get_all", name=f"^{tale.sandbox.project}$")["projects"]
    task = str(tale.clearml.call("tasks.create", name="probe", type="testing", project=project["id"], parent=run)["id"])
    if marked:
        mark = {"clearml_ci_task": task, "clearml_ci_run": run, "clearml_ci_purpose": "probe"}
        tale.clearml.call("tasks.edit", task=task, runtime=mark)
    tale.clearml.call("tasks.started", task=task)
    return task
