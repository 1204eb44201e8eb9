"""Steps that run with their controller: a real controller's process, as an agent starts it, and its forks."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from sandbox.runtime.clearml_access import Client
from tests.gateways.between import Losses
from tests.gateways.conftest import Project
from tests.gateways.controllers import ROOT, Controllers, impatient, process, wait_for

STEPS = ("find_task", "report")  # of a check without gates
COMPLETED = dict.fromkeys(STEPS, "completed")


@dataclass(frozen=True)
class Playing:
    """A run whose steps have no queue, and its controller's process."""

    run: str
    child: "subprocess.Popen[bytes]"
    log: Path

    def forks(self) -> list[psutil.Process]:
        """The processes of the steps, which wait for their tasks."""
        controller = psutil.Process(self.child.pid)
        wait_for(lambda: len(controller.children()) == len(STEPS), self.log)
        return controller.children()

    def end(self) -> None:
        wait_for(lambda: self.child.poll() is not None, self.log)


@contextmanager
def playing(controllers: Controllers, environment: dict[str, str], log: Path, losses: Losses) -> Iterator[Playing]:
    """All requests of the controller and its steps go through the losses."""
    run = controllers.start(_steps_queue="")
    with (
        losses.proxy(environment["CLEARML_API_HOST"]) as address,
        process(run, {**environment, "CLEARML_API_HOST": address}, log) as child,
    ):
        yield Playing(run, child, log)


def console(client: Client, run: str, step: str) -> str:
    (task,) = client.call("tasks.get_all", parent=run, name=f"^{step}$", search_hidden=True)["tasks"]
    events = client.call("events.get_task_log", task=task["id"], order="asc")["events"]
    return "".join(event["msg"] for event in events)


def test_run__without_a_queue_of_steps__runs_them_itself_and_has_their_consoles(
    controllers: Controllers, user_environment: dict[str, str], tmp_path: Path
) -> None:
    losses = Losses()
    with playing(controllers, user_environment, tmp_path / "log", losses) as played:
        played.end()
    assert played.child.returncode == 0, played.log.read_text()
    assert controllers.steps_of(played.run) == controllers.graph(played.run) == COMPLETED
    assert "no evidence" in controllers.read(played.run)["tags"]
    assert "tasks.enqueue" not in losses.sent
    assert "Found: No task that can be evidence" in console(controllers.client, played.run, "find_task")


def test_run__with_lost_answers_to_start_and_end_of_its_steps__ends_as_if_they_had_come(
    controllers: Controllers, user_environment: dict[str, str], tmp_path: Path
) -> None:
    harms = {"tasks.started": ["cut"] * 2, "tasks.completed": ["cut", "refused"], "tasks.edit": ["cut"]}
    losses = Losses(harms)
    with playing(controllers, user_environment, tmp_path / "log", losses) as played:
        played.end()
    assert controllers.steps_of(played.run) == COMPLETED, played.log.read_text()
    assert not any(losses.harms.values())


def test_step__that_is_killed__has_failed_and_the_report_names_it(
    controllers: Controllers, user_environment: dict[str, str], tmp_path: Path
) -> None:
    with playing(controllers, user_environment, tmp_path / "log", Losses()) as played:
        played.forks()[0].kill()
        played.end()
    assert controllers.steps_of(played.run) == {"find_task": "failed", "report": "completed"}, played.log.read_text()
    assert "error" in controllers.read(played.run)["tags"]
    assert "find_task" in controllers.read(played.run)["comment"]


def test_steps__of_a_controller_that_is_killed__end_with_it(
    controllers: Controllers, user_environment: dict[str, str], tmp_path: Path
) -> None:
    with playing(controllers, user_environment, tmp_path / "log", Losses()) as played:
        left = played.forks()
        played.child.kill()
        played.child.wait()
        wait_for(lambda: not any(map(psutil.Process.is_running, left)), played.log)


def test_step__whose_start_the_server_refuses__has_failed_with_that_reason(
    controllers: Controllers, user_environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{impatient(tmp_path, 'patience')}{os.pathsep}{ROOT}")
    losses = Losses({"tasks.started": ["refused"] * 90})
    with playing(controllers, user_environment, tmp_path / "log", losses) as played:
        played.end()
    assert controllers.steps_of(played.run) == dict.fromkeys(STEPS, "failed"), played.log.read_text()
    assert "the step could not be started" in played.log.read_text()


# A process with one step, which takes three seconds, in place of a controller.
SLOW = """
import sys, time, types
from clearml_ci.agent import step_process
from clearml_ci.core.poll import Clock

def slow(services, run):
    print("begun", flush=True)
    time.sleep(3)
    return {}

sys.modules["steps.slow"] = types.SimpleNamespace(slow=slow)
process = step_process.prepare(["slow"])["slow"]
process.run(sys.argv[1], [sys.argv[2]], clock=Clock())
while process.status == "in_progress":
    time.sleep(0.1)
print(process.status)
"""


@pytest.mark.parametrize(
    ("request_of_a_user", "of", "status"),
    [
        ("tasks.stopped", "run", "completed"),
        ("tasks.reset", "run", "stopped"),
        ("tasks.delete", "run", "stopped"),
        ("tasks.stop", "step", "stopped"),
        ("tasks.reset", "step", "stopped"),
        ("tasks.failed", "step", "failed"),
    ],
)
def test_step__whose_run_or_task_is_ended_meanwhile__goes_on_only_to_report(
    project: Project, user_environment: dict[str, str], tmp_path: Path, request_of_a_user: str, of: str, status: str
) -> None:
    """After an abort the run has ended, and its report runs; a reset run has no place for one."""
    run = project.run(pull_request="1")
    tasks = {"run": run, "step": project.step(run, "slow")}
    log = tmp_path / "log"
    with log.open("w") as output:
        command = [sys.executable, "-c", SLOW, tasks["step"], run]
        environment = {**os.environ, **user_environment}
        child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        wait_for(lambda: "begun" in console(project.client, run, "slow"), log)
        project.client.call(request_of_a_user, task=tasks[of], force=True)
        assert child.wait(30) == 0, log.read_text()
    assert log.read_text().splitlines()[-1] == status
