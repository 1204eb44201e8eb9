"""Requests to a ClearML server whose answers are lost, cut or no JSON: nothing is done twice, nothing is left."""

import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from clearml import PipelineController, Task
from clearml.automation.job import ClearmlJob
from clearml.backend_interface.base import InterfaceBase

from clearml_ci.clearml_api import (
    best_tag,
    ownership,
    pipeline_runs,
    run_cancellation,
    run_results,
    run_start,
    step_tasks,
    task_creation,
    task_queue,
    task_tags,
)
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.session import ClearML, ClearMLError, LostAnswerError
from clearml_ci.clearml_api.worker_queues import Queue
from clearml_ci.core.git_source import Source
from clearml_ci.core.poll import Clock
from clearml_ci.operations import rerun
from sandbox.runtime.clearml_access import Client
from tests.clock import fast_clock
from tests.gateways.between import Losses
from tests.gateways.conftest import Project


@pytest.fixture
def losses() -> Losses:
    return Losses()


@pytest.fixture
def lossy(losses: Losses, user_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[ClearML]:
    """The product's session, through a proxy that harms answers."""
    with losses.proxy(user_environment["CLEARML_API_HOST"]) as address:
        monkeypatch.setenv("CLEARML_API_HOST", address)
        yield clearml_session.connect(fast_clock())


HARMS = ["lost", "cut", "502", "503", "html"]


@pytest.mark.parametrize("harm", HARMS)
def test_call__answer_to_a_change_is_lost__is_not_sent_again(
    lossy: ClearML, losses: Losses, client: Client, project: Project, harm: str
) -> None:
    losses.harms = {"tasks.create": [harm]}
    with pytest.raises(ClearMLError, match=r"tasks\.create: "):
        lossy.call("tasks.create", name="draft", type="training", project=project.id)
    assert losses.sent.count("tasks.create") == 1
    assert len(client.call("tasks.get_all", project=[project.id])["tasks"]) == 1


@pytest.mark.parametrize("harm", [*HARMS, "refused"])
def test_call__answer_to_a_read_is_lost__is_sent_again(
    lossy: ClearML, losses: Losses, project: Project, harm: str
) -> None:
    task = project.task()
    losses.harms = {"tasks.get_all_ex": [harm]}
    assert lossy.call("tasks.get_all_ex", id=[task], only_fields=["id"])["tasks"][0]["id"] == task
    assert losses.sent.count("tasks.get_all_ex") == 2


@pytest.mark.parametrize("harm", [*HARMS, "refused"])
def test_call__no_answer_for_good__is_an_error_that_names_the_endpoint(
    lossy: ClearML, losses: Losses, harm: str
) -> None:
    losses.harms = {"queues.get_all": [harm] * 20}
    with pytest.raises(ClearMLError, match=r"^queues\.get_all: "):
        lossy.call("queues.get_all")


def test_call__token_that_is_refused_and_no_new_one__is_an_error(
    clearml: ClearML, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that was revoked: the server refuses the token, and then the key."""
    monkeypatch.setenv("CLEARML_API_SECRET_KEY", "revoked")
    clearml.authorization = "Bearer ex.pi.red"
    with pytest.raises(ClearMLError, match=r"queues\.get_all: .*refused the keys"):
        clearml.call("queues.get_all")


@pytest.mark.usefixtures("user_environment")
def test_call__token_that_expired__is_renewed_without_a_word(clearml: ClearML) -> None:
    clearml.authorization = "Bearer ex.pi.red"
    assert "queues" in clearml.call("queues.get_all")
    assert clearml.requests == 3  # the refused one, the login, and the same once more


@pytest.fixture
def queue(client: Client, prefix: str) -> Iterator[Queue]:
    name = f"{prefix}-queue"
    created = client.call("queues.create", name=name)["id"]
    yield Queue(created, name, frozenset())
    client.call("queues.delete", queue=created, force=True)


def waiting(client: Client, queue: Queue) -> list[str]:
    """The tasks in this queue."""
    return [entry["task"] for entry in client.call("queues.get_by_id", queue=queue.id)["queue"]["entries"]]


@dataclass(frozen=True)
class Pipeline:
    """The template of a pipeline, and a hand to start it as a job does."""

    clearml: ClearML
    client: Client
    project: str
    template: str
    queue: Queue

    def start(self, *, clock: Clock | None = None, **arguments: str) -> str:
        given = {"_origin": "n", **arguments}
        clock = clock or fast_clock()
        run = run_start.start(self.clearml, template=self.template, queue=self.queue, arguments=given, clock=clock)
        run_start.acknowledge(self.clearml, run)
        return run

    def runs(self) -> list[str]:
        """The runs, oldest first."""
        found = self.client.call("tasks.get_all", project=[self.project], order_by=["created"])["tasks"]
        return [task["id"] for task in found if task["id"] != self.template]


@pytest.fixture
def pipeline(lossy: ClearML, client: Client, project: Project, queue: Queue) -> Pipeline:
    template = project.task(end=None, name="pr_check", type="controller")
    return Pipeline(lossy, client, project.id, template, queue)


@pytest.mark.parametrize("harm", HARMS)
def test_start__answer_is_lost__is_one_run_found_by_its_key(
    pipeline: Pipeline, losses: Losses, client: Client, harm: str
) -> None:
    losses.harms = {"pipelines.start_pipeline": [harm]}
    run = pipeline.start()
    assert pipeline.runs() == [run] == waiting(client, pipeline.queue)
    assert run_start.is_followed(pipeline.clearml, run, clock=fast_clock())


def test_start__refused_before_the_work__is_requested_again(pipeline: Pipeline, losses: Losses, client: Client) -> None:
    losses.harms = {"pipelines.start_pipeline": ["refused"]}
    run = pipeline.start()
    assert pipeline.runs() == [run] == waiting(client, pipeline.queue)


def test_start__never_answered__is_an_error(pipeline: Pipeline, losses: Losses) -> None:
    losses.harms = {"pipelines.start_pipeline": ["refused"] * 9}
    with pytest.raises(ClearMLError, match=r"start_pipeline: the ClearML server refused: General data error"):
        pipeline.start()
    assert (pipeline.runs(), losses.sent.count("pipelines.start_pipeline")) == ([], 2)


def test_start__clone_that_was_not_enqueued__is_enqueued(
    pipeline: Pipeline, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that died between the two."""
    call = ClearML.call

    def dies(clearml: ClearML, endpoint: str, **request: Any) -> dict[str, Any]:
        answer = call(clearml, endpoint, **request)
        if endpoint != "pipelines.start_pipeline":
            return answer
        client.call("tasks.dequeue", task=answer["pipeline"])
        raise LostAnswerError(endpoint)

    monkeypatch.setattr(ClearML, "call", dies)
    run = pipeline.start()
    assert waiting(client, pipeline.queue) == [run]


def test_start__late_run_of_a_request_that_was_given_up__is_not_followed(
    pipeline: Pipeline, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is older, and of the same origin: the run that the job follows is no rerun of it."""
    call, lost = ClearML.call, list[dict[str, Any]]()

    def late(clearml: ClearML, endpoint: str, **request: Any) -> dict[str, Any]:
        if endpoint != "pipelines.start_pipeline":
            return call(clearml, endpoint, **request)
        lost.append(request)
        if len(lost) == 1:
            raise LostAnswerError(endpoint)
        client.call(endpoint, **lost[0])
        return call(clearml, endpoint, **request)

    monkeypatch.setattr(ClearML, "call", late)
    run = pipeline.start()
    followed = [run_start.is_followed(pipeline.clearml, id_, clock=fast_clock()) for id_ in pipeline.runs()]
    assert (pipeline.runs()[1:], followed) == ([run], [False, True])
    assert rerun.of(pipeline.clearml, pipeline_runs.read(pipeline.clearml, run), step="s") is None


def test_is_followed__rerun_of_a_run__is_followed_as_the_run_is(pipeline: Pipeline, client: Client) -> None:
    run = pipeline.start()
    given: dict[str, Any] = {"args": [{"name": "threshold_percent", "value": "5"}], "queue": pipeline.queue.id}
    by_a_user = client.call("pipelines.start_pipeline", task=run, **given)["pipeline"]
    assert run_start.is_followed(pipeline.clearml, by_a_user, clock=fast_clock())
    client.call("tasks.reset", task=by_a_user)
    assert run_start.is_followed(pipeline.clearml, by_a_user, clock=fast_clock())
    given["args"] = [{"name": "_start", "value": "a key of another request of a job"}]
    given_up = client.call("pipelines.start_pipeline", task=run, **given)["pipeline"]
    assert not run_start.is_followed(pipeline.clearml, given_up, clock=fast_clock())


@pytest.mark.parametrize("harm", [*HARMS, "refused"])
def test_enqueue__answer_is_lost__is_enqueued_once(
    lossy: ClearML, losses: Losses, client: Client, project: Project, queue: Queue, harm: str
) -> None:
    task = project.task(end=None)
    losses.harms = {"tasks.enqueue": [harm]}
    task_queue.enqueue(lossy, task, queue=queue.id)
    assert waiting(client, queue) == [task]


def test_enqueue__queued_already__is_enqueued(clearml: ClearML, client: Client, project: Project, queue: Queue) -> None:
    task = project.task(end=None)
    client.call("tasks.enqueue", task=task, queue=queue.id)
    task_queue.enqueue(clearml, task, queue=queue.id)
    assert waiting(client, queue) == [task]


def test_enqueue__refused_for_good__is_an_error(lossy: ClearML, losses: Losses, project: Project, queue: Queue) -> None:
    task = project.task(end=None)
    losses.harms = {"tasks.enqueue": ["refused"] * 9}
    with pytest.raises(ClearMLError, match=r"tasks\.enqueue: the ClearML server refused: General data error"):
        task_queue.enqueue(lossy, task, queue=queue.id)
    with pytest.raises(ClearMLError, match=r"tasks\.enqueue: "):
        task_queue.enqueue(lossy, task, queue="0" * 32)


@pytest.mark.parametrize("harm", [*HARMS, "refused"])
def test_add_tag__answer_is_lost__is_read_back_and_requested_again_only_if_it_is_missing(
    lossy: ClearML, losses: Losses, project: Project, harm: str
) -> None:
    task, old = project.task(tags=["mine"]), project.task(tags=["Best", "mine"])
    losses.harms = {"tasks.update_tags": [harm]}
    best_tag.add_tag(lossy, task, "Best")
    requests = losses.sent.count("tasks.update_tags")
    losses.harms = {"tasks.update_tags": [harm]}
    best_tag.remove_tag(lossy, [old], "Best")
    assert requests == (2 if harm == "refused" else 1)
    assert task_tags.read(lossy, [task, old]) == {task: ["Best", "mine"], old: ["mine"]}


@pytest.fixture
def sdk(lossy: ClearML, monkeypatch: pytest.MonkeyPatch) -> ClearML:
    """The product's session; that of the SDK's own requests goes through the proxy, too."""
    monkeypatch.setattr(InterfaceBase, "_default_session", None)
    return lossy


SOURCE = Source("https://github.com/o/n.git", "c" * 40)


@pytest.mark.parametrize(
    "harms",
    [
        {"tasks.create": ["lost"]},
        {"tasks.create": ["cut"]},
        {"tasks.create": ["lost"], "tasks.delete": ["lost"]},
        {"tasks.create": ["lost"], "tasks.edit": ["lost"]},
    ],
)
def test_create_task__answer_is_lost__leaves_no_other_draft(
    sdk: ClearML, losses: Losses, client: Client, project: Project, harms: dict[str, list[str]]
) -> None:
    """The SDK sends the request again."""
    losses.harms = harms
    options: dict[str, Any] = {"script": "train.py", "packages": [], "add_task_init_call": False}
    created = task_creation.task(sdk, project=project.name, name="train", source=SOURCE, **options)
    found = client.call("tasks.get_all", project=[project.id], only_fields=["id", "name"])["tasks"]
    assert found == [{"id": created, "name": "train"}]


@pytest.mark.parametrize("end", ["server", "agent"])
def test_create_task__ends_before_its_draft_is_complete__leaves_none(
    sdk: ClearML, losses: Losses, client: Client, project: Project, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is away for a while after it has created the draft; or the agent ends the step then."""
    if end == "server":
        losses.harms = {"tasks.edit": ["refused"] * 9, "tasks.get_all_ex": ["", *["refused"] * 40]}
    else:
        real = Task.create
        monkeypatch.setattr(Task, "create", lambda **options: (real(**options), sys.exit("ended by its agent")))
    options: dict[str, Any] = {"script": "train.py", "packages": [], "add_task_init_call": False}
    with pytest.raises((ClearMLError, SystemExit)):
        task_creation.task(sdk, project=project.name, name="train", source=SOURCE, **options)
    assert client.call("tasks.get_all", project=[project.id], only_fields=["id"])["tasks"] == []


@pytest.mark.parametrize("harms", [{}, {"tasks.create": ["lost"]}])
def test_create_step__answer_is_lost__is_one_task(
    sdk: ClearML, losses: Losses, client: Client, project: Project, harms: dict[str, list[str]]
) -> None:
    run = project.run(pull_request="7")
    controller = SimpleNamespace(
        id=run, data=SimpleNamespace(script=SimpleNamespace(repository="r", version_num="c" * 40))
    )
    losses.harms = harms
    step = step_tasks.create(
        sdk,
        controller,
        project=project.name,
        step="find_task",
        execution="",
        earlier=["a" * 32],
        clock=fast_clock(),
    )
    found = client.call("tasks.get_all", project=[project.id], only_fields=["id", "name", "runtime"])["tasks"]
    assert [(task["id"], task["name"]) for task in found if task["id"] != run] == [(step.id, "find_task")]
    assert (step.name, ownership.is_owned(sdk, step.id, run=run)) == ("find_task", True)
    assert step.data.script.entry_point == f"-m steps.find_task {run} {'a' * 32}"


@pytest.mark.parametrize("refusals", [4, 20])
def test_enqueue_step__refused_more_often_than_a_request_is_repeated__is_enqueued_in_the_end(
    lossy: ClearML, losses: Losses, client: Client, project: Project, queue: Queue, refusals: int
) -> None:
    """The SDK prints "Skipping launching step" after the first one, and waits for the step until the deadline."""
    step = project.task(end=None, name="find_task")
    losses.harms = {"tasks.enqueue": ["refused"] * refusals}
    step_tasks.enqueue(lossy, step, queue=queue.name, clock=fast_clock())
    assert waiting(client, queue) == [step]


def test_enqueue_step__refused_for_good__is_the_fault_of_the_step(
    clearml: ClearML, client: Client, project: Project
) -> None:
    run = project.run(pull_request="7")
    step = project.step(run, "find_task")
    step_tasks.enqueue(clearml, step, queue="deleted", clock=fast_clock())
    found = run_results.steps(clearml, run)["find_task"]
    assert found.status == "failed"
    assert found.result == {
        "fault": "the step could not be enqueued on the queue 'deleted': no queue 'deleted': it was deleted or "
        "renamed; create it again, and rerun"
    }
    assert client.call("queues.get_all", name="^deleted$")["queues"] == []


def test_queued_job__step_to_launch__is_enqueued_by_us(
    clearml: ClearML, client: Client, project: Project, queue: Queue
) -> None:
    step = project.task(end=None, name="find_task")
    job = step_tasks.queued_job(clearml, fast_clock())(base_task_id=step, disable_clone_task=True)
    assert job.launch(queue_name=queue.name)
    assert waiting(client, queue) == [step]


def test_queued_job__of_the_sdks_controller__is_the_one_that_it_launches_with() -> None:
    """A private name: with a new version of the SDK, look for what has taken its place."""
    assert PipelineController._clearml_job_class is ClearmlJob
    assert "self._clearml_job_class(" in inspect.getsource(PipelineController._launch_node)


@pytest.mark.parametrize("endpoint", ["tasks.get_all_ex", "tasks.edit_hyper_params"])
def test_supersede__server_that_is_away_for_a_while__stops_the_older_run(
    lossy: ClearML, losses: Losses, project: Project, endpoint: str
) -> None:
    older, mine = project.run(pull_request="7"), project.run(pull_request="7")
    losses.harms[endpoint] = ["503"] * 5
    assert [run.id for run in run_cancellation.supersede(lossy, mine)] == [older]
    assert pipeline_runs.read(lossy, older).status == "stopped"
