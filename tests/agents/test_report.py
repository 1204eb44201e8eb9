"""Policies, odd numbers, and who reports: the demo's scenarios in their particulars, and what else a policy changes.

That one comment stays one with several concurrent checks is in tests/gateways/test_pull_request_comment.py.
"""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from github.CheckRun import CheckRun
from github.PullRequest import PullRequest

from clearml_ci.policy import policy_file
from clearml_ci.report import comment as markdown
from sandbox import demo
from sandbox.runtime import processes
from sandbox.scenarios import catalogue, developer, job, reports, story
from sandbox.scenarios.job import Running
from sandbox.scenarios.reports import APP, SAME_DATA, SERIES, policy_branch
from sandbox.scenarios.story import Checked, Story
from tests.agents.conftest import Play, only_line

STRICT = """\
version: 1
gates:
  - metric: accuracy/validation
    max_regression: 3%
evidence:
  ignored_paths: [".github/**"]
comment: "off"
"""
GENEROUS = STRICT.replace("3%", "90%").replace('"off"', "always")
DOCUMENTED = STRICT.replace(".github/**", "docs/**").replace('"off"', "on-failure")
LETTERS = ".github/clearml-ci-letters.yml"
BROKEN = """\
version: 1
gate: []
gates:
  - metric: accuracy/validation
    goal: larger
comment: sometimes
"""
# Its lines with a problem, and a part of each message.
PROBLEMS = [(2, "did you mean 'gates'?"), (5, "allowed: maximize, minimize"), (6, "allowed: always, on-change")]


@pytest.mark.parametrize("name", list(catalogue.REPORTS | catalogue.MANY_GATES))
def test_scenario__about_the_report__ends_as_the_demo_says(played: Play, tale: Story, name: str) -> None:
    assert demo.differences(catalogue.EVERY[name], played(name)) == []
    assert story.unfinished(tale) == []


def rows(text: str) -> list[list[str]]:
    """The cells of all tables of a comment, without the backslashes."""
    lines = [line for line in text.replace("\\", "").splitlines() if line[:1] == "|"]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def check_runs(tale: Story, commit: str) -> list[CheckRun]:
    return list(tale.repository.get_commit(commit).get_check_runs())


def propose_again(tale: Story, branch: str, *, base: str) -> PullRequest:
    """Another pull request of a commit that was trained already, against a branch with another policy."""
    return developer.open_pull_request(
        tale.repository, tale.laptop, title=f"{branch} for {base}", branch=branch, base=base
    )


# --- the demo's scenarios ---------------------------------------------------------------------------------------


def test_multi_metric__comment__shows_both_gates_and_which_one_is_advisory(played: Play) -> None:
    checked = played("multi-metric")
    signs = {row[1]: row[0] for row in rows(checked.comments[0])}
    assert (signs["accuracy/validation ↑"], signs["loss/train ↓ (advisory)"]) == ("✅", "❌")
    assert [(gate["required"], gate["outcome"]) for gate in checked.verdict["gates"]] == [
        (True, "passed"),
        (False, "regressed"),
    ]


def test_multi_metric__check_run__is_concluded_with_the_comments_markdown(played: Play, tale: Story) -> None:
    checked = played("multi-metric")
    (run,) = check_runs(tale, checked.commit)
    assert (run.status, run.conclusion) == ("completed", "success")
    assert run.output.summary.strip() == checked.comments[0].strip()
    assert run.details_url == checked.verdict["pipeline"]["url"]


def test_multi_metric__page_of_the_run__has_the_verdict_in_plots_artifacts_and_console(
    played: Play, tale: Story
) -> None:
    checked = played("multi-metric")
    run = checked.verdict["pipeline"]["id"]
    plots = {plot["metric"]: json.loads(plot["plot_str"]) for plot in plots_of(tale, run)}
    assert sorted(plots) == [
        *("1 Verdict", "2 Gates", "3 accuracy/validation", "3 loss/train", "5 What differs"),
    ]
    _, facts = plots["1 Verdict"]["data"][0]["cells"]["values"]
    assert checked.verdict["candidate"]["url"] in "".join(facts)
    assert f'<a href="{checked.pull.html_url}">' in "".join(facts)
    assert {"this commit", "baseline"} <= {line["name"] for line in plots["3 loss/train"]["data"]}
    task = tale.clearml.call("tasks.get_by_id", task=run)["task"]
    artifacts = {artifact["key"]: artifact for artifact in task["execution"]["artifacts"]}
    assert sorted(artifacts) == ["report", "verdict"]
    assert "accuracy" in artifacts["report"]["type_data"]["preview"]
    graph = json.loads(task["configuration"]["Pipeline"]["value"])
    assert {node["status"] for node in graph.values()} == {"completed"}
    assert console_has(tale, run, "Verdict: ✅ ClearML CI: passed", "loss/train ↓")
    assert "Overrides:" not in console_of(tale, run)


def test_multi_metric__page_of_each_step__has_its_result_and_its_console(played: Play, tale: Story) -> None:
    run = played("multi-metric").verdict["pipeline"]["id"]
    steps = tale.clearml.call("tasks.get_all", parent=run, only_fields=["id", "name"], search_hidden=True)["tasks"]
    assert {step["name"] for step in steps} == {"find_task", "compare", "report"}
    for step in steps:
        assert [plot["metric"] for plot in plots_of(tale, step["id"])] == ["1 Result"]
        assert console_has(tale, step["id"], "Did: " if step["name"] == "report" else "Decided: ")


def plots_of(tale: Story, task: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tale.clearml.call("events.get_task_plots", task=task, iters=1)["plots"]
    return found


def console_of(tale: Story, task: str) -> str:
    events = tale.clearml.call("events.get_task_log", task=task, batch_size=1000, order="asc")["events"]
    return "".join(event["msg"] for event in events)


def console_has(tale: Story, task: str, *texts: str) -> bool:
    """True once the agent, which ends after the step, has sent a console with these texts."""
    until = time.monotonic() + 20
    while time.monotonic() < until and not all(text in console_of(tale, task) for text in texts):
        time.sleep(0.2)
    return all(text in console_of(tale, task) for text in texts)


def test_slices__comment__shows_those_that_fail_and_the_worst_five_and_counts_the_rest(played: Play) -> None:
    checked = played("slices")
    (of,) = checked.verdict["slices"]
    shown = [gate["series"] for gate in checked.verdict["gates"] if gate["slice_of"]]
    failed = [gate["series"] for gate in checked.verdict["gates"] if gate["outcome"] == "regressed"]
    assert (of["total"], len(shown), shown[: len(failed)]) == (10, len(failed) + 5, failed)
    assert checked.verdict["gates"][0]["outcome"] == "passed"  # the accuracy over all digits
    assert f"{of['held'] - 5} more hold" in checked.comments[0]


def test_same_checkpoint__loss__is_read_at_the_best_accuracy_and_not_at_its_own(played: Play) -> None:
    accuracy, loss = played("same-checkpoint").verdict["gates"]
    assert (accuracy["outcome"], loss["outcome"], loss["at"]) == ("passed", "regressed", "best of accuracy/validation")
    assert loss["value"] > loss["last"]


def test_not_alike__comment__has_the_parameter_with_both_values_among_the_differences(played: Play) -> None:
    assert ["≠", "Args/dataset_share", "0.25", "1.0"] in rows(played("not-alike").comments[0])


def test_zero_baseline__gate__allows_nothing_more_than_zero(played: Play) -> None:
    (gate,) = played("zero-baseline").verdict["gates"]
    assert (gate["value"], gate["baseline"], gate["limit"], gate["outcome"]) == (0.0, 0.0, 0.0, "passed")


def test_huge__comment__fits_and_begins_with_the_verdict(played: Play) -> None:
    checked = played("huge")
    (comment,) = checked.comments
    visible = [line for line in comment.splitlines() if line and not line.startswith("<!--")]
    assert len(comment) <= markdown.LIMIT
    assert visible[0].startswith("### 🏆 ClearML CI: improved")
    assert rows(comment)[2][1] == "accuracy/validation ↑"
    assert checked.verdict["pipeline"]["url"] in comment
    shown = sum(row[0] == "weights" for row in rows(comment))
    assert f"{SERIES - shown - 4} more are in ClearML." in comment


def test_no_token__job__speaks_for_the_agent_and_has_nothing_to_warn_of(played: Play, tale: Story) -> None:
    checked = played("no-token")
    (comment,) = checked.pull.get_issue_comments()
    (run,) = check_runs(tale, checked.commit)
    assert comment.user.login == "github-actions[bot]"
    assert checked.job.outputs["comment_url"] == comment.html_url
    assert (checked.status, run.conclusion) == ("success", "success")
    assert "::warning::" not in checked.job.log


def test_app_token__agent__speaks_as_the_app(played: Play, tale: Story) -> None:
    checked = played("app-token")
    (comment,) = checked.pull.get_issue_comments()
    statuses = tale.repository.get_commit(checked.commit).get_statuses()
    assert comment.user.login == f"{APP}[bot]"
    assert [status.state for status in statuses] == ["success"]
    assert [status.creator.login for status in statuses] == [f"{APP}[bot]"]


def test_detached__job__ends_before_its_run_and_names_it(played: Play, tale: Story) -> None:
    checked = played("detached")
    statuses = [
        (status.state, status.target_url) for status in tale.repository.get_commit(checked.commit).get_statuses()
    ]
    assert (checked.job.exit_code, "run: completed" in checked.job.log) == (0, False)
    assert set(checked.job.outputs) == {"pipeline_id", "pipeline_url"}
    run = checked.job.outputs["pipeline_url"]
    assert run == checked.verdict["pipeline"]["url"]
    assert statuses[:2] == [("failure", run), ("pending", run)]  # newest first
    assert "The verdict comes as the commit status" in checked.job.log


# --- policies ---------------------------------------------------------------------------------------------------


def test_policy__of_the_base_branch__governs_whatever_pull_request_and_workflow_ask(played: Play, tale: Story) -> None:
    """A tiny model, whose author would rather be judged by something else."""
    played("detached")
    base = policy_branch(tale, "strict", STRICT)
    developer.branch(tale.laptop, "lenient", base="detached")
    story.push(tale, "Judge me by this", trained=False, files={policy_file.FILE: GENEROUS})
    lenient = {"CLEARML_SCALAR_TITLE": "loss", "CLEARML_SCALAR_SERIES": "train", "CLEARML_SCALAR_THRESHOLD": "90"}
    checked = story.check(tale, propose_again(tale, "lenient", base=base), settings=lenient)
    (gate,) = checked.verdict["gates"]
    assert (checked.job.exit_code, checked.verdict["outcome"], checked.status) == (1, "regressed", "failure")
    assert (gate["metric"], gate["threshold_percent"]) == ("accuracy/validation", 3.0)
    assert checked.comments == ()
    assert checked.commit[:10] in checked.job.summary
    assert "::warning::" not in checked.job.log
    ignored = "clearml_scalar_title, clearml_scalar_series, clearml_scalar_threshold"
    note = f"the policy {policy_file.FILE} of strict decides, and these inputs are ignored: {ignored}"
    assert f"::notice::ClearML CI: {note}" in checked.job.log.splitlines()


def test_names__two_checks_of_one_pull_request_at_once__have_a_status_and_a_comment_each(
    played: Play, tale: Story
) -> None:
    """One model of the repository got worse, the other did not; neither check stops the other."""
    played("detached")
    files = {
        policy_file.FILE: STRICT.replace('"off"', "always") + "name: digits\n",
        LETTERS: GENEROUS + "name: letters\n",
    }
    developer.branch(tale.laptop, "two-models")
    story.push(tale, "Judge two models", trained=False, files=files)
    pull = propose_again(tale, "detached", base="two-models")
    seconds: list[Checked] = []

    def beside(_: Running) -> None:
        seconds.append(story.check(tale, pull, settings={"CLEARML_CI_POLICY": LETTERS}))

    first = story.check(tale, pull, on_line=job.once("run: in_progress", beside))
    (second,) = seconds
    assert [(checked.job.exit_code, checked.job.outputs["outcome"]) for checked in (first, second)] == [
        (1, "regressed"),
        (0, "passed"),
    ]
    assert "superseded" not in first.job.log + second.job.log
    statuses = tale.repository.get_commit(first.commit).get_combined_status().statuses
    states = {status.context: status.state for status in statuses if "two-models" in status.context}
    assert states == {"ClearML CI: digits (two-models)": "failure", "ClearML CI: letters (two-models)": "success"}
    headlines = sorted(next(line for line in text.splitlines() if line[:3] == "###") for text in story.comments(pull))
    assert [headline.partition(" · ")[0] for headline in headlines] == [
        "### ✅ ClearML CI: letters",
        "### ❌ ClearML CI: digits",
    ]


def test_policy__named_and_not_on_the_base_branch__exits_2_and_starts_nothing(played: Play, tale: Story) -> None:
    event = job.pull_request_event(tale.sandbox, played("detached").pull, action="opened")
    line = only_line(job.run(tale.sandbox, event=event, settings={"CLEARML_CI_POLICY": LETTERS}), 2)
    assert f"the branch 'main' of {tale.sandbox.repository} has no {LETTERS}" in line


def test_policy__broken__exits_2_with_a_line_for_every_problem(played: Play, tale: Story) -> None:
    played("detached")
    pull = propose_again(tale, "detached", base=policy_branch(tale, "broken", BROKEN))
    line = only_line(job.run(tale.sandbox, event=job.pull_request_event(tale.sandbox, pull, action="opened")), 2)
    problems = line.split("%0A")
    assert len(problems) == len(PROBLEMS), line
    for problem, (number, words) in zip(problems, PROBLEMS, strict=True):
        assert f"{policy_file.FILE} of broken:{number}: " in problem
        assert words in problem


def judging(checked: Checked) -> list[str]:
    """The comments that judge: the branch also brings a policy file, which its backtest is about."""
    return [comment for comment in checked.comments if "This judges nothing" not in comment]


def test_evidence__only_ignored_paths_changed__is_that_of_the_earlier_commit(played: Play, tale: Story) -> None:
    """By this policy a check that passes does not comment, and a check that fails does."""
    earlier = played("zero-baseline")
    base = policy_branch(tale, "documented", DOCUMENTED)
    developer.branch(tale.laptop, "documents", base="zero-baseline")
    story.push(tale, "Write it down", trained=False, files={"docs/model.md": "Twelve epochs.\n"})
    pull = propose_again(tale, "documents", base=base)
    reused = story.check(tale, pull)
    assert (reused.job.exit_code, reused.status, judging(reused)) == (0, "success", [])
    assert reused.verdict["candidate"]["id"] == earlier.verdict["candidate"]["id"]
    assert f"The evidence is that of commit {earlier.commit[:10]}" in reused.job.summary

    changed = developer.read(tale.laptop, "train.py").replace("batch_size=50", "batch_size=60")
    story.push(tale, "And change it", trained=False, files={"train.py": changed})
    refused = story.check(tale, pull, action="synchronize")
    assert (refused.job.exit_code, refused.verdict["outcome"], len(judging(refused))) == (1, "no_evidence", 1)


def test_inconclusive__let_pass__is_green_and_still_told_as_inconclusive(played: Play, tale: Story) -> None:
    played("not-alike")
    text = SAME_DATA + "inconclusive: pass\n"
    checked = story.check(tale, propose_again(tale, "not-alike", base=policy_branch(tale, "same-data-or-pass", text)))
    assert (checked.job.exit_code, checked.verdict["outcome"], checked.status) == (0, "inconclusive", "success")
    assert checked.job.outputs["outcome"] == "inconclusive"
    assert "The policy lets that pass." in checked.comments[0]
    own = f"ClearML CI ({checked.pull.base.ref}) / verdict"
    conclusions = {run.name: run.conclusion for run in check_runs(tale, checked.commit)}
    assert conclusions == {own: "neutral", f"ClearML CI ({played('not-alike').pull.base.ref}) / verdict": "failure"}


def validate(python: tuple[str, ...], directory: Path, text: str) -> tuple[int, str]:
    """Return exit code and output of `ci_trigger.py validate`, which needs no server and no event."""
    path = directory / "clearml-ci.yml"
    path.write_text(text)
    done = subprocess.run(
        [*python, str(job.CHECKOUT / "ci_trigger.py"), "validate", str(path)],
        env=processes.clean_environment(directory, {}),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_validate__good_file__is_summed_up(python: tuple[str, ...], tmp_path: Path) -> None:
    code, output = validate(python, tmp_path, STRICT)
    assert code == 0, output
    assert "gate: accuracy/validation (best, maximize), worse by at most 3% of the baseline" in output


def test_validate__bad_file__exits_2_with_a_line_for_every_problem(python: tuple[str, ...], tmp_path: Path) -> None:
    code, output = validate(python, tmp_path, BROKEN)
    lines = output.splitlines()
    assert (code, len(lines)) == (2, len(PROBLEMS)), output
    for line, (number, words) in zip(lines, PROBLEMS, strict=True):
        assert f"clearml-ci.yml:{number}: " in line
        assert words in line


def test_policy_change__of_a_pull_request__has_the_backtest_as_a_second_comment(played: Play, tale: Story) -> None:
    base = played("multi-metric").pull.base.ref
    strict = {reports.POLICY_FILE: reports.TWO_METRICS.replace("3%", "0%")}
    pull = story.propose(tale, "allow-no-loss", "Allow no loss", base=base, trained=False, files=strict)
    checked = story.check(tale, pull)
    own, second = checked.comments
    assert (checked.verdict["outcome"], "no evidence" in own) == ("no_evidence", True)
    assert second.startswith("<!-- clearml-ci backtest ")
    (counts,) = (line.split() for line in second.splitlines() if line.startswith("| red "))
    assert (counts[3], counts[5]) == ("0", "1")
