"""Steps that run with their controller: a real controller's process, as an agent starts it, and its forks."""

import os
import subprocess
import sys
import time
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


# A `sitecustomize` that has processes start their forks as on macOS or on Linux.
CONTEXT = """
import multiprocessing
from clearml_ci.agent import step_process
step_process._CONTEXT = multiprocessing.get_context("{}")
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_run__without_a_queue_of_steps__runs_them_itself_and_has_their_consoles(
    controllers: Controllers,
    user_environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    (tmp_path / "sitecustomize.py").write_text(CONTEXT.format(method))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
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


def test_run__server_that_holds_consoles__has_its_verdict_meanwhile(
    controllers: Controllers, user_environment: dict[str, str], tmp_path: Path
) -> None:
    losses = Losses({"events.add_batch": ["held"] * 40})
    with playing(controllers, user_environment, tmp_path / "log", losses) as played:
        wait_for(lambda: controllers.steps_of(played.run) == COMPLETED, played.log)
        losses.released.set()


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


# A process with one step, in place of a controller. The step goes on once a test lets it.
SLOW = """
import sys, time, types
from pathlib import Path
from clearml_ci.agent import step_process
from clearml_ci.core.poll import Clock

def slow(services, run):
    Path("begun").touch()
    until = time.monotonic() + 60
    while not Path("go on").exists() and time.monotonic() < until:
        time.sleep(0.05)
    Path("finished").touch()
    return {}

sys.modules["steps.slow"] = types.SimpleNamespace(slow=slow)
process = step_process.prepare(["slow"])["slow"]
process.run(sys.argv[1], [sys.argv[2]], clock=Clock())
while process.status == "in_progress":
    time.sleep(0.1)
print(process.status)
"""


@dataclass(frozen=True)
class Slow:
    """The process of SLOW in a folder of its own, with its run and the step's task."""

    run: str
    step: str
    child: "subprocess.Popen[bytes]"
    folder: Path

    def has(self, file: str) -> bool:
        return (self.folder / file).exists()

    def last_line(self) -> str:
        """The last line that it prints before it ends."""
        assert self.child.wait(40) == 0, (self.folder / "log").read_text()
        return (self.folder / "log").read_text().splitlines()[-1]


@pytest.fixture
def slow(project: Project, user_environment: dict[str, str], tmp_path: Path) -> Iterator[Slow]:
    """A step that has begun."""
    run = project.run(pull_request="1")
    step = project.step(run, "slow")
    environment = {**os.environ, **user_environment, "PYTHONPATH": str(ROOT)}
    with (tmp_path / "log").open("w") as log:
        command = [sys.executable, "-c", SLOW, step, run]
        child = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT)
    started = Slow(run, step, child, tmp_path)
    try:
        wait_for(lambda: started.has("begun"), tmp_path / "log")
        yield started
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize(
    ("request_of_a_user", "of", "status"),
    [
        ("tasks.reset", "run", "stopped"),
        ("tasks.delete", "run", "stopped"),
        ("tasks.stop", "step", "stopped"),
        ("tasks.reset", "step", "stopped"),
        ("tasks.failed", "step", "failed"),
    ],
)
def test_step__whose_task_is_ended_or_whose_run_is_reset__is_interrupted(
    client: Client, slow: Slow, request_of_a_user: str, of: str, status: str
) -> None:
    client.call(request_of_a_user, task={"run": slow.run, "step": slow.step}[of], force=True)
    assert slow.last_line() == status
    assert not slow.has("finished")


def test_step__whose_run_is_aborted__goes_on(client: Client, slow: Slow) -> None:
    """The controller ends the steps that an abort ends, and its report still runs."""
    client.call("tasks.stopped", task=slow.run, force=True)
    time.sleep(2.5)  # in which the step has looked at its run
    (slow.folder / "go on").touch()
    assert slow.last_line() == "completed"
    assert slow.has("finished")


def test_step__whose_controller_is_killed__is_interrupted_and_sets_the_status_of_its_task(
    client: Client, slow: Slow
) -> None:
    (fork,) = psutil.Process(slow.child.pid).children()
    slow.child.kill()
    slow.child.wait()
    wait_for(lambda: not fork.is_running(), slow.folder / "log")
    assert client.call("tasks.get_by_id", task=slow.step)["task"]["status"] == "stopped"
    assert not slow.has("finished")
