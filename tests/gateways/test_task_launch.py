"""Tasks that a check launches, observes and ends on a ClearML server. No agent: the test acts as the agent."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from clearml_ci.clearml_api import (
    launch_draft,
    ownership,
    run_cancellation,
    task_cancellation,
    task_fields,
    task_launch,
    task_queue,
)
from clearml_ci.clearml_api.launch_draft import Code
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.task_watch import Watch
from clearml_ci.parameters import remote_run
from clearml_ci.parameters.remote_run import RemoteRun
from sandbox.runtime.clearml_access import Client
from tests.clock import fast_clock
from tests.gateways.conftest import COMMIT, Project

CODE = Code("https://github.com/o/n.git", COMMIT, None, inject_task_init=False)


def launch(project: Project, **arguments: str) -> RemoteRun:
    given = {"run_until": "first-iteration", "run_script": "src/train.py", "run_project": project.name, **arguments}
    found = remote_run.from_arguments({"run_name": "train", **given})
    assert found is not None
    return found


@pytest.fixture
def run(client: Client, project: Project) -> str:
    """A pipeline run that is in progress."""
    created = client.call("tasks.create", name="pr_check #1", type="controller", project=project.id)["id"]
    client.call("tasks.started", task=created)
    return str(created)


@pytest.fixture
def queue(client: Client, prefix: str) -> Iterator[str]:
    created = client.call("queues.create", name=f"{prefix}-code")["id"]
    yield created
    client.call("queues.delete", queue=created, force=True)


def whole(client: Client, task: str) -> dict[str, Any]:
    return dict(client.call("tasks.get_by_id", task=task)["task"])


def test_create__script_with_arguments__is_what_an_agent_needs(
    clearml: ClearML, client: Client, project: Project, run: str
) -> None:
    remote = launch(project, run_folder="src", run_args="epochs=1 seed=3", run_docker_image="python:3.12")
    code = Code(CODE.repository, COMMIT, ["torch==2.0"], inject_task_init=False)
    task = whole(client, launch_draft.create(clearml, remote, code, run=run))
    script = task["script"]
    assert (script["repository"], script["version_num"], script["diff"]) == (CODE.repository, COMMIT, "")
    assert (script["entry_point"], script["working_dir"]) == ("train.py", "src")
    assert "torch==2.0" in script["requirements"]["pip"]
    arguments = {name: item["value"] for name, item in task["hyperparams"]["Args"].items()}
    assert arguments == {"epochs": "1", "seed": "3"}
    assert (task["container"]["image"], task["parent"], task["status"]) == ("python:3.12", run, "created")


def test_create__module__runs_it_with_its_arguments(
    clearml: ClearML, client: Client, project: Project, run: str
) -> None:
    remote = launch(project, run_script="", run_module="pytest -m gpu tests")
    task = whole(client, launch_draft.create(clearml, remote, CODE, run=run))
    assert task["script"]["entry_point"] == "-m pytest -m gpu tests"
    assert not task["script"].get("requirements", {}).get("pip")


def test_create__script_without_task_init__carries_the_call_and_stays_marked_as_ours(
    clearml: ClearML, client: Client, project: Project, run: str
) -> None:
    code = Code(CODE.repository, COMMIT, ["torch"], inject_task_init=True)
    created = launch_draft.create(clearml, launch(project), code, run=run)
    assert "Task.init()" in whole(client, created)["script"]["diff"]
    assert ownership.is_owned(clearml, created, run=run)


def test_is_owned__clone_of_a_launched_task__is_not_ours(
    clearml: ClearML, client: Client, project: Project, run: str
) -> None:
    created = launch_draft.create(clearml, launch(project), CODE, run=run)
    clone = client.call("tasks.clone", task=created, new_task_parent=run, new_task_tags=["same"])["id"]
    assert ownership.is_owned(clearml, created, run=run)
    assert not ownership.is_owned(clearml, clone, run=run)
    assert not ownership.is_owned(clearml, created, run=project.task())
    assert not ownership.is_owned(clearml, created, run="")


@pytest.mark.parametrize("moment", ["incomplete", "draft", "queued", "reported", "over"])
def test_run__step_that_was_interrupted__goes_on_with_the_task_that_it_launched(
    clearml: ClearML, client: Client, project: Project, run: str, queue: str, moment: str
) -> None:
    step, remote = project.step(run, "remote_run"), launch(project, run_queue_limit="60")
    task_fields.add_runtime(clearml, step, {"_abort_callback_timeout": "15"})  # as its first execution left it
    made = launch_draft.create(clearml, remote, CODE, run=run, step=step)
    if moment == "incomplete":
        client.call("tasks.edit", task=made, name=f"ClearML CI draft of {step} {step}", runtime={}, parent="")
    if moment in ("queued", "reported", "over"):
        task_queue.enqueue(clearml, made, queue=queue)
    if moment in ("reported", "over"):
        client.call("queues.get_next_task", queue=queue)
        client.call("tasks.started", task=made)
        point = {"type": "training_stats_scalar", "task": made, "metric": "loss", "variant": "a", "iter": 0}
        client.events([{**point, "value": 1.0}])
    if moment == "over":
        task_cancellation.end(clearml, made, run=run, archive=True, reason="over", clock=fast_clock())
    launched = task_launch.run(
        clearml, remote, CODE, queue=queue, run=run, own_task=step, clock=fast_clock(), report=lambda _: None
    )
    tasks = client.call("tasks.get_all", project=[project.id], type=["testing"], search_hidden=True)["tasks"]
    assert [task["name"] for task in tasks] == ["train"]
    assert (launched.task.id == made) is (moment != "incomplete")
    assert (launched.outcome.outcome == "passed") is (moment in ("reported", "over"))


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_end__probe_that_has_not_ended__is_stopped_and_archived(
    clearml: ClearML, client: Client, project: Project, run: str, queue: str, status: str
) -> None:
    created = launch_draft.create(clearml, launch(project), CODE, run=run)
    task_queue.enqueue(clearml, created, queue=queue)
    if status == "in_progress":
        client.call("queues.get_next_task", queue=queue)
        client.call("tasks.started", task=created)
    task_cancellation.end(clearml, created, run=run, archive=True, reason="over", clock=fast_clock())
    task = whole(client, created)
    assert task["status"] in ("stopped", "created")
    assert "archived" in task["system_tags"]
    assert client.call("queues.get_by_id", queue=queue)["queue"]["entries"] == []


def test_end__agent_that_died__is_marked_as_stopped(
    clearml: ClearML, client: Client, project: Project, run: str, queue: str, prefix: str
) -> None:
    """`tasks.stop` alone asks the worker, which does not answer any more."""
    created = launch_draft.create(clearml, launch(project), CODE, run=run)
    task_queue.enqueue(clearml, created, queue=queue)
    client.call("queues.get_next_task", queue=queue)
    client.call("tasks.started", task=created)
    client.call("workers.register", worker=f"{prefix}:gone", queues=[])
    client.call("workers.status_report", worker=f"{prefix}:gone", timestamp=int(time.time() * 1000), task=created)
    client.call("tasks.stop", task=created)
    assert whole(client, created)["status"] == "in_progress"
    task_cancellation.end(clearml, created, run=run, archive=True, reason="over", clock=fast_clock())
    task = whole(client, created)
    assert (task["status"], "archived" in task["system_tags"]) == ("stopped", True)


@dataclass
class Unreachable(ClearML):
    """A session in which the next looks at the launched task get no answer."""

    refused: int = 0

    def call(self, endpoint: str, **request: Any) -> dict[str, Any]:
        if endpoint.startswith("tasks.get_all") and "last_metrics" in request["only_fields"] and self.refused:
            self.refused -= 1
            raise ClearMLError(f"{endpoint}: no answer")
        return super().call(endpoint, **request)


@pytest.mark.parametrize(("refused", "goes_on"), [(20, True), (10_000, False)], ids=["a-restart", "for-good"])
def test_run__server_that_does_not_answer__is_waited_for_and_nothing_is_left(
    clearml: ClearML, client: Client, project: Project, run: str, queue: str, refused: int, goes_on: bool
) -> None:
    silent, reports = Unreachable(clearml.host, clearml.authorization, refused=refused), list[str]()
    given = launch(project, run_queue_limit="60")
    with contextlib.nullcontext() if goes_on else pytest.raises(ClearMLError, match="no answer"):
        launched = task_launch.run(
            silent, given, CODE, queue=queue, run=run, own_task="", clock=fast_clock(), report=reports.append
        )
        assert (launched.outcome.outcome, launched.outcome.phase) == ("error", "queue")
        assert reports == ["train: queued"]
    assert client.call("queues.get_by_id", queue=queue)["queue"]["entries"] == []
    (task,) = client.call("tasks.get_all", parent=run, system_tags=["archived"], only_fields=["status"])["tasks"]
    assert task["status"] in ("stopped", "created")


def test_end__task_of_another_user__is_refused_and_left_alone(
    clearml: ClearML, client: Client, project: Project, run: str
) -> None:
    foreign = project.task(end=None, parent=run)
    client.call("tasks.started", task=foreign)
    with pytest.raises(ClearMLError, match="does not carry the mark"):
        task_cancellation.end(clearml, foreign, run=run, archive=True, reason="over", clock=fast_clock())
    task = whole(client, foreign)
    assert (task["status"], "archived" in task["system_tags"]) == ("in_progress", False)


def test_end__empty_id__touches_nothing(clearml: ClearML, run: str) -> None:
    before = clearml.requests
    with pytest.raises(ClearMLError, match="an empty task id"):
        task_cancellation.end(clearml, "", run=run, archive=True, reason="over", clock=fast_clock())
    assert clearml.requests == before


@pytest.fixture
def running(clearml: ClearML, client: Client, project: Project, run: str) -> str:
    """A launched task that an agent has taken."""
    created = launch_draft.create(clearml, launch(project), CODE, run=run)
    client.call("tasks.started", task=created)
    return created


def log(client: Client, task: str, *lines: str) -> None:
    now = int(time.time() * 1000)
    client.events([{"type": "log", "task": task, "msg": line, "timestamp": now + n} for n, line in enumerate(lines)])


@pytest.mark.parametrize(
    ("event", "progress"),
    [
        ({"type": "training_stats_scalar", "metric": "loss", "variant": "train", "iter": 0, "value": 1.0}, True),
        ({"type": "training_stats_scalar", "metric": "Summary", "variant": "f1", "iter": -(2**31), "value": 1.0}, True),
        ({"type": "training_stats_scalar", "metric": ":monitor:gpu", "variant": "a", "iter": 9, "value": 1.0}, False),
        ({"type": "plot", "metric": "roc", "variant": "all", "iter": 0, "plot_str": '{"data": []}'}, True),
        ({"type": "training_debug_image", "metric": "seen", "variant": "a", "iter": 0, "url": "http://x/a.png"}, True),
    ],
    ids=["iteration-0", "single-value", "monitor", "plot", "image"],
)
def test_watch__each_kind_of_report__is_progress(
    clearml: ClearML, client: Client, run: str, running: str, event: dict[str, Any], progress: bool
) -> None:
    watch = Watch(clearml, running, own_task="", run=run, clock=fast_clock())
    log(client, running, "Starting Task Execution:")
    seen, aborted = watch.look()
    assert (seen.started, seen.progress, aborted) == (True, False, "")
    client.events([{**event, "task": running}])
    assert watch.look()[0].progress is progress


def test_watch__task_in_its_set_up__has_not_started(clearml: ClearML, client: Client, run: str, running: str) -> None:
    log(client, running, "cloning: https://github.com/o/n.git", "Collecting torch")
    seen, _ = Watch(clearml, running, own_task="", run=run, clock=fast_clock()).look()
    assert (seen.status, seen.started, seen.console[-1]) == ("in_progress", False, "Collecting torch")


def test_watch__task_went_back_to_its_queue__waits_there_anew(
    clearml: ClearML, client: Client, run: str, running: str, queue: str
) -> None:
    clock = fast_clock()
    watch = Watch(clearml, running, own_task="", run=run, clock=clock)
    log(client, running, "Starting Task Execution:")
    assert watch.look()[0].started
    client.call("tasks.reset", task=running, force=True)
    client.call("tasks.enqueue", task=running, queue=queue)
    assert (watch.look()[0].status, watch.look()[0].started) == ("queued", False)
    clock.sleep(90)
    assert watch.look()[0].queued >= 90


def test_watch__run_was_stopped__is_the_reason_to_end(clearml: ClearML, client: Client, run: str, running: str) -> None:
    client.call("tasks.stop", task=run, status_reason="ClearML CI: cancelled")
    assert Watch(clearml, running, own_task="", run=run, clock=fast_clock()).look()[1] == "ClearML CI: cancelled"


def test_watch__task_was_deleted__is_reported(clearml: ClearML, client: Client, run: str, running: str) -> None:
    client.call("tasks.delete", task=running, force=True)
    with pytest.raises(ClearMLError, match=f"{running} is gone"):
        Watch(clearml, running, own_task="", run=run, clock=fast_clock()).look()


def test_watch__run_was_superseded__is_the_reason_with_the_newer_run(
    clearml: ClearML, client: Client, project: Project, running: str
) -> None:
    older = project.run(pull_request="7")
    mine = project.run(pull_request="7")
    run_cancellation.supersede(clearml, mine)
    client.call("tasks.started", task=older, force=True)
    assert (
        Watch(clearml, running, own_task="", run=older, clock=fast_clock()).look()[1]
        == f"superseded by the newer run {mine}"
    )


def test_failed_meanwhile__script_that_reported_and_broke_before_it_was_stopped__has_not_passed(
    clearml: ClearML, client: Client, project: Project, run: str, running: str
) -> None:
    watch, remote = Watch(clearml, running, own_task="", run=run, clock=fast_clock()), launch(project)
    log(client, running, "Starting Task Execution:", "ValueError: broken")
    client.events(
        [{"type": "training_stats_scalar", "task": running, "metric": "loss", "variant": "a", "iter": 0, "value": 1.0}]
    )
    assert watch.look()[0].progress
    assert task_launch.failed_meanwhile(watch, remote) is None
    client.call("tasks.failed", task=running)
    ended = task_launch.failed_meanwhile(watch, remote)
    assert ended is not None
    assert (ended[0].outcome, ended[0].phase) == ("no_evidence", "script")
    assert "ValueError: broken" in ended[0].reason
