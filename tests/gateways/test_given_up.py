"""A run whose job has ended with an error: it is marked and stopped, and posts nothing on GitHub any more."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.agent import step
from clearml_ci.clearml_api import pipeline_runs, run_cancellation, task_parameters
from clearml_ci.clearml_api.pipeline_runs import SUPERSEDED, Run
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.worker_queues import Queue
from clearml_ci.core import poll
from clearml_ci.job import follow
from clearml_ci.job.follow import Launch
from clearml_ci.job.reporter import Reporter
from clearml_ci.operations import rerun
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import PullRequest
from sandbox.runtime.clearml_access import Client
from sandbox.servers.github_server import GitHubServer
from sandbox.testing.hub import FULL_NAME, JOB, proposed
from steps.report import report as report_step
from tests.clock import fast_clock
from tests.gateways import job_session, services
from tests.gateways.between import interrupted, refusing
from tests.gateways.conftest import Project
from tests.gateways.test_rerun import World


@pytest.fixture
def restored_signals() -> Iterator[None]:
    """A job that gives up ignores the signals of its process."""
    before = {number: signal.getsignal(number) for number in follow.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def hub_world(
    tmp_path: Path, clearml: ClearML, client: Client, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    hub = proposed(tmp_path)
    project = client.call("projects.create", name=f"{prefix}/{FULL_NAME}/.pipelines/pr_check")["id"]
    monkeypatch.setenv("GITHUB_API_URL", hub.server.api_url)
    monkeypatch.setenv("GITHUB_TOKEN", hub.server.token("workflow", repository=FULL_NAME, permissions=JOB))
    yield World(client, clearml, hub, project)
    hub.server.stop()


def posted(world: World, run: Run) -> tuple[list[str], list[str]]:
    """The comments, and the states of the status, after the run's report."""
    world.report(run)
    return world.comments(), [state for state, _ in world.statuses()]


def test_report__run_that_its_job_gave_up__posts_nothing(hub_world: World) -> None:
    run = hub_world.original(hub_world.check.to_arguments())
    run_cancellation.give_up(hub_world.clearml, run.id, reason="cancelled")
    assert posted(hub_world, run) == ([], [])


@pytest.mark.parametrize("linked", [True, False], ids=["linked", "before it knew the run's address"])
def test_report__job_that_reached_only_github__posts_nothing(hub_world: World, linked: bool) -> None:
    run = hub_world.original(hub_world.check.to_arguments())
    commit = hub_world.hub.repository.get_commit(hub_world.check.commit)
    link = {"target_url": run.url} if linked else {}
    commit.create_status("error", **link, description="no answer", context=hub_world.check.check_name)
    assert posted(hub_world, run) == ([], ["error"])


def test_report__statuses_that_cannot_be_read__are_left_to_the_job(
    hub_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them may be the error of a job that reached only GitHub."""
    with refusing(hub_world.hub.server.url, method="GET", ending="/status") as address:
        monkeypatch.setenv("GITHUB_API_URL", f"{address}/api/v3")
        pull = replace(hub_world.check.pull_request, github_api=f"{address}/api/v3")
        run = hub_world.original(replace(hub_world.check, pull_request=pull).to_arguments())
        commit = hub_world.hub.repository.get_commit(hub_world.check.commit)
        commit.create_status("error", target_url=run.url, description="no answer", context=hub_world.check.check_name)
        assert posted(hub_world, run) == ([], ["error"])


@pytest.mark.parametrize("ends", ["given up", "aborted", "reached only GitHub"])
@pytest.mark.parametrize("nth", [1, 2], ids=["before its status", "before its comment"])
def test_report__job_that_ends_with_an_error_while_it_posts__leaves_the_error(
    hub_world: World, monkeypatch: pytest.MonkeyPatch, nth: int, ends: str
) -> None:
    """The step has looked before; what it posts after the job's error must not stay."""
    server = hub_world.hub.server

    def end() -> None:
        if ends == "given up":
            run_cancellation.give_up(hub_world.clearml, run.id, reason="cancelled")
        if ends == "aborted":
            hub_world.client.call("tasks.stopped", task=run.id, force=True)
        job = Reporter(job_session.signed_in(server), hub_world.check)
        follow.conclude_unreported(job, {"id": run.id, "url": run.url}, "it has ended")

    with interrupted(server.url, end, method="POST", before=True, nth=nth) as address:
        monkeypatch.setenv("GITHUB_API_URL", f"{address}/api/v3")
        pull = replace(hub_world.check.pull_request, github_api=f"{address}/api/v3")
        run = hub_world.original(replace(hub_world.check, pull_request=pull).to_arguments())
        comments, states = posted(hub_world, run)
    assert states[0] == "error"
    assert ["outcome: error" in text for text in comments] == [True]


def test_report__clone_of_a_run_that_was_given_up__posts(hub_world: World) -> None:
    """New run copies the mark, which names another run."""
    given_up = hub_world.original(hub_world.check.to_arguments())
    run_cancellation.give_up(hub_world.clearml, given_up.id, reason="cancelled")
    clone = hub_world.client.call("tasks.clone", task=given_up.id)["id"]
    hub_world.client.call("tasks.started", task=clone)
    comments, states = posted(hub_world, pipeline_runs.read(hub_world.clearml, clone))
    assert (len(comments), states) == (1, ["failure"])


CHECK = Check("c" * 40, PullRequest(FULL_NAME, 7, (), "http://none"), "", "", (), "Best")


@pytest.fixture
def launch(client: Client, project: Project, prefix: str) -> Iterator[Launch]:
    """The start of a run whose time is over immediately."""
    queue = client.call("queues.create", name=f"{prefix}-queue")["id"]
    template = project.task(end=None, name="pr_check", type="controller")
    arguments = {"_origin": "n", "_context": "{}"}
    yield Launch(template, Queue(queue, "queue", frozenset()), arguments, deadline=0, supersedes=False)
    client.call("queues.delete", queue=queue, force=True)


def started(client: Client, launch: Launch) -> list[dict[str, Any]]:
    """The runs of the launch's template."""
    (template,) = client.call("tasks.get_all", id=[launch.template], only_fields=["id", "project"])["tasks"]
    found = client.call("tasks.get_all", project=[template["project"]], order_by=["created"])["tasks"]
    return [task for task in found if task["id"] != launch.template]


def follow_to_its_end(clearml: ClearML, launch: Launch) -> int:
    return follow.run_to_verdict(clearml, Reporter(None, CHECK), launch, poll.started(fast_clock()))


def result_of_its_next_step(clearml: ClearML, run: str) -> Any:
    """The result of a step that an agent starts after that."""
    own = replace(services.of_agent(clearml), own_task="a step")
    return step.result_of(lambda _, __: {"fault": "it ran"}, own, run)


@pytest.mark.usefixtures("restored_signals")
def test_run_to_verdict__no_verdict_in_time__gives_the_run_up(clearml: ClearML, client: Client, launch: Launch) -> None:
    assert follow_to_its_end(clearml, launch) == 4
    (run,) = started(client, launch)
    assert run["status"] in ("stopped", "created")
    assert "the job that started it has ended with an error" in pipeline_runs.read(clearml, run["id"]).unwanted
    client.call("tasks.enqueue", task=run["id"], queue=launch.queue.id)
    client.call("tasks.started", task=run["id"])
    assert "it ran" not in result_of_its_next_step(clearml, run["id"])["fault"]
    assert run_cancellation.end_unwanted(clearml, run["id"])
    assert pipeline_runs.read(clearml, run["id"]).status == "stopped"


@pytest.mark.usefixtures("restored_signals")
def test_run_to_verdict__run_that_was_given_up_and_is_reset__runs_again(
    clearml: ClearML, client: Client, launch: Launch
) -> None:
    """Reset clears `runtime` alone; Continue clears nothing, and the run ends itself."""
    follow_to_its_end(clearml, launch)
    (run,) = started(client, launch)
    run_cancellation.forget_before_reset(clearml, run["id"])
    assert pipeline_runs.read(clearml, run["id"]).unwanted
    client.call("tasks.reset", task=run["id"], force=True)
    run_cancellation.forget_before_reset(clearml, run["id"])
    assert not run_cancellation.end_unwanted(clearml, run["id"])
    again = rerun.of(clearml, pipeline_runs.read(clearml, run["id"]), step="s")
    assert again
    assert again.stamp.endswith("with nothing changed, by its own copy of the first parameters")


@pytest.mark.usefixtures("restored_signals")
@pytest.mark.parametrize(
    ("newer", "state"), [("a" * 40, "error"), ("", "pending"), (None, "error")], ids=["newer", "same", "gone"]
)
def test_run_to_verdict__superseded__leaves_the_status_pending_only_to_a_run_of_the_same_commit(
    clearml: ClearML, client: Client, project: Project, launch: Launch, hub_world: World, newer: str | None, state: str
) -> None:
    """The newer run's job can be killed before it sets the status of an older commit."""
    check = replace(hub_world.check, gates=())
    by = "f" * 32 if newer is None else project.run(pull_request="1", commit=newer or check.commit)

    def supersede() -> None:
        for run in started(client, launch):
            if run["id"] != by and run["status"] in ("queued", "in_progress"):
                task_parameters.set_properties(clearml, run["id"], {SUPERSEDED: f"{by} instead of {run['id']}"})
                client.call("tasks.stopped", task=run["id"], force=True)

    job = Reporter(job_session.signed_in(hub_world.hub.server), check)
    clock = fast_clock(on_sleep=supersede)
    assert follow.run_to_verdict(clearml, job, replace(launch, deadline=1000.0), poll.started(clock)) == 4
    assert hub_world.statuses()[0][0] == state


@pytest.mark.usefixtures("restored_signals", "no_pauses")
@pytest.mark.parametrize("ends", ["superseded", "no verdict in time"])
def test_run_to_verdict__github_away_when_it_ends__sets_the_status_once_it_is_back(
    clearml: ClearML, client: Client, launch: Launch, hub_world: World, ends: str
) -> None:
    server = hub_world.hub.server
    back: list[GitHubServer] = []
    job = Reporter(job_session.signed_in(server), replace(hub_world.check, gates=()))
    deadline = 10.0 if ends == "no verdict in time" else 1000.0

    def happen() -> None:
        if back or clock.monotonic() < 5:
            return
        server.stop()
        if ends == "superseded":
            for run in started(client, launch):
                task_parameters.set_properties(clearml, run["id"], {SUPERSEDED: f"{'f' * 32} instead of {run['id']}"})
                client.call("tasks.stopped", task=run["id"], force=True)
        if clock.monotonic() > 30:
            back.append(server.restart())

    clock = fast_clock(on_sleep=happen)
    assert follow.run_to_verdict(clearml, job, replace(launch, deadline=deadline), poll.started(clock)) == 4
    assert back and hub_world.statuses()[0][0] == "error"
    (run,) = hub_world.hub.repository.get_commit(hub_world.check.commit).get_check_runs()
    assert (run.status, run.conclusion) == ("completed", "failure")
    back[0].stop()


@dataclass
class Silent(ClearML):
    """A session that gets no answer for a while, once a run was started."""

    refused: int = 0
    runs: int = 0

    def call(self, endpoint: str, **request: Any) -> dict[str, Any]:
        self.runs += endpoint == "pipelines.start_pipeline"
        if self.runs and endpoint == "tasks.get_all_ex" and self.refused:
            self.refused -= 1
            raise ClearMLError(f"{endpoint}: no answer")
        return super().call(endpoint, **request)


@pytest.mark.usefixtures("restored_signals")
@pytest.mark.parametrize("refused", [3, 80], ids=["while it starts", "for a while"])
def test_run_to_verdict__server_that_is_silent_meanwhile__stops_the_run_when_it_answers(
    clearml: ClearML, client: Client, launch: Launch, refused: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert follow_to_its_end(Silent(clearml.host, clearml.authorization, refused=refused), launch) == 4
    (run,) = started(client, launch)
    assert run["status"] in ("stopped", "created")
    assert pipeline_runs.read(clearml, run["id"]).unwanted
    assert "could not be stopped" not in capsys.readouterr().out


@pytest.mark.usefixtures("restored_signals")
def test_run_to_verdict__platform_without_signal_masks__follows_the_run(
    clearml: ClearML, client: Client, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows."""
    monkeypatch.delattr(signal, "pthread_sigmask")
    assert follow_to_its_end(clearml, launch) == 4
    assert len(started(client, launch)) == 1


@pytest.mark.parametrize(
    ("waits", "linked", "states"),
    [
        pytest.param(False, True, ["error", "pending"], id="no-job-waits"),
        pytest.param(True, True, ["pending"], id="a-job-waits"),
        pytest.param(False, False, ["pending"], id="pending-of-another-run"),
    ],
)
def test_step__run_that_was_aborted_in_clearml__leaves_no_pending_status_that_no_job_ends(
    hub_world: World, waits: bool, linked: bool, states: list[str]
) -> None:
    check = replace(hub_world.check, waited_for=waits)
    run = hub_world.original(check.to_arguments())
    hub_world.client.call("tasks.stopped", task=run.id, force=True)
    commit = hub_world.hub.repository.get_commit(check.commit)
    url = run.url if linked else f"{run.url}0"
    commit.create_status("pending", target_url=url, description="runs in ClearML", context=check.check_name)
    own_task = hub_world.client.call("tasks.create", name="report", type="testing")["id"]
    late = replace(services.of_agent(hub_world.clearml), own_task=own_task)
    result = step.result_of(report_step, late, run.id)
    assert "has ended already" in result["fault"]
    assert [state for state, _ in hub_world.statuses()] == states
    assert hub_world.comments() == []
