"""What a check launches, follows and may end, against a ClearML server. No agent: the test plays its part."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from clearml_ci.clearml_api import ownership, pipeline_runs, run_cancellation, task_launch, worker_queues
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.task_launch import Code, Watch
from clearml_ci.clearml_api.worker_queues import Queue
from clearml_ci.core.errors import UsageError
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
    asked = launch(project, run_folder="src", run_args="epochs=1 seed=3", run_docker_image="python:3.12")
    code = Code(CODE.repository, COMMIT, ["torch==2.0"], inject_task_init=False)
    task = whole(client, task_launch.create(clearml, asked, code, run=run))
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
    asked = launch(project, run_script="", run_module="pytest -m gpu tests")
    task = whole(client, task_launch.create(clearml, asked, CODE, run=run))
    assert task["script"]["entry_point"] == "-m pytest -m gpu tests"
    assert not task["script"].get("requirements", {}).get("pip")


def test_create__script_without_task_init__carries_the_call_and_stays_marked_as_ours(
    clearml: ClearML, client: Client, project: Project, run: str
) -> None:
    code = Code(CODE.repository, COMMIT, ["torch"], inject_task_init=True)
    created = task_launch.create(clearml, launch(project), code, run=run)
    assert "Task.init()" in whole(client, created)["script"]["diff"]
    assert ownership.is_owned(clearml, created, run=run)


def test_owned__clone_of_a_launched_task__is_not_ours(
    clearml: ClearML, client: Client, project: Project, run: str
) -> None:
    created = task_launch.create(clearml, launch(project), CODE, run=run)
    clone = client.call("tasks.clone", task=created, new_task_parent=run, new_task_tags=["same"])["id"]
    assert ownership.is_owned(clearml, created, run=run)
    assert not ownership.is_owned(clearml, clone, run=run)
    assert not ownership.is_owned(clearml, created, run=project.task())
    assert not ownership.is_owned(clearml, created, run="")


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_end__probe_that_has_not_ended__is_stopped_and_archived(
    clearml: ClearML, client: Client, project: Project, run: str, queue: str, status: str
) -> None:
    created = task_launch.create(clearml, launch(project), CODE, run=run)
    task_launch.enqueue(clearml, created, queue=queue)
    if status == "in_progress":
        client.call("queues.get_next_task", queue=queue)
        client.call("tasks.started", task=created)
    task_launch.end(clearml, created, run=run, archive=True, reason="over", clock=fast_clock())
    task = whole(client, created)
    assert task["status"] in ("stopped", "created")
    assert "archived" in task["system_tags"]
    assert client.call("queues.get_by_id", queue=queue)["queue"]["entries"] == []


def test_end__agent_that_died__is_marked_as_stopped(
    clearml: ClearML, client: Client, project: Project, run: str, queue: str, prefix: str
) -> None:
    """`tasks.stop` alone asks the worker, which does not answer any more."""
    created = task_launch.create(clearml, launch(project), CODE, run=run)
    task_launch.enqueue(clearml, created, queue=queue)
    client.call("queues.get_next_task", queue=queue)
    client.call("tasks.started", task=created)
    client.call("workers.register", worker=f"{prefix}:gone", queues=[])
    client.call("workers.status_report", worker=f"{prefix}:gone", timestamp=int(time.time() * 1000), task=created)
    client.call("tasks.stop", task=created)
    assert whole(client, created)["status"] == "in_progress"
    task_launch.end(clearml, created, run=run, archive=True, reason="over", clock=fast_clock())
    task = whole(client, created)
    assert (task["status"], "archived" in task["system_tags"]) == ("stopped", True)


@dataclass
class Unreachable(ClearML):
    """A session in which the next looks at the launched task get no answer."""

    refused: int = 0

    def call(self, endpoint: str, **request: Any) -> dict[str, Any]:
        if endpoint == "tasks.get_all" and "last_metrics" in request["only_fields"] and self.refused:
            self.refused -= 1
            raise ClearMLError(f"{endpoint}: no answer")
        return super().call(endpoint, **request)


@pytest.mark.parametrize(("refused", "goes_on"), [(20, True), (10_000, False)], ids=["a-restart", "for-good"])
def test_run__server_that_does_not_answer__is_waited_for_and_nothing_is_left(
    clearml: ClearML, client: Client, project: Project, run: str, queue: str, refused: int, goes_on: bool
) -> None:
    silent, reports = Unreachable(clearml.session, refused=refused), list[str]()
    given = launch(project, run_queue_limit="60")
    with contextlib.nullcontext() if goes_on else pytest.raises(ClearMLError, match="no answer"):
        launched = task_launch.run(
            silent, given, CODE, queue=queue, run=run, own_task="", clock=fast_clock(), report=reports.append
        )
        assert (launched.ending.outcome, launched.ending.phase) == ("error", "queue")
        assert reports == ["train: queued"]
    assert client.call("queues.get_by_id", queue=queue)["queue"]["entries"] == []
    (task,) = client.call("tasks.get_all", parent=run, system_tags=["archived"], only_fields=["status"])["tasks"]
    assert task["status"] in ("stopped", "created")


def test_end__task_of_somebody_else__is_refused_and_left_alone(
    clearml: ClearML, client: Client, project: Project, run: str
) -> None:
    foreign = project.task(end=None, parent=run)
    client.call("tasks.started", task=foreign)
    with pytest.raises(ClearMLError, match="does not carry the mark"):
        task_launch.end(clearml, foreign, run=run, archive=True, reason="over", clock=fast_clock())
    task = whole(client, foreign)
    assert (task["status"], "archived" in task["system_tags"]) == ("in_progress", False)


def test_end__empty_id__touches_nothing(clearml: ClearML, run: str) -> None:
    before = clearml.requests
    with pytest.raises(ClearMLError, match="an empty task id"):
        task_launch.end(clearml, "", run=run, archive=True, reason="over", clock=fast_clock())
    assert clearml.requests == before


@pytest.fixture
def running(clearml: ClearML, client: Client, project: Project, run: str) -> str:
    """A launched task that an agent has taken."""
    created = task_launch.create(clearml, launch(project), CODE, run=run)
    client.call("tasks.started", task=created)
    return created


def say(client: Client, task: str, *lines: str) -> None:
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
def test_watch__whatever_the_script_reports__is_progress(
    clearml: ClearML, client: Client, run: str, running: str, event: dict[str, Any], progress: bool
) -> None:
    watch = Watch(clearml, running, own_task="", run=run, clock=fast_clock())
    say(client, running, "Starting Task Execution:")
    seen, aborted = watch.look()
    assert (seen.started, seen.progress, aborted) == (True, False, "")
    client.events([{**event, "task": running}])
    assert watch.look()[0].progress is progress


def test_watch__task_in_its_set_up__has_not_started(clearml: ClearML, client: Client, run: str, running: str) -> None:
    say(client, running, "cloning: https://github.com/o/n.git", "Collecting torch")
    seen, _ = Watch(clearml, running, own_task="", run=run, clock=fast_clock()).look()
    assert (seen.status, seen.started, seen.console[-1]) == ("in_progress", False, "Collecting torch")


def test_watch__run_was_stopped__says_so(clearml: ClearML, client: Client, run: str, running: str) -> None:
    client.call("tasks.stop", task=run, status_reason="ClearML CI: cancelled")
    assert Watch(clearml, running, own_task="", run=run, clock=fast_clock()).look()[1] == "ClearML CI: cancelled"


def test_watch__task_was_deleted__is_told(clearml: ClearML, client: Client, run: str, running: str) -> None:
    client.call("tasks.delete", task=running, force=True)
    with pytest.raises(ClearMLError, match=f"{running} is gone"):
        Watch(clearml, running, own_task="", run=run, clock=fast_clock()).look()


def test_stop_children__clone_of_a_step__is_left_alone(
    clearml: ClearML, client: Client, project: Project, run: str, running: str
) -> None:
    clone = project.task(end=None, name="remote_run", parent=run)
    client.call("tasks.started", task=clone)
    run_cancellation.stop_children(clearml, run, reason="aborted")
    assert whole(client, running)["status"] == "stopped"
    assert (whole(client, clone)["status"], whole(client, run)["status"]) == ("in_progress", "in_progress")


def controller(client: Client, project: Project, *, pull_request: str, **more: str) -> str:
    """A marked run of a pull request, in progress."""
    given = {"pull_request": pull_request, **more}
    arguments = {name: {"section": "Args", "name": name, "value": value} for name, value in given.items()}
    run = client.call(
        "tasks.create", name="pr_check", type="controller", project=project.id, hyperparams={"Args": arguments}
    )["id"]
    mark = {"clearml_ci_task": run, "clearml_ci_run": run, "clearml_ci_purpose": "run"}
    client.call("tasks.edit", task=run, runtime=mark)
    client.call("tasks.started", task=run)
    return str(run)


def test_supersede__older_runs_of_the_pull_request__are_stopped_and_marked_and_no_others(
    clearml: ClearML, client: Client, project: Project
) -> None:
    older, other = controller(client, project, pull_request="7"), controller(client, project, pull_request="8")
    unmarked = client.call("tasks.clone", task=older)["id"]
    client.call("tasks.started", task=unmarked)
    mine = controller(client, project, pull_request="7")
    newer = controller(client, project, pull_request="7")
    assert [one.id for one in run_cancellation.supersede(clearml, mine)] == [older]
    assert pipeline_runs.read(clearml, older).superseded_by == mine
    states = {task: whole(client, task)["status"] for task in (older, other, unmarked, mine, newer)}
    assert states.pop(older) == "stopped"
    assert set(states.values()) == {"in_progress"}


def test_supersede__check_of_another_name__goes_on(clearml: ClearML, client: Client, project: Project) -> None:
    of_names = [controller(client, project, pull_request="7", _name=name) for name in ("digits", "letters", "")]
    digits, letters, *unnamed = [*of_names, controller(client, project, pull_request="7")]
    newer = controller(client, project, pull_request="7", _name="digits")
    assert [one.id for one in run_cancellation.supersede(clearml, newer)] == [digits]
    without = controller(client, project, pull_request="7")
    assert [one.id for one in run_cancellation.supersede(clearml, without)] == unnamed
    assert [whole(client, task)["status"] for task in (letters, newer)] == ["in_progress", "in_progress"]


def named(name: str, *workers: str) -> Queue:
    return Queue(name, name, frozenset(workers))


@pytest.mark.parametrize(
    ("queues", "message"),
    [
        ([named("c", "a"), named("s", "a")], "one worker alone serves the queues 'c' and 's'"),
        ([named("c", "a"), named("s", "b"), named("g", "b")], "one worker alone serves the queues 's' and 'g'"),
        (
            [named("c", "a", "b"), named("s", "a", "b"), named("g", "b")],
            "only 2 workers serve the queues 'c' and 's' and 'g'",
        ),
    ],
    ids=["two-on-one", "steps-and-code", "three-on-two"],
)
def test_refuse_deadlock__fewer_workers_than_queues__is_refused(queues: list[Queue], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        worker_queues.refuse_deadlock(queues)
    assert message in str(raised.value)


def test_refuse_deadlock__a_worker_for_each__is_accepted() -> None:
    worker_queues.refuse_deadlock([named("c", "a", "b"), named("s", "a"), named("g", "c", "a")])


def test_end_superseded__controller_that_forgot_that_it_was_told__ends_itself_and_its_children(
    clearml: ClearML, client: Client, project: Project
) -> None:
    """`Task.init` sends `tasks.started`, which wipes the `stopping` of an agent's task that was just told to stop."""
    older = controller(client, project, pull_request="7")
    step = project.step(older, "find_task")
    client.call("tasks.started", task=step)
    mine = controller(client, project, pull_request="7")
    run_cancellation.supersede(clearml, mine)
    for task in (older, step):
        client.call("tasks.started", task=task, force=True)
    assert run_cancellation.end_superseded(clearml, older)
    assert [whole(client, task)["status"] for task in (older, step)] == ["stopped", "stopped"]
    assert not run_cancellation.end_superseded(clearml, mine)
    assert whole(client, mine)["status"] == "in_progress"


def test_watch__run_was_superseded__says_by_which(
    clearml: ClearML, client: Client, project: Project, running: str
) -> None:
    older = controller(client, project, pull_request="7")
    mine = controller(client, project, pull_request="7")
    run_cancellation.supersede(clearml, mine)
    client.call("tasks.started", task=older, force=True)
    assert (
        Watch(clearml, running, own_task="", run=older, clock=fast_clock()).look()[1]
        == f"superseded by the newer run {mine}"
    )


def test_failed_meanwhile__script_that_reported_and_broke_before_it_was_stopped__has_not_passed(
    clearml: ClearML, client: Client, project: Project, run: str, running: str
) -> None:
    watch, asked = Watch(clearml, running, own_task="", run=run, clock=fast_clock()), launch(project)
    say(client, running, "Starting Task Execution:", "ValueError: broken")
    client.events(
        [{"type": "training_stats_scalar", "task": running, "metric": "loss", "variant": "a", "iter": 0, "value": 1.0}]
    )
    assert watch.look()[0].progress
    assert task_launch.failed_meanwhile(watch, asked) is None
    client.call("tasks.failed", task=running)
    ended = task_launch.failed_meanwhile(watch, asked)
    assert ended is not None
    assert (ended[0].outcome, ended[0].phase) == ("no_evidence", "script")
    assert "ValueError: broken" in ended[0].reason


def test_superseded__clone_of_a_superseded_run__is_not(clearml: ClearML, client: Client, project: Project) -> None:
    older = controller(client, project, pull_request="7")
    mine = controller(client, project, pull_request="7")
    run_cancellation.supersede(clearml, mine)
    properties = client.call("tasks.get_by_id", task=older)["task"]["hyperparams"]["properties"]
    clone = client.call("tasks.clone", task=older, new_task_name="rerun")["id"]
    client.call("tasks.edit_hyper_params", task=clone, hyperparams=list(properties.values()))
    assert pipeline_runs.read(clearml, older).superseded_by == mine
    assert pipeline_runs.read(clearml, clone).superseded_by == ""


def test_refuse_shared_workers__one_agent_for_steps_and_code__is_refused() -> None:
    with pytest.raises(UsageError, match="the agent b serves 's' and 'g'"):
        worker_queues.refuse_shared_workers(steps=named("s", "a", "b"), code=named("g", "b"))
    worker_queues.refuse_shared_workers(steps=named("s", "a"), code=named("g", "b"))
