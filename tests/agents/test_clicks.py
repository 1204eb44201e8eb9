"""Each click of ClearML's web UI on a run or a step, sent as the UI sends it: how it ends, in ClearML and on GitHub.

What a rerun is compared with, and what it may write, is in tests/gateways/test_rerun.py; an abort with a launched task
that a job waits for in test_remote_run.py.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox.runtime.clearml_access import ClearMLError
from sandbox.scenarios import job, story
from sandbox.scenarios.remote_runs import ENDLESS, PROBE
from sandbox.scenarios.story import Checked, Story
from sandbox.testing.web_ui import WebUI
from tests.agents.conftest import Play

ENDS_WITHIN = 20  # seconds from the end of a run to that of what it launched
NO_AGENT = "default"  # a queue that every server has


@dataclass(frozen=True)
class Desk:
    """A browser with ClearML, and GitHub beside it."""

    ui: WebUI
    tale: Story

    def pipeline(self, run: str) -> str:
        """The project of a run's pipeline."""
        return str(self.ui.call("tasks.get_by_id", task=run)["task"]["project"])

    def ended(self, run: str) -> dict[str, Any]:
        """The full details of a run that has ended, and all that it started with it."""
        story.ended(self.tale, run)
        deadline = time.monotonic() + ENDS_WITHIN
        while story.unfinished(self.tale) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert story.unfinished(self.tale) == []
        return self.ui.details(run)

    def waiting(self, branch: str) -> tuple[str, str, str]:
        """A run without a job, whose step waits for what it launched; that task, and the commit."""
        tale = self.tale
        pull = story.propose(tale, branch, "Wait for an hour", trained=False, **ENDLESS)
        event = job.pull_request_event(tale.sandbox, pull, action="opened")
        done = job.run(tale.sandbox, event=event, settings={**PROBE, "CLEARML_CI_WAIT": "false"})
        return done.outputs["pipeline_id"], story.launched(tale, pull.head.sha), pull.head.sha

    def steps(self, run: str) -> dict[str, dict[str, Any]]:
        """The tasks of the run's steps by name, the newest of each."""
        query = {"parent": [run], "search_hidden": True, "order_by": ["created"]}
        found = self.ui.call("tasks.get_all", **query)["tasks"]
        return {task["name"]: task for task in found if task["type"] != "controller"}

    def seen(self, checked: Checked) -> tuple[list[str], list[tuple[str, str]]]:
        """The comments and the statuses of a pull request's commit."""
        statuses = self.tale.repository.get_commit(checked.commit).get_statuses()
        return list(story.comments(checked.pull)), [(status.state, status.description) for status in statuses]

    @contextmanager
    def nothing_written(self, checked: Checked) -> Iterator[None]:
        """Nothing is written on GitHub meanwhile."""
        before = self.seen(checked)
        yield
        assert self.seen(checked) == before


@pytest.fixture(scope="module")
def desk_of_all(tale: Story) -> Desk:
    return Desk(WebUI(tale.sandbox.clearml), tale)


@pytest.fixture
def desk(desk_of_all: Desk) -> Iterator[Desk]:
    """The desk, at whose end nothing runs: what a failed test has left would fail those after it."""
    yield desk_of_all
    for task in story.unfinished(desk_of_all.tale):
        desk_of_all.ui.call("tasks.stopped", task=task, force=True)


@pytest.fixture
def worse(played: Play) -> Checked:
    return played("worse")


def run_of(checked: Checked) -> str:
    return str(checked.job.outputs["pipeline_id"])


# --- New run ----------------------------------------------------------------------------------------------------


def test_run__of_a_row_with_an_edit__is_stamped_wherever_it_is_green(desk: Desk, worse: Checked) -> None:
    rerun = desk.ui.run_row(run_of(worse), threshold_percent="50")
    desk.ended(rerun)
    verdict = story.verdict(desk.tale, rerun)
    assert verdict["outcome"] == "passed"
    comments, statuses = desk.seen(worse)
    assert statuses[0][0] == "success"
    assert "threshold_percent 3 → 50" in statuses[0][1]
    assert "threshold_percent 3 → 50" in comments[0].replace("\\", "")


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ({"threshold_percent": "abc"}, ["threshold_percent", "abc"]),
        ({"project": "no such project"}, ["no such project"]),
    ],
    ids=["tolerance", "project"],
)
def test_new_run__on_a_rerun_with_a_typo__is_told_in_clearml_alone(
    desk: Desk, worse: Checked, edits: dict[str, str], words: list[str]
) -> None:
    with desk.nothing_written(worse):
        rerun = desk.ui.new_run(desk.pipeline(run_of(worse)), **edits)
        shown = desk.ended(rerun)
    console = desk.ui.console(rerun)
    assert [word for word in words if word not in console] == []
    told = f"{shown['status_message']} {shown['status_reason']} {shown['comment']}"
    assert [word for word in words if word not in told] == []


def test_run__of_the_template__is_a_rerun_with_a_stamp(desk: Desk, worse: Checked) -> None:
    (template,) = desk.ui.list_runs(desk.pipeline(run_of(worse)), statuses=["created"], archived=True)
    assert template["tags"] == ["template"]
    rerun = desk.ui.run_row(template["id"], queue=desk.tale.sandbox.queues.controllers)
    shown = desk.ended(rerun)
    assert story.verdict(desk.tale, rerun)["rerun"]
    assert ("rerun" in shown["tags"], "template" in shown["tags"]) == (True, False)


# --- Abort, Continue --------------------------------------------------------------------------------------------


def test_abort__of_a_queued_run__leaves_nothing_and_can_be_continued(desk: Desk, worse: Checked) -> None:
    with desk.nothing_written(worse):
        rerun = desk.ui.run_row(run_of(worse), queue=NO_AGENT)
        assert desk.ui.abort(rerun)["status"] == "stopped"
        assert desk.ui.continue_(rerun)["enqueue_status"] == "stopped"
        assert desk.ui.abort(rerun)["status_message"].startswith("Stopped by")
    assert story.unfinished(desk.tale) == []


def test_abort__of_a_running_run_of_a_job_that_is_gone__leaves_no_pending_status(desk: Desk) -> None:
    run, launched, commit = desk.waiting("aborted")
    desk.ui.abort(run)
    shown = desk.ended(run)
    statuses = list(desk.tale.repository.get_commit(commit).get_statuses())
    assert desk.ui.details(launched)["status"] == "stopped"
    assert shown["status"] == "stopped"
    assert statuses[0].state == "error", [(status.state, status.description) for status in statuses]


@pytest.mark.parametrize(
    "click",
    [
        pytest.param(WebUI.archive, id="archive"),
        pytest.param(WebUI.reset, id="reset"),
    ],
)
def test_running_run__ended_by_a_click_after_its_job__ends_with_what_it_launched(
    desk: Desk, click: Callable[[WebUI, str], Any], request: pytest.FixtureRequest
) -> None:
    tale = desk.tale
    run, launched, commit = desk.waiting(f"ended-by-{request.node.callspec.id}")
    click(desk.ui, run)
    deadline = time.monotonic() + ENDS_WITHIN
    while story.unfinished(tale) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert story.unfinished(tale) == []
    assert desk.ui.details(launched)["status"] == "stopped"
    assert "success" not in [status.state for status in tale.repository.get_commit(commit).get_statuses()]


def test_continue__of_an_aborted_run__starts_it_again_with_new_steps(desk: Desk, worse: Checked) -> None:
    rerun = desk.ui.run_row(run_of(worse), threshold_percent="60")
    deadline = time.monotonic() + story.TAKEN_WITHIN
    while not desk.steps(rerun) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert desk.steps(rerun)
    desk.ui.abort(rerun)
    aborted = desk.ended(rerun)
    assert aborted["status"] == "stopped"
    desk.ui.continue_(rerun)
    desk.ended(rerun)
    verdict = story.verdict(desk.tale, rerun)
    assert (verdict["outcome"], verdict["rerun"]["changes"]) == ("passed", ["threshold_percent 3 → 60"])
    assert {step["status"] for step in desk.steps(rerun).values()} == {"completed"}


# --- full details: Reset, Clone, Enqueue, Publish ---------------------------------------------------------------


def test_clone__edited_and_enqueued__is_stamped(desk: Desk, worse: Checked) -> None:
    draft = desk.ui.clone(run_of(worse))
    desk.ui.edit_parameter(draft, "threshold_percent", "70")
    desk.ui.enqueue_draft(draft, queue=desk.tale.sandbox.queues.controllers)
    desk.ended(draft)
    assert story.verdict(desk.tale, draft)["rerun"]["changes"] == ["threshold_percent 3 → 70"]
    assert "threshold_percent 3 → 70" in desk.seen(worse)[1][0][1]


def test_reset__edited_to_a_commit_that_did_not_run__takes_no_evidence_from_the_first_execution(
    desk: Desk, played: Play
) -> None:
    """Reset leaves the steps of the first execution, whose remote run left a candidate."""
    checked = played("train")
    assert checked.verdict["candidate"]
    tale, run = desk.tale, run_of(checked)
    tale.laptop.git("checkout", "-q", checked.pull.head.ref)
    head = story.push(tale, "Trust me, it works as well", trained=False, epochs=13)
    desk.ui.reset(run)
    for name, value in {"commit": head, "candidate": "find", "run_until": "off"}.items():
        desk.ui.edit_parameter(run, name, value)
    desk.ui.enqueue_draft(run, queue=tale.sandbox.queues.controllers)
    desk.ended(run)
    statuses = [status.state for status in tale.repository.get_commit(head).get_statuses()]
    verdict = story.verdict(tale, run)
    assert (verdict["outcome"], verdict["candidate"]) == ("no_evidence", None)
    assert "success" not in statuses


@pytest.mark.parametrize("again", [WebUI.reset, WebUI.clone], ids=["reset", "clone"])
def test_step__of_an_ended_run_that_is_enqueued_again__says_so_and_writes_nothing(
    desk: Desk, worse: Checked, again: Callable[[WebUI, str], Any]
) -> None:
    tale, step = desk.tale, desk.steps(run_of(worse))["report"]["id"]
    with desk.nothing_written(worse):
        made = again(desk.ui, step)
        draft = made if isinstance(made, str) else step
        desk.ui.enqueue_draft(draft, queue=tale.sandbox.queues.controllers)
        assert desk.ended(draft)["status"] == "completed"
    assert f"run {run_of(worse)} has ended already" in desk.ui.console(draft)


@pytest.mark.parametrize("click", [WebUI.abort, WebUI.archive, WebUI.reset], ids=["abort", "archive", "reset"])
def test_step__that_waits_for_its_launch__ended_by_a_click__ends_both_and_its_check(
    desk: Desk, click: Callable[[WebUI, str], Any], request: pytest.FixtureRequest
) -> None:
    run, launched, commit = desk.waiting(f"step-ended-by-{request.node.callspec.id}")
    click(desk.ui, desk.steps(run)["remote_run"]["id"])
    desk.ended(run)
    assert desk.ui.details(launched)["status"] == "stopped"
    statuses = [status.state for status in desk.tale.repository.get_commit(commit).get_statuses()]
    assert statuses[0] == "error", statuses


def test_step__of_an_ended_run_that_is_archived_and_deleted__changes_no_verdict(desk: Desk, worse: Checked) -> None:
    run, step = run_of(worse), desk.steps(run_of(worse))["find_task"]["id"]
    with desk.nothing_written(worse):
        desk.ui.archive(step)
        desk.ui.restore(step)
        assert "archived" not in desk.ui.run_info(step)["system_tags"]
        desk.ui.archive(step)
        desk.ui.delete_task(step)
        assert desk.ui.step_states(run)["find_task"] == ""
    assert story.verdict(desk.tale, run)["outcome"] == "regressed"
    rerun = desk.ui.run_row(run)
    desk.ended(rerun)
    again = story.verdict(desk.tale, rerun)
    assert (again["outcome"], again["rerun"]["changes"]) == ("regressed", [])


def test_publish__of_a_controller_and_a_step__leaves_a_run_that_can_be_run_again(desk: Desk, worse: Checked) -> None:
    run = run_of(worse)
    with desk.nothing_written(worse):
        for task in (run, desk.steps(run)["compare"]["id"]):
            assert desk.ui.publish(task)["status"] == "published"
    rerun = desk.ui.run_row(run)
    desk.ended(rerun)
    assert story.verdict(desk.tale, rerun)["outcome"] == "regressed"


# --- Archive, Restore, Delete -----------------------------------------------------------------------------------


def test_delete__of_an_original_after_archive_and_restore__keeps_its_reruns_stamped(desk: Desk, worse: Checked) -> None:
    run = run_of(worse)
    pipeline = desk.pipeline(run)
    rerun = desk.ui.run_row(run, threshold_percent="80")
    desk.ended(rerun)
    with desk.nothing_written(worse):
        desk.ui.archive(run)
        desk.ui.restore(run)
        assert {"archived" in step["system_tags"] for step in desk.steps(run).values()} == {True}
        desk.ui.archive(run)
        assert run in [shown["id"] for shown in desk.ui.list_runs(pipeline, archived=True)]
        desk.ui.delete(run)
        with pytest.raises(ClearMLError, match=f"no task {run}"):
            desk.ui.details(run)
    assert desk.steps(run) == {}
    again = desk.ui.run_row(rerun, threshold_percent="90")
    desk.ended(again)
    assert story.verdict(desk.tale, again)["rerun"]["changes"] == ["threshold_percent 3 → 90"]
