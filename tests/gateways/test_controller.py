"""A controller's process with the real SDK, as an agent starts it; no agent runs its steps."""

import os
import time
from pathlib import Path

import pytest

from clearml_ci.clearml_api import pipeline_runs, run_start
from clearml_ci.operations import rerun
from tests.gateways.between import Losses
from tests.gateways.controllers import COMMIT, ROOT, Controllers, impatient, process, wait_for

READS = ("auth.login", "tasks.get_all", "tasks.get_all_ex")
LOOKS = 6  # requests of a controller whose job does not know its run yet


def test_controller__enqueue_of_its_step_refused_at_first__enqueues_it(
    controllers: Controllers, user_environment: dict[str, str], tmp_path: Path
) -> None:
    run, losses = controllers.start(), Losses({"tasks.enqueue": ["refused"] * 4})
    with losses.proxy(user_environment["CLEARML_API_HOST"]) as address:
        environment = {**user_environment, "CLEARML_API_HOST": address}
        with process(run, environment, tmp_path / "log"):
            wait_for(lambda: controllers.steps_of(run).get("find_task") == "queued", tmp_path / "log")
    arguments = controllers.read(run)["hyperparams"]["Args"]
    assert {"_start", "_origin", "commit"} <= arguments.keys()
    assert losses.sent.count("tasks.enqueue") == 5


def test_controller__run_whose_job_does_not_know_it__ends_itself(
    controllers: Controllers, user_environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = controllers.start(acknowledged=False)
    monkeypatch.setenv("PYTHONPATH", f"{impatient(tmp_path)}{os.pathsep}{ROOT}")
    with process(run, user_environment, tmp_path / "log"):
        wait_for(lambda: controllers.read(run)["status"] != "in_progress", tmp_path / "log")
    ended = controllers.read(run)
    assert (ended["status"], controllers.steps_of(run)) == ("stopped", {})
    assert "does not follow it" in ended["status_reason"]


def test_controller__before_its_job_knows_the_run__writes_nothing_that_the_job_could_overwrite(
    controllers: Controllers, user_environment: dict[str, str], tmp_path: Path
) -> None:
    """`tasks.edit` replaces the whole runtime: of two who write it at the same time, one loses what it wrote."""
    run, losses = controllers.start(acknowledged=False), Losses({})
    with (
        losses.proxy(user_environment["CLEARML_API_HOST"]) as address,
        process(run, {**user_environment, "CLEARML_API_HOST": address}, tmp_path / "log"),
    ):
        wait_for(lambda: len(losses.sent) > LOOKS, tmp_path / "log")
        assert [endpoint for endpoint in losses.sent if endpoint not in READS] == []
        run_start.acknowledge(controllers.clearml, run)
        wait_for(lambda: controllers.steps_of(run).get("find_task") == "queued", tmp_path / "log")
    read = pipeline_runs.read(controllers.clearml, run)
    assert rerun.of(controllers.clearml, read, step="") is None


def test_controller__step_that_no_agent_takes_and_no_job_that_waits__ends_at_its_deadline(
    controllers: Controllers, user_environment: dict[str, str], tmp_path: Path
) -> None:
    run = controllers.start(deadline="12")
    with process(run, user_environment, tmp_path / "log"):
        wait_for(lambda: controllers.read(run)["status"] != "in_progress", tmp_path / "log")
    ended = controllers.read(run)
    assert (ended["status"], set(controllers.steps_of(run).values())) == ("stopped", {"stopped"})
    assert ended["status_reason"] == "ClearML CI: not ended within 12 s"
    assert controllers.graph(run) == {"find_task": "aborted", "report": "skipped"}
    assert ended["name"] == f"PR 7 · {COMMIT[:7]}"


def test_controller__abort__ends_its_steps_also_in_the_graph_and_starts_the_report_alone(
    controllers: Controllers, user_environment: dict[str, str], tmp_path: Path
) -> None:
    run, log = controllers.start(), tmp_path / "log"
    controllers.client.call("workers.status_report", worker="w", task=run, timestamp=int(time.time() * 1000))
    with process(run, user_environment, log) as child:
        wait_for(lambda: controllers.steps_of(run).get("find_task") == "queued", log)
        controllers.client.call("tasks.stop", task=run)
        assert controllers.read(run)["status_message"] == "stopping"
        wait_for(lambda: child.poll() is not None, log)
    assert controllers.steps_of(run) == {"find_task": "stopped", "report": "queued"}
    assert controllers.graph(run) == {"find_task": "aborted", "report": "aborted"}
    assert controllers.read(run)["status"] == "in_progress" and child.returncode  # its agent sets the status


def test_controller__parameter_that_makes_no_sense__starts_the_report_alone(
    controllers: Controllers, user_environment: dict[str, str], tmp_path: Path
) -> None:
    run, log = controllers.start(candidate="fnd"), tmp_path / "log"
    with process(run, user_environment, log):
        wait_for(lambda: controllers.steps_of(run).get("report") == "queued", log)
    assert list(controllers.graph(run)) == ["report"]
    assert "only the report is made: candidate is 'fnd': expected find or train" in log.read_text()


def test_controller__steps_that_end_without_a_verdict__is_labelled_as_an_error(
    controllers: Controllers, user_environment: dict[str, str], tmp_path: Path
) -> None:
    run, log = controllers.start(candidate="fnd"), tmp_path / "log"
    with process(run, user_environment, log) as child:
        wait_for(lambda: controllers.steps_of(run).get("report") == "queued", log)
        (step,) = controllers.client.call("tasks.get_all", parent=run, search_hidden=True)["tasks"]
        controllers.client.call("tasks.dequeue", task=step["id"])
        controllers.client.call("tasks.started", task=step["id"], force=True)
        controllers.client.call("tasks.failed", task=step["id"], force=True)
        wait_for(lambda: child.poll() is not None, log)
    task, sentence = controllers.read(run), "error: the run left no verdict (report failed)"
    assert (child.returncode, task["tags"]) == (0, ["PR 7", "error"])
    assert task["comment"].startswith(sentence) and sentence in log.read_text()


@pytest.mark.parametrize("endpoint", ["auth.login", "tasks.edit_hyper_params", "tasks.enqueue"])
def test_controller__keys_that_are_refused_from_then_on__ends_with_one_line(
    controllers: Controllers, user_environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    endpoint: str,
) -> None:  # fmt: skip
    run, losses, log = controllers.start(), Losses({endpoint: ["401"]}), tmp_path / "log"
    monkeypatch.setenv("PYTHONPATH", f"{impatient(tmp_path, 'sdk')}{os.pathsep}{ROOT}")
    with (
        losses.proxy(user_environment["CLEARML_API_HOST"]) as address,
        process(run, {**user_environment, "CLEARML_API_HOST": address}, log) as child,
    ):
        wait_for(lambda: child.poll() is not None, log)
    assert (child.returncode, "Traceback" in log.read_text()) == (1, False)
    assert "gives no token" in log.read_text() or "refused the keys" in log.read_text()
    assert losses.sent.count("auth.login") < 30
