"""Runs on a ClearML server that are stopped or superseded, and the tasks that stay."""

import time
from typing import Any

from clearml_ci.clearml_api import ownership, pipeline_runs, run_cancellation
from clearml_ci.clearml_api.session import ClearML
from sandbox.runtime.clearml_access import Client
from tests.clock import fast_clock
from tests.gateways.conftest import Project


def test_stop__run_with_running_and_queued_steps__ends_them_all(
    clearml: ClearML, client: Client, project: Project, prefix: str
) -> None:
    run = client.call("tasks.create", name="pr_check #1", type="controller", project=project.id)["id"]
    client.call("tasks.started", task=run)
    running = project.step(run, "find_task")
    client.call("tasks.started", task=running)
    queued = project.step(run, "compare")
    queue = client.call("queues.create", name=f"{prefix}-queue")["id"]
    client.call("tasks.enqueue", task=queued, queue=queue)
    foreign = project.task(end=None, name="of another user")
    client.call("tasks.started", task=foreign)
    run_cancellation.stop(clearml, run, reason="cancelled", clock=fast_clock())
    found = client.call("tasks.get_all", id=[run, running, queued, foreign], only_fields=["id", "status"])["tasks"]
    states = {task["id"]: task["status"] for task in found}
    assert (states[run], states[running]) == ("stopped", "stopped")
    assert states[queued] in ("stopped", "created")
    assert states[foreign] == "in_progress"
    assert client.call("queues.get_by_id", queue=queue)["queue"]["entries"] == []


def test_stop__agent_that_died_with_its_task__does_not_keep_it_running(
    clearml: ClearML, client: Client, project: Project, prefix: str
) -> None:
    """While a worker was seen on it lately, `tasks.stop` is only a request, forced or not."""
    run = client.call("tasks.create", name="pr_check #1", type="controller", project=project.id)["id"]
    client.call("tasks.started", task=run)
    client.call("workers.register", worker=f"{prefix}:gone", queues=[])
    client.call("workers.status_report", worker=f"{prefix}:gone", timestamp=int(time.time() * 1000), task=run)
    client.call("tasks.stop", task=run, force=True)
    assert pipeline_runs.read(clearml, run).status == "in_progress"
    run_cancellation.stop(clearml, run, reason="cancelled", clock=fast_clock())
    assert pipeline_runs.read(clearml, run).status == "stopped"


def whole(client: Client, task: str) -> dict[str, Any]:
    return dict(client.call("tasks.get_by_id", task=task)["task"])


def test_stop_children__clone_of_a_step__is_left_alone(clearml: ClearML, client: Client, project: Project) -> None:
    run = project.run(pull_request="7")
    probe = project.task(end=None, name="train", parent=run)
    ownership.mark(clearml, probe, run=run, purpose="probe")
    client.call("tasks.started", task=probe)
    clone = project.task(end=None, name="remote_run", parent=run)
    client.call("tasks.started", task=clone)
    run_cancellation.stop_children(clearml, run, reason="aborted")
    assert whole(client, probe)["status"] == "stopped"
    assert (whole(client, clone)["status"], whole(client, run)["status"]) == ("in_progress", "in_progress")


def test_supersede__older_runs_of_the_pull_request__are_stopped_and_marked_and_no_others(
    clearml: ClearML, client: Client, project: Project
) -> None:
    older, other = project.run(pull_request="7"), project.run(pull_request="8")
    unmarked = client.call("tasks.clone", task=older)["id"]
    client.call("tasks.started", task=unmarked)
    mine = project.run(pull_request="7")
    newer = project.run(pull_request="7")
    assert [run.id for run in run_cancellation.supersede(clearml, mine)] == [older]
    assert pipeline_runs.read(clearml, older).superseded_by == mine
    states = {task: whole(client, task)["status"] for task in (older, other, unmarked, mine, newer)}
    assert states.pop(older) == "stopped"
    assert set(states.values()) == {"in_progress"}


def test_supersede__check_of_another_name__goes_on(clearml: ClearML, client: Client, project: Project) -> None:
    of_names = [project.run(pull_request="7", _name=name) for name in ("digits", "letters", "")]
    digits, letters, *unnamed = [*of_names, project.run(pull_request="7")]
    newer = project.run(pull_request="7", _name="digits")
    assert [run.id for run in run_cancellation.supersede(clearml, newer)] == [digits]
    without = project.run(pull_request="7")
    assert [run.id for run in run_cancellation.supersede(clearml, without)] == unnamed
    assert [whole(client, task)["status"] for task in (letters, newer)] == ["in_progress", "in_progress"]


def test_end_unwanted__controller_whose_stop_request_was_erased__ends_itself_and_its_children(
    clearml: ClearML, client: Client, project: Project
) -> None:
    """`Task.init` sends `tasks.started`, which erases the `stopping` of an agent's task that is about to stop."""
    older = project.run(pull_request="7")
    step = project.step(older, "find_task")
    client.call("tasks.started", task=step)
    mine = project.run(pull_request="7")
    run_cancellation.supersede(clearml, mine)
    for task in (older, step):
        client.call("tasks.started", task=task, force=True)
    assert run_cancellation.end_unwanted(clearml, older)
    assert [whole(client, task)["status"] for task in (older, step)] == ["stopped", "stopped"]
    assert not run_cancellation.end_unwanted(clearml, mine)
    assert whole(client, mine)["status"] == "in_progress"


def test_superseded__clone_of_a_superseded_run__is_not(clearml: ClearML, client: Client, project: Project) -> None:
    older = project.run(pull_request="7")
    mine = project.run(pull_request="7")
    run_cancellation.supersede(clearml, mine)
    properties = client.call("tasks.get_by_id", task=older)["task"]["hyperparams"]["properties"]
    clone = client.call("tasks.clone", task=older, new_task_name="rerun")["id"]
    client.call("tasks.edit_hyper_params", task=clone, hyperparams=list(properties.values()))
    assert pipeline_runs.read(clearml, older).superseded_by == mine
    assert pipeline_runs.read(clearml, clone).superseded_by == ""
