"""A task that the real SDK continued on another commit: found by the console, and by the first start."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.clearml_api import pipeline_runs, task_starts
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.gate import Gate
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import Facts, PullRequest
from sandbox.testing.hub import git
from steps import compare, find_task
from tests.gateways import services
from tests.gateways.conftest import COMMIT, Project

REPOSITORY = "https://github.com/o/n.git"
TRAINING = """
import sys
from clearml import Task
task = Task.init(sys.argv[1], "train", **eval(sys.argv[2]))
task.get_logger().report_scalar("accuracy", "validation", float(sys.argv[3]), 0)
task.close()
"""


@dataclass(frozen=True)
class Laptop:
    """A clone with a training script, on which the real SDK runs."""

    home: Path
    project: str

    def commit(self, text: str) -> str:
        (self.home / "notes").write_text(text)
        git(self.home, "add", ".")
        git(self.home, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-qm", text)
        return git(self.home, "rev-parse", "HEAD")

    def train(self, accuracy: float, **options: Any) -> None:
        command = [sys.executable, "train.py", self.project, repr(options), str(accuracy)]
        own = {"HOME": str(self.home), "CLEARML_CONFIG_FILE": str(self.home / "clearml.conf")}
        subprocess.run(command, cwd=self.home, env={**os.environ, **own}, check=True, timeout=120)


@pytest.fixture
def laptop(tmp_path: Path, project: Project, user_environment: dict[str, str]) -> Laptop:  # noqa: ARG001  of the SDK
    home = tmp_path / "laptop"
    home.mkdir()
    (home / "train.py").write_text(TRAINING)
    (home / "clearml.conf").write_text("sdk { development { report_use_subprocess: false } }\n")
    (home / ".gitignore").write_text("*\n!train.py\n!notes\n!.gitignore\n")
    git(home, "init", "-q")
    git(home, "remote", "add", "origin", REPOSITORY)
    return Laptop(home, project.name)


def _run(clearml: ClearML, project: Project, check: Check) -> pipeline_runs.Run:
    return pipeline_runs.read(clearml, project.run(**check.to_arguments()))


def _check(commit: str, project: Project) -> Check:
    gates = (Gate("accuracy", "validation"),)
    return Check(commit, PullRequest("o/n", 7, (REPOSITORY,), "http://none"), project.name, "", gates, "Best")


@pytest.mark.parametrize("continued", [{"continue_last_task": True}, {"continue_last_task": 0}], ids=["true", "zero"])
def test_find_task__task_continued_by_the_sdk__is_a_candidate_in_doubt(
    clearml: ClearML, project: Project, laptop: Laptop, continued: dict[str, Any]
) -> None:
    laptop.commit("first")
    laptop.train(0.99)
    commit = laptop.commit("second")
    laptop.train(0.5, **continued)
    run = _run(clearml, project, _check(commit, project))
    found = find_task.find_task(services.of_agent(clearml), run)
    assert found["candidate"]
    assert "was continued" in found["doubt"]
    assert task_starts.count(clearml, found["candidate"]["id"]) == 2
    trained = replace(_check(commit, project), candidate="find-or-train", until="completion")
    again = find_task.find_task(services.of_agent(clearml), _run(clearml, project, trained))
    assert again["candidate"] is None
    assert "was continued" in again["rejected"][0]["reason"]


def test_find_task__new_task_of_the_commit__has_no_doubt(clearml: ClearML, project: Project, laptop: Laptop) -> None:
    laptop.commit("first")
    laptop.train(0.99)
    commit = laptop.commit("second")
    laptop.train(0.5, reuse_last_task_id=False)
    now = datetime.now(timezone.utc).isoformat()
    check = replace(_check(commit, project), facts=Facts(committed={commit: now}))
    found = find_task.find_task(services.of_agent(clearml), _run(clearml, project, check))
    assert found["candidate"]
    assert found["doubt"] == ""


def test_compare__task_older_than_its_commit__is_inconclusive(clearml: ClearML, project: Project) -> None:
    task = project.task()
    project.report(task, 0.9)
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    check = replace(_check(COMMIT, project), facts=Facts(committed={COMMIT: later.isoformat()}))
    run = _run(clearml, project, check)
    found = find_task.find_task(services.of_agent(clearml), run)
    assert "started before its commit cccccccccc was made" in found["doubt"]
    step = project.step(run.id, "find_task")
    services.leave_result(clearml, step, found)
    judged = compare.compare(services.of_agent(clearml), run)
    assert (judged["outcome"], judged["reason"]) == ("inconclusive", found["doubt"])


def test_count__console_of_several_pages__is_read_whole(
    clearml: ClearML, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_starts, "_PAGE", 2)
    task = project.task()
    lines = [f"ClearML Task: created new task id={task}", *"abcd", f"ClearML Task: continuing previous task id={task}"]
    project.client.events(
        [
            {"type": "log", "task": task, "level": "info", "msg": line, "timestamp": number + 1, "allow_locked": True}
            for number, line in enumerate(lines)
        ]
    )
    assert task_starts.count(clearml, task) == 2
    monkeypatch.setattr(task_starts, "_MOST_PAGES", 1)
    assert task_starts.count(clearml, task) is None
