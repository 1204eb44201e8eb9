"""After the merge, and again from ClearML: the demo's scenarios, read back from the servers, and what can be wrong."""

import re
from collections.abc import Callable

import pytest

from sandbox.scenarios import catalogue, job, promotions, story
from sandbox.scenarios.promotions import MAIN_TAG, OWN, TAG
from sandbox.scenarios.story import Story
from sandbox.testing.web_ui import WebUI
from tests.agents.conftest import Play, only_line

MERGES = ["merge-promotes", "merge-squash", "merge-not-better", "promote-twice"]


@pytest.mark.parametrize("name", list(catalogue.PROMOTIONS))
def test_scenario__played__has_its_outcome_everywhere_and_one_comment(played: Play, name: str) -> None:
    expected, checked = catalogue.EVERY[name], played(name)
    assert (checked.job.exit_code, checked.verdict["outcome"]) == (expected.exit_code, expected.outcome)
    assert (checked.job.outputs["outcome"], checked.status) == (expected.outcome, expected.status)
    (comment,) = checked.comments
    assert checked.commit[:10] in comment
    reported = checked.earlier[0] if name == "promote-twice" else checked.job  # a promotion without a move adds nothing
    assert reported.outputs["pipeline_url"] in comment
    for words in expected.mentions:
        assert words in comment.replace("\\", "")


@pytest.mark.parametrize("name", MERGES)
def test_merge__of_any_kind__is_reported_at_the_merge_commit_beside_the_check(played: Play, name: str) -> None:
    checked = played(name)
    merged = checked.pull.base.repo.get_pull(checked.pull.number)
    assert checked.verdict["told_at"] == merged.merge_commit_sha
    assert checked.verdict["promotion"]["merge_commit"] == merged.merge_commit_sha
    (comment,) = checked.comments
    assert comment.count("accuracy/validation ↑") == 1
    assert f"Merged as `{merged.merge_commit_sha[:10]}`" in comment


@pytest.mark.parametrize("name", MERGES)
def test_merge__better_or_not__tags_what_is_on_main(played: Play, tale: Story, name: str) -> None:
    task = played(name).verdict["candidate"]["id"]
    assert MAIN_TAG in tale.clearml.call("tasks.get_by_id", task=task)["task"]["tags"]


def test_merge_squash__head_that_never_came_to_main__is_found_by_the_push(played: Play, tale: Story) -> None:
    checked = played("merge-squash")
    commits = [commit.sha for commit in tale.repository.get_commits(sha="main")]
    assert checked.commit not in commits
    assert checked.verdict["told_at"] in commits


def test_rollback__run__names_the_promotion_that_it_undid(played: Play, tale: Story) -> None:
    checked = played("rollback")
    (first,) = checked.earlier
    run = tale.clearml.call("tasks.get_by_id", task=checked.job.outputs["pipeline_id"])["task"]
    assert first.outputs["pipeline_id"] in run["configuration"]["ledger"]["value"]
    assert checked.verdict["promotion"]["action"] == "rollback"


def test_rerun_edited__verdict__names_who_and_what(played: Play) -> None:
    checked = played("rerun-edited")
    (first,) = checked.earlier
    stamp = checked.verdict["rerun"]
    assert (first.exit_code, first.outputs["outcome"]) == (1, "regressed")
    assert (stamp["changes"], stamp["original"]) == (["threshold_percent 3 → 50"], first.outputs["pipeline_id"])
    assert stamp["by"]
    assert checked.verdict["gates"][0]["tolerance"] == 50


def test_rerun__while_a_check_of_the_same_pull_request_runs__leaves_that_alone(played: Play, tale: Story) -> None:
    checked = played("rerun-edited")
    event = job.pull_request_event(tale.sandbox, checked.pull, action="synchronize")
    live = job.run(tale.sandbox, event=event, settings={"CLEARML_CI_WAIT": "false"}).outputs["pipeline_id"]
    rerun = promotions.rerun(tale, checked.pull, checked.earlier[0], "threshold_percent=50")
    assert rerun.verdict["outcome"] == "passed"
    assert story.ended(tale, live) == "completed"
    assert story.verdict(tale, live)["outcome"] == "regressed"


def test_rerun__of_a_rerun_in_the_web_ui__judges_anew_by_the_newest_edit(played: Play, tale: Story) -> None:
    """New run starts from the newest run, which may be a rerun; the server escapes parameters once more each time."""
    checked = played("rerun-edited")
    rerun = checked.earlier[0].outputs["pipeline_id"]
    for threshold in ("4", "60"):
        rerun = story.rerun_in_web_ui(tale, rerun, threshold_percent=threshold)
    verdict = story.verdict(tale, rerun)
    assert (verdict["outcome"], verdict["gates"][0]["threshold_percent"]) == ("passed", 60.0)
    assert verdict["rerun"]["changes"] == ["threshold_percent 3 → 60"]
    (comment,) = checked.pull.get_issue_comments()
    assert verdict["pipeline"]["url"] in comment.body


def test_rerun__of_an_unknown_parameter__exits_2_and_starts_nothing(played: Play, tale: Story) -> None:
    run = played("rerun-edited").earlier[0].outputs["pipeline_id"]
    line = only_line(job.run(tale.sandbox, event={}, command=("rerun", run, "threshold=5")), 2)
    assert "no parameter 'threshold'; did you mean 'threshold_percent'?" in line


def test_rerun__from_the_web_ui_with_an_empty_commit__is_an_error_in_clearml_alone(played: Play, tale: Story) -> None:
    checked = played("rerun-edited")
    commit = tale.repository.get_commit(checked.commit)
    before = commit.get_combined_status().state
    original = checked.earlier[0].outputs["pipeline_id"]
    assert story.verdict(tale, original)["rerun"] is None
    ended = story.rerun_in_web_ui(tale, original, commit="")
    verdict = story.verdict(tale, ended)
    assert verdict["outcome"] == "error"
    assert "the parameters of this rerun cannot be read: commit is empty" in verdict["exit_reason"]
    assert commit.get_combined_status().state == before


def test_promote__merged_without_a_check_and_a_run__is_no_evidence_and_keeps_the_tag(played: Play, tale: Story) -> None:
    played("rollback")
    best = story.tagged_best(tale, TAG)
    pull = story.propose(tale, "never-checked", "Not checked", trained=False, files={"unseen.md": "unseen\n"})
    checked = promotions.merge(tale, pull)
    assert (checked.job.exit_code, checked.verdict["outcome"]) == (1, "no_evidence")
    assert "it was never checked" in checked.verdict["exit_reason"]
    assert story.tagged_best(tale, TAG) == best


def test_promote__push_that_merged_two__promotes_both_oldest_first(played: Play, tale: Story) -> None:
    played("merge-promotes")
    pulls = [
        story.propose(tale, f"together-{name}", f"Notes {name}", files={f"{name}.md": name}, **promotions.BIG)
        for name in ("one", "two")
    ]
    for pull in pulls:
        pull.merge(merge_method="squash")
    event = promotions.push_event(tale, merged=2)
    done = job.run(tale.sandbox, event=event, event_name="push", settings=OWN, command=())
    assert done.exit_code == 0
    verdicts = [story.verdict(tale, run) for run in re.findall(r"^ClearML run: \S+/([0-9a-f]{32})\b", done.log, re.M)]
    assert [verdict["pull_request"] for verdict in verdicts] == [pull.number for pull in pulls]
    for verdict, pull in zip(verdicts, pulls, strict=True):
        assert any(f"#{pull.number} was never checked" in warning for warning in verdict["warnings"])
        assert MAIN_TAG in tale.clearml.call("tasks.get_by_id", task=verdict["candidate"]["id"])["task"]["tags"]


def new_run(ui: WebUI, run: str, queue: str) -> str:
    return ui.run_row(run, queue=queue)


def reset(ui: WebUI, run: str, queue: str) -> str:
    ui.reset(run)
    ui.enqueue_draft(run, queue=queue)
    return run


def clone(ui: WebUI, run: str, queue: str) -> str:
    draft = ui.clone(run)
    ui.edit_parameter(draft, "threshold_percent", "50")
    ui.enqueue_draft(draft, queue=queue)
    return draft


@pytest.mark.parametrize("click", [new_run, clone, reset])
def test_promote__run_again_by_a_click__leaves_the_tag_and_says_what_it_found(
    played: Play, tale: Story, click: Callable[[WebUI, str, str], str]
) -> None:
    promoted = played("merge-promotes")
    best, ui = story.tagged_best(tale, TAG), WebUI(tale.sandbox.clearml)
    again = click(ui, promoted.job.outputs["pipeline_id"], tale.sandbox.queues.controllers)
    assert story.ended(tale, again) == "completed"
    verdict = story.verdict(tale, again)
    assert verdict["rerun"]
    assert verdict["exit_reason"].lower() in ui.console(again).lower()
    assert story.tagged_best(tale, TAG) == best


def test_promote__policy_that_judges_no_model__says_so_and_exits_0(played: Play, tale: Story) -> None:
    merged = played("merge-promotes")
    event = job.pull_request_event(tale.sandbox, merged.pull, action="closed")
    none: dict[str, str | None] = {**OWN, "CLEARML_CI_CANDIDATE": "none", **dict.fromkeys(job.METRIC)}
    done = job.run(tale.sandbox, event=event, settings=none, command=())
    assert (done.exit_code, done.outputs) == (0, {})
    assert "this policy judges no model" in done.log


def test_promote__on_pass__moves_the_tag_in_the_check(tale: Story) -> None:
    best = story.ensure_best(tale, "Best at the check")
    pull = story.propose(tale, "on-pass", "Big, and immediately", **promotions.BIG)
    settings = {"CLEARML_BEST_TAGNAME": "Best at the check", "CLEARML_CI_PROMOTE": "on-pass"}
    passed = story.check(tale, pull, settings=settings)
    assert (passed.job.exit_code, passed.verdict["promotion"]["from"]) == (0, [best])
    assert story.tagged_best(tale, "Best at the check") == [passed.verdict["candidate"]["id"]]


def test_trigger__closed_without_a_merge__says_so_and_exits_0(tale: Story) -> None:
    pull = story.propose(tale, "given-up", "Never mind", trained=False, files={"never.md": "mind\n"})
    pull.edit(state="closed")
    event = job.pull_request_event(tale.sandbox, pull, action="closed")
    done = job.run(tale.sandbox, event=event, settings=OWN, command=())
    assert (done.exit_code, done.outputs) == (0, {})
    assert f"pull request #{pull.number} was closed without a merge" in done.log


def test_trigger__push_that_merged_nothing__says_so_and_exits_0(played: Play, tale: Story) -> None:
    played("merge-promotes")
    base = played("merge-promotes").pull.base.sha
    event = {**promotions.push_event(tale), "after": base, "commits": [{"id": base}]}
    done = job.run(tale.sandbox, event=event, event_name="push", settings=OWN, command=())
    assert done.exit_code == 0
    assert "merged no pull request: nothing is promoted" in done.log


def test_register__twice__registers_each_pipeline_once(tale: Story) -> None:
    elsewhere: dict[str, str | None] = {"GITHUB_REPOSITORY": "octo-owner/registered"}
    first, second = (job.run(tale.sandbox, event={}, command=("register",), settings=elsewhere) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.log.count("registered the pipeline") == 3
    assert second.log.count("is registered for this version already") == 3
