"""Audits: without findings, with one of each kind in one issue, with marked leftovers cleaned up, and again."""

from typing import Any

import pytest

from sandbox.scenarios import audits, job, story
from sandbox.scenarios.audits import Audited, Planted
from sandbox.scenarios.story import Story
from sandbox.testing.web_ui import WebUI
from tests.agents.conftest import only_line


@pytest.fixture(scope="module")
def green(tale: Story) -> Audited:
    return audits.green(tale)


@pytest.fixture(scope="module")
def found(tale: Story, green: Audited) -> tuple[Planted, Audited]:  # noqa: ARG001  comes first
    return audits.findings(tale)


@pytest.fixture(scope="module")
def repaired(tale: Story, found: tuple[Planted, Audited]) -> Audited:
    audits.repair(tale, found[0])
    return audits.audit(tale)


def task_of(tale: Story, task: str) -> dict[str, Any]:
    document: dict[str, Any] = tale.clearml.call("tasks.get_by_id", task=task)["task"]
    return document


def test_audit_green__main_runs_on_an_agent__passes_and_opens_no_issue(tale: Story, green: Audited) -> None:
    verdict = green.verdict
    assert (verdict["outcome"], verdict["exit_code"], green.issue) == ("passed", 0, None)
    assert (green.job.exit_code, green.job.outputs["outcome"]) == (0, "passed")
    assert (verdict["remote_run"]["outcome"], verdict["audited"]) == ("passed", {"projects": 1, "bests": 1})
    probe = task_of(tale, verdict["remote_run"]["task"]["id"])
    assert probe["script"]["version_num"] == tale.repository.get_branch("main").commit.sha
    assert "archived" in probe["system_tags"]


def test_audit_findings__planted__are_all_in_the_one_issue(tale: Story, found: tuple[Planted, Audited]) -> None:
    planted, audited = found
    assert (audited.verdict["outcome"], audited.verdict["exit_code"], audited.job.exit_code) == ("regressed", 1, 1)
    project = tale.sandbox.project
    assert {kind: audited.seen(kind) for kind in KINDS} == {
        "several_bests": [f"{project}/train digits"],
        "archived_best": [f"{project}/an older model"],
        "leftover": [f"{project}/probe"],
        "unmarked_leftover": [f"{project}/probe"],
        "no_workers": [planted.queue],
    }
    assert audited.issue is not None
    assert (audited.issue.state, audited.issue.title) == ("open", "ClearML CI audit: 5 findings")
    assert all(kind in audited.issue.body for kind in KINDS.values())


KINDS = {  # as a verdict has them, and as the issue shows them
    "several_bests": "several baselines",
    "archived_best": "archived baseline",
    "leftover": "leftover",
    "unmarked_leftover": "unmarked leftover",
    "no_workers": "no workers",
}


def test_audit_findings__leftovers__only_the_marked_one_was_ended(tale: Story, found: tuple[Planted, Audited]) -> None:
    planted, _ = found
    probe, unmarked = task_of(tale, planted.probe), task_of(tale, planted.unmarked)
    assert (probe["status"], "archived" in probe["system_tags"]) == ("stopped", True)
    assert (unmarked["status"], "archived" in unmarked["system_tags"]) == ("in_progress", False)


def test_audit_findings__repaired__the_same_issue_is_closed(found: tuple[Planted, Audited], repaired: Audited) -> None:
    (_, before), after = found, repaired
    assert after.verdict["outcome"] == "passed"
    assert before.issue is not None and after.issue is not None
    assert (after.issue.number, after.issue.state) == (before.issue.number, "closed")
    assert "no findings" in after.issue.body


def test_audit__main_trained_again__is_within_its_own_spread(
    tale: Story,
    repaired: Audited,  # noqa: ARG001  comes first
) -> None:
    audited = audits.audit(tale, audits.RETRAIN)
    assert ("retrained", "finding") not in [
        (finding["kind"], finding["severity"]) for finding in audited.verdict["findings"]
    ]
    assert audited.verdict["outcome"] == "passed"
    trained = story.tasks_of(tale, tale.repository.get_branch("main").commit.sha)
    purposes = [task_of(tale, task)["runtime"].get("clearml_ci_purpose") for task in trained]
    assert purposes.count("training") == 2


def test_rerun__of_an_audit_with_edited_parameters__opens_its_issue_again_and_never_closes_it(
    tale: Story, repaired: Audited, found: tuple[Planted, Audited]
) -> None:
    planted, before = found
    worse = audits.rerun(tale, repaired, f"queues={planted.queue}")
    assert (worse.job.exit_code, worse.verdict["outcome"], worse.seen("no_workers")) == (
        1,
        "regressed",
        [planted.queue],
    )
    (change,) = worse.verdict["rerun"]["changes"]
    assert (change.split()[0], change.split()[-1]) == ("queues", planted.queue)
    well = audits.rerun(tale, repaired, "longest_wait=7200")
    assert (well.job.exit_code, well.verdict["outcome"]) == (0, "passed")
    assert before.issue is not None and worse.issue is not None and well.issue is not None
    assert {before.issue.number, worse.issue.number, well.issue.number} == {before.issue.number}
    assert (worse.issue.state, well.issue.state) == ("open", "open")
    assert "Rerun by" in worse.issue.body and well.issue.body == worse.issue.body


def test_rerun__of_an_audit_with_a_parameter_that_makes_no_sense__exits_2(tale: Story, repaired: Audited) -> None:
    run = repaired.job.outputs["pipeline_id"]
    done = job.run(tale.sandbox, event={}, command=("rerun", run, "retrain=ten"))
    assert "retrain is 'ten'" in only_line(done, 2)


def test_audit__run_again_by_clicks__is_told_and_leaves_the_issue(tale: Story, repaired: Audited) -> None:
    ui, run = WebUI(tale.sandbox.clearml), repaired.job.outputs["pipeline_id"]
    assert repaired.issue is not None
    before = tale.repository.get_issue(repaired.issue.number)
    typo = ui.run_row(run, retrain="ten")
    story.ended(tale, typo)
    assert "retrain is 'ten'" in ui.console(typo)
    ui.reset(run)
    ui.enqueue_draft(run, queue=tale.sandbox.queues.controllers)
    assert story.ended(tale, run) == "completed"
    assert story.verdict(tale, run)["outcome"] == "passed"
    after = tale.repository.get_issue(before.number)
    assert (before.state, before.body) == (after.state, after.body)
