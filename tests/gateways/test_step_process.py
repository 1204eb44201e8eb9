"""Steps that run with their controller: a real controller's process, as an agent starts it, and its forks."""

import contextlib
from pathlib import Path
from typing import Any

import psutil
import pytest

from sandbox.runtime.clearml_access import Client
from tests.gateways.between import Losses
from tests.gateways.test_controller import Controllers, controllers, impatient, process, wait_for

__all__ = ["controllers"]  # the fixture

STEPS = {"find_task", "report"}  # of a check without gates


def forks(controller: "psutil.Process") -> list[psutil.Process]:
    """The processes of the steps that have not ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [child for child in controller.children() if child.status() != psutil.STATUS_ZOMBIE]
    return []


def console(client: Client, task: str) -> str:
    events = client.call("events.get_task_log", task=task, order="asc")["events"]
    return "".join(event["msg"] for event in events)


def step(controllers: Controllers, run: str, name: str) -> dict[str, Any]:
    found = controllers.client.call("tasks.get_all_ex", parent=run, name=f"^{name}$", search_hidden=True)["tasks"]
    return dict(found[0])


def test_run__without_a_queue_of_steps__runs_them_itself_and_has_their_consoles(
    controllers: Controllers, user_environment: dict[str, str], tmp_path: Path
) -> None:
    run, losses, log = controllers.start(_steps_queue=""), Losses({}), tmp_path / "log"
    with (
        losses.proxy(user_environment["CLEARML_API_HOST"]) as address,
        process(run, {**user_environment, "CLEARML_API_HOST": address}, log) as child,
    ):
        wait_for(lambda: child.poll() is not None, log)
    assert child.returncode == 0, log.read_text()
    assert controllers.steps_of(run) == dict.fromkeys(STEPS, "completed")
    assert controllers.graph(run) == dict.fromkeys(STEPS, "completed")
    assert "no evidence" in controllers.read(run)["tags"]
    assert "tasks.enqueue" not in losses.sent
    found = console(controllers.client, step(controllers, run, "find_task")["id"])
    assert "Found: No task that can be evidence" in found


def test_run__with_lost_answers_to_start_and_end_of_its_steps__ends_as_if_they_had_come(
    controllers: Controllers, user_environment: dict[str, str], tmp_path: Path
) -> None:
    run, log = controllers.start(_steps_queue=""), tmp_path / "log"
    losses = Losses({"tasks.started": ["cut"] * 2, "tasks.completed": ["cut", "refused"], "tasks.edit": ["cut"]})
    with (
        losses.proxy(user_environment["CLEARML_API_HOST"]) as address,
        process(run, {**user_environment, "CLEARML_API_HOST": address}, log) as child,
    ):
        wait_for(lambda: child.poll() is not None, log)
    assert controllers.steps_of(run) == dict.fromkeys(STEPS, "completed"), log.read_text()


def test_step__that_is_killed__has_failed_and_the_report_names_it(
    controllers: Controllers, user_environment: dict[str, str], tmp_path: Path
) -> None:
    run, log = controllers.start(_steps_queue=""), tmp_path / "log"
    with process(run, user_environment, log) as child:
        controller = psutil.Process(child.pid)
        wait_for(lambda: len(forks(controller)) == len(STEPS), log)
        forks(controller)[0].kill()
        wait_for(lambda: child.poll() is not None, log)
    assert controllers.steps_of(run) == {"find_task": "failed", "report": "completed"}, log.read_text()
    assert "error" in controllers.read(run)["tags"]
    assert "find_task" in controllers.read(run)["comment"]


def test_steps__of_a_controller_that_is_killed__end_with_it(
    controllers: Controllers, user_environment: dict[str, str], tmp_path: Path
) -> None:
    run, log = controllers.start(_steps_queue=""), tmp_path / "log"
    with process(run, user_environment, log) as child:
        controller = psutil.Process(child.pid)
        wait_for(lambda: len(forks(controller)) == len(STEPS), log)
        left = forks(controller)
        child.kill()
        child.wait()
        wait_for(lambda: not any(map(psutil.Process.is_running, left)), log)


def test_step__whose_start_the_server_refuses__has_failed_with_that_reason(
    controllers: Controllers, user_environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, losses, log = controllers.start(_steps_queue=""), Losses({"tasks.started": ["refused"] * 90}), tmp_path / "log"
    monkeypatch.setenv("PYTHONPATH", f"{impatient(tmp_path, 'patience')}:{Path(__file__).parents[2]}")
    with (
        losses.proxy(user_environment["CLEARML_API_HOST"]) as address,
        process(run, {**user_environment, "CLEARML_API_HOST": address}, log) as child,
    ):
        wait_for(lambda: child.poll() is not None, log)
    assert controllers.steps_of(run) == dict.fromkeys(STEPS, "failed"), log.read_text()
    assert "the step could not be started" in log.read_text()
