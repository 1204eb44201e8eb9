"""The short story, read back from the servers: the job, its pipeline, and what GitHub shows."""

import json

import pytest

from clearml_ci.parameters import catalogue as parameters
from sandbox.scenarios import catalogue, job, story
from sandbox.scenarios.story import Story
from tests.agents.conftest import Play

NAMES = list(catalogue.SHORT_STORY)


@pytest.mark.parametrize("name", NAMES)
def test_scenario__played__has_its_outcome_everywhere(played: Play, name: str) -> None:
    expected, checked = catalogue.EVERY[name], played(name)
    outcome = expected.outcome
    assert (checked.job.exit_code, checked.verdict["outcome"]) == (expected.exit_code, outcome)
    assert (checked.job.outputs["outcome"], checked.status) == (outcome, expected.status)
    assert outcome.replace("_", " ") in checked.comments[0]
    assert outcome.replace("_", " ") in checked.job.summary
    assert json.loads(checked.job.outputs["verdict_json"]) == checked.verdict


@pytest.mark.parametrize("name", NAMES)
def test_scenario__played__leaves_one_comment_that_names_commit_and_run(played: Play, name: str) -> None:
    checked = played(name)
    (comment,) = checked.comments
    assert checked.commit[:10] in comment
    assert checked.verdict["pipeline"]["url"] in comment
    assert checked.job.outputs["comment_url"].startswith(checked.pull.html_url)
    if checked.verdict["candidate"]:
        assert checked.verdict["candidate"]["url"] in comment


@pytest.mark.parametrize("name", ["better", "within-tolerance", "worse"])
def test_scenario__compared__shows_numbers_that_follow_from_each_other(played: Play, name: str) -> None:
    (gate,) = played(name).verdict["gates"]
    assert gate["metric"] == "accuracy/validation"
    assert gate["difference"] == pytest.approx(gate["value"] - gate["baseline"])
    assert gate["limit"] == pytest.approx(gate["baseline"] * 0.97)
    assert (gate["value"] > gate["baseline"]) == (name == "better")
    assert (gate["value"] >= gate["limit"]) == (name != "worse")


def test_scenario__compared__table_has_all_scalars_of_the_task(played: Play) -> None:
    (comment,) = played("better").comments
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in comment.splitlines() if line[:1] == "|"]
    assert ["title", "series", "last", "min", "max"] in rows
    assert {("accuracy", "validation"), ("loss", "train"), ("Summary", "final accuracy")} <= {
        (row[0], row[1]) for row in rows
    }


def test_scenario__checked__does_not_move_the_best(played: Play, tale: Story) -> None:
    played("better")
    (best,) = story.tagged_best(tale)
    assert played("worse").verdict["baseline"]["id"] == best
    assert played("better").verdict["candidate"]["id"] != best


def test_pushed_again__second_commit__is_what_the_one_comment_tells(played: Play) -> None:
    checked = played("pushed-again")
    pushed = checked.pull.base.repo.get_pull(checked.pull.number).head.sha
    assert checked.commit == pushed
    assert pushed[:10] in checked.comments[0]


def test_trigger__while_it_waits__shows_the_run_and_each_steps_states(played: Play) -> None:
    checked = played("better")
    lines = checked.job.log.splitlines()
    states = [line for line in lines if line.split(":")[0] in ("run", "find_task", "compare", "report")]
    link = next(number for number, line in enumerate(lines) if checked.verdict["pipeline"]["url"] in line)
    assert link < lines.index(states[0])
    assert {"find_task: completed", "compare: completed", "report: completed", "run: completed"} <= set(states)


def test_run__of_each_scenario__started_from_one_template(played: Play, tale: Story) -> None:
    runs = {played(name).job.outputs["pipeline_id"] for name in NAMES}
    found = tale.clearml.call(
        "tasks.get_all", id=list(runs), only_fields=["id", "type", "status", "parent", "script"], search_hidden=True
    )["tasks"]
    assert {run["type"] for run in found} == {"controller"}
    assert {run["status"] for run in found} == {"completed"}
    assert {run["script"]["version_num"] for run in found} == {job.code_of_agents()[1]}
    # Two jobs that register concurrently may leave a spare draft, from which no run is started.
    (template,) = {run["parent"] for run in found}
    draft = tale.clearml.call("tasks.get_by_id", task=template)["task"]
    assert (draft["status"], draft["runtime"]["clearml_ci_template"]) == ("created", template)
    assert len(found) == len(runs)


def test_run__in_clearml__carries_the_verdict_in_its_properties_and_no_secret(played: Play, tale: Story) -> None:
    checked = played("worse")
    run = tale.clearml.call("tasks.get_by_id", task=checked.job.outputs["pipeline_id"])["task"]
    shown = {name: item for name, item in run["hyperparams"]["Args"].items() if name != "_start"}  # the request's key
    described = {name: item["description"] for name, item in shown.items()}
    assert described == parameters.descriptions(described)
    steps = tale.clearml.call("tasks.get_all", parent=run["id"], search_hidden=True)["tasks"]
    assert run["hyperparams"]["properties"]["outcome"]["value"] == "regressed"
    assert {step["name"] for step in steps} == {"find_task", "compare", "report"}
    logs = [tale.clearml.call("events.get_task_log", task=task["id"], batch_size=500) for task in (run, *steps)]
    everything = json.dumps([run, steps, logs]) + checked.job.log + checked.job.summary + checked.comments[0]
    secrets = (
        tale.sandbox.clearml.secret_key,
        tale.sandbox.github.workflow_token,
        tale.sandbox.github.owner_token,
    )
    assert logs[0]["returned"] > 0
    assert not [secret for secret in secrets if secret in everything]


def test_rerun__from_the_web_ui_with_an_edited_threshold__judges_anew_and_updates_the_comment(
    played: Play, tale_on_real_agents: Story
) -> None:
    """New run sends one call, with each value as a string."""
    tale, checked = tale_on_real_agents, played("worse")
    rerun = story.rerun_in_web_ui(tale, checked.job.outputs["pipeline_id"], threshold_percent="50")
    verdict = story.verdict(tale, rerun)
    assert (verdict["outcome"], verdict["gates"][0]["threshold_percent"]) == ("passed", 50.0)
    (comment,) = checked.pull.get_issue_comments()
    assert verdict["pipeline"]["url"] in comment.body
    assert tale.repository.get_commit(checked.commit).get_combined_status().state == "success"
