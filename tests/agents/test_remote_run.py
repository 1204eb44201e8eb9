"""Pull-request code on agents: the demo's scenarios in their particulars, each phase that can fail, every abort.

Each phase fails on a real agent: the agent's own console names it. What needs no agent (whose approval a fork needs,
queues without workers, what counts as progress) is in tests/gateways/test_remote_run.py and test_task_launch.py.
"""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from sandbox import demo
from sandbox.runtime import processes
from sandbox.scenarios import catalogue, developer, job, story
from sandbox.scenarios.job import Running
from sandbox.scenarios.remote_runs import PROBE, RUNNING
from sandbox.scenarios.story import Checked, Story
from tests.agents.conftest import Play, only_line

ENDS_WITHIN = 20  # seconds from an abort
FIRST_PROGRESS_WITHIN = 60  # seconds from the start of a script that reports after two, and would run for a day
ODD = '''"""A script whose argument decides how it ends."""
import argparse
import sys
import time

from clearml import Task

task = Task.init("Odd", "odd one", auto_resource_monitoring=False, auto_connect_frameworks=False)
parser = argparse.ArgumentParser()
parser.add_argument("--how", default="silent")
how = parser.parse_args().how
logger = task.get_logger()
if how == "zero":
    logger.report_scalar("loss", "train", value=1.0, iteration=0)
elif how == "three":
    sys.exit(3)
if how != "quick":
    time.sleep(3600)
'''

SEEDLESS = '''"""A script that seeds nothing: Task.init gives it the same numbers each time, unless it has a seed."""
import random

from clearml import Task

task = Task.init("Odd", "seedless", auto_resource_monitoring=False, auto_connect_frameworks=False)
task.get_logger().report_scalar("accuracy", "validation", value=random.random(), iteration=1)
'''


@pytest.fixture(scope="module")
def builds_environments() -> bool:
    return True


def task_of(tale: Story, task: str) -> dict[str, Any]:
    found: dict[str, Any] = tale.clearml.call("tasks.get_by_id", task=task)["task"]
    return found


def end_of(tale: Story, task: str) -> tuple[str, bool]:
    """A task's status, and whether it is archived."""
    found = task_of(tale, task)
    return found["status"], "archived" in found["system_tags"]


def launched_for(tale: Story, commit: str) -> list[str]:
    """Ids of all tasks of a commit that was never trained on a laptop."""
    return story.tasks_of(tale, commit)


def steps_of(tale: Story, run: str) -> set[str]:
    children = tale.clearml.call("tasks.get_all", parent=run, only_fields=["name", "type"], search_hidden=True)
    return {child["name"] for child in children["tasks"] if child["type"] == "data_processing"}


# --- the demo's scenarios ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(catalogue.ON_AGENTS))
def test_scenario__with_code_on_an_agent__ends_as_the_demo_says(played: Play, tale: Story, name: str) -> None:
    assert demo.differences(catalogue.EVERY[name], played(name)) == []
    assert story.unfinished(tale) == []


def test_probe_ok__first_progress__ends_the_probe_soon_and_frees_the_agent(
    played: Play, tale_on_real_agents: Story
) -> None:
    tale = tale_on_real_agents
    verdict = played("probe-ok").verdict
    task = task_of(tale, verdict["remote_run"]["task"]["id"])
    taken, ended = (datetime.fromisoformat(task[moment]) for moment in ("started", "completed"))
    ran = (ended - taken).total_seconds() - verdict["remote_run"]["seconds"]["setup"]
    assert 2 < ran < FIRST_PROGRESS_WITHIN
    assert (task["status"], "archived" in task["system_tags"]) == ("stopped", True)
    assert steps_of(tale, verdict["pipeline"]["id"]) == {"remote_run", "report"}
    workers = tale_on_real_agents.clearml.call("workers.get_all", last_seen=60)["workers"]
    queue = tale_on_real_agents.sandbox.queues.code
    assert [worker.get("task") for worker in workers if worker["id"].endswith(f":{queue}")] == [None]


def test_probe_ok__its_task__is_a_clean_run_of_exactly_this_commit_and_no_evidence(played: Play, tale: Story) -> None:
    checked = played("probe-ok")
    script = task_of(tale, checked.verdict["remote_run"]["task"]["id"])["script"]
    assert (script["version_num"], script.get("diff") or "") == (checked.commit, "")
    assert script["repository"] == tale.repository.clone_url
    assert checked.verdict["candidate"] is None


def test_probe_broken__comment__names_the_phase_and_shows_the_end_of_the_console(played: Play, tale: Story) -> None:
    checked = played("probe-broken")
    remote = checked.verdict["remote_run"]
    (comment,) = checked.comments
    assert (remote["outcome"], remote["phase"]) == ("no_evidence", "import")
    # The agent's own last line, "Process failed, exit code 1", may come in time, or not.
    assert "ModuleNotFoundError: No module named 'ray'" in remote["log_tail"][-2:]
    assert "\nModuleNotFoundError: No module named 'ray'\n" in comment
    assert end_of(tale, remote["task"]["id"]) == ("failed", True)


def test_train__on_the_agent__becomes_the_candidate_and_stays(played: Play, tale: Story) -> None:
    checked = played("train")
    candidate = checked.verdict["candidate"]
    assert candidate["id"] == checked.verdict["remote_run"]["task"]["id"]
    assert end_of(tale, candidate["id"]) == ("completed", False)
    assert candidate["url"] in checked.comments[0]
    (gate,) = checked.verdict["gates"]
    assert gate["value"] > gate["baseline"]
    assert checked.verdict["baseline"]["id"] in story.tagged_best(tale)
    assert candidate["id"] not in story.tagged_best(tale)


def test_gpu_tests__one_fails__is_named_in_the_verdict(played: Play, tale: Story) -> None:
    remote = played("gpu-tests").verdict["remote_run"]
    assert (remote["outcome"], remote["phase"], remote["until"]) == ("no_evidence", "script", "completion")
    assert "test_model_reads_four_of_five_digits" in remote["reason"]
    assert any("1 failed, 1 passed" in line for line in remote["log_tail"])
    assert end_of(tale, remote["task"]["id"]) == ("failed", False)


def test_fork_unapproved__its_code__is_nowhere_and_the_comment_has_the_line_to_paste(played: Play, tale: Story) -> None:
    checked = played("fork-unapproved")
    assert (checked.verdict["remote_run"]["phase"], checked.verdict["remote_run"]["task"]) == ("approval", None)
    assert launched_for(tale, checked.commit) == []
    assert f"/run-remote {checked.commit}" in checked.comments[0]


def test_fork_approved__its_code__comes_from_the_fork(played: Play, tale: Story) -> None:
    checked = played("fork-approved")
    script = task_of(tale, checked.verdict["remote_run"]["task"]["id"])["script"]
    assert (script["repository"], script["version_num"]) == (checked.pull.head.repo.clone_url, checked.commit)
    assert checked.pull.head.repo.owner.login == "mallory"


def test_cancelled__its_probe__is_stopped_and_archived_and_the_status_tells(played: Play, tale: Story) -> None:
    checked = played("cancelled")
    assert [end_of(tale, task) for task in launched_for(tale, checked.commit)] == [("stopped", True)]
    (status,) = tale.repository.get_commit(checked.commit).get_combined_status().statuses
    assert (status.state, status.description) == ("error", "cancelled; the run was stopped")


def test_superseded__first_check__ends_and_leaves_the_word_to_the_second(played: Play, tale: Story) -> None:
    checked = played("superseded")
    (first,) = checked.earlier
    assert (first.exit_code, first.outputs["outcome"]) == (4, "error")
    assert "superseded by" in first.outputs["exit_reason"]
    old = json.loads(first.outputs["verdict_json"])
    assert [end_of(tale, task) for task in launched_for(tale, old["commit"])] == [("stopped", True)]
    assert tale.repository.get_commit(old["commit"]).get_combined_status().statuses[0].state == "error"
    assert old["commit"][:7] not in checked.comments[0]


# --- phases -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quick(tale_on_real_agents: Story) -> Iterator[dict[str, str]]:
    """Settings for an agent that builds no environments; it has what the sample repository needs."""
    with story.another_agent(tale_on_real_agents, "ci-quick", builds_environments=False) as queue:
        yield {"CLEARML_CI_CODE_QUEUE": queue}


@pytest.fixture(scope="module")
def odd(played: Play, tale: Story) -> dict[str, str]:
    """The id of a run, and the arguments that make it a probe of a script whose argument decides how it ends."""
    run = played("probe-ok").job.outputs["pipeline_id"]
    developer.branch(tale.laptop, "odd")
    commit = story.push(tale, "A script whose argument decides how it ends", trained=False, files={"odd.py": ODD})
    return {"run": run, "commit": commit, "run_script": "odd.py", "run_queue": tale.sandbox.queues.code}


@pytest.fixture(scope="module")
def odd_on_a_real_agent(odd: dict[str, str], quick: dict[str, str]) -> dict[str, str]:
    return {**odd, "run_queue": quick["CLEARML_CI_CODE_QUEUE"]}


def by_hand(tale: Story, *, run: str, **arguments: str) -> dict[str, Any]:
    """Run steps/remote_run.py by hand for a copy of a run with edited arguments; return its result."""
    copy = tale.clearml.call("tasks.clone", task=run)["id"]
    edited = [{"section": "Args", "name": name, "value": value} for name, value in arguments.items()]
    if edited:
        tale.clearml.call("tasks.edit_hyper_params", task=copy, hyperparams=edited)
    hub = tale.sandbox.github
    variables = {"GITHUB_TOKEN": hub.owner_token, "GITHUB_API_URL": hub.api_url, "PYTHONPATH": str(job.CHECKOUT)}
    done = subprocess.run(
        [*tale.sandbox.python, str(job.CHECKOUT / "steps" / "remote_run.py"), copy],
        env=processes.clean_environment(
            tale.sandbox.directory / "developer" / "by-hand", {**tale.sandbox.clearml.environment(), **variables}
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    output = "\n" + done.stdout
    assert "\n{\n" in output, output + done.stderr
    result: dict[str, Any] = json.loads(output[output.rindex("\n{\n") :])
    return result


@pytest.mark.parametrize(
    ("how", "words"), [("quick", "ran to the end"), ("zero", "first progress")], ids=["clean-finish", "iteration-0"]
)
def test_probe__of_a_script_that_reports_or_ends__passes_and_leaves_no_task(
    tale: Story, odd: dict[str, str], how: str, words: str
) -> None:
    result = by_hand(tale, **odd, run_args=f"how={how}")
    assert (result["outcome"], result["phase"], result["log_tail"]) == ("passed", "", []), result
    assert words in result["reason"]
    status, archived = end_of(tale, result["task"]["id"])
    assert (status in ("stopped", "completed"), archived) == (True, True)


@pytest.mark.parametrize(
    ("changed", "outcome", "phase", "words"),
    [
        ({"run_progress_limit": "2"}, "no_evidence", "progress", "reported no progress within 2 s"),
        ({"run_args": "how=three"}, "no_evidence", "script", "exit code 3"),
        ({"run_script": "missing.py"}, "no_evidence", "script", "missing.py"),
        ({"run_folder": "nowhere"}, "no_evidence", "script", "nowhere"),
    ],
    ids=["no-progress", "exit-3", "no-script", "no-folder"],
)
def test_probe__of_a_script_that_fails__names_phase_and_cause_and_leaves_no_task(
    tale: Story, odd_on_a_real_agent: dict[str, str], changed: dict[str, str], outcome: str, phase: str, words: str
) -> None:
    result = by_hand(tale, **{**odd_on_a_real_agent, **changed})
    assert (result["outcome"], result["phase"]) == (outcome, phase), result
    assert words in result["reason"]
    assert result["log_tail"] != []
    status, archived = end_of(tale, result["task"]["id"])
    assert (status in ("stopped", "failed"), archived) == (True, True)


def test_probe__repository_that_is_gone__fails_in_the_phase_clone(
    played: Play, tale: Story, quick: dict[str, str]
) -> None:
    event = job.pull_request_event(tale.sandbox, played("probe-ok").pull, action="reopened")
    repository = event["pull_request"]["head"]["repo"]
    repository["clone_url"] = repository["clone_url"].replace("/digits", "/gone")
    done = job.run(tale.sandbox, event=event, settings={**PROBE, **quick})
    result = json.loads(done.outputs["verdict_json"])["remote_run"]
    assert (result["outcome"], result["phase"]) == ("error", "clone"), result
    assert result["log_tail"] != []


def test_probe__commit_that_is_gone__fails_in_the_phase_clone(tale: Story, odd_on_a_real_agent: dict[str, str]) -> None:
    result = by_hand(tale, **{**odd_on_a_real_agent, "commit": "d" * 40})
    assert (result["outcome"], result["phase"]) == ("error", "clone"), result


def test_probe__package_that_does_not_exist__fails_in_the_phase_environment(
    tale_on_real_agents: Story, odd: dict[str, str]
) -> None:
    tale, package = tale_on_real_agents, "nonexistent-package-xyz==9.9"
    result = by_hand(tale, **{**odd, "run_queue": tale.sandbox.queues.code, "run_packages": package})
    assert (result["outcome"], result["phase"]) == ("no_evidence", "environment"), result
    assert any(package in line for line in result["log_tail"])


def test_fork_unapproved__maintainer_then_approves_in_a_comment__runs(played: Play, tale: Story) -> None:
    checked = played("fork-unapproved")
    reviewer = story.outsider(tale, "rita")
    tale.repository.add_to_collaborators("rita", "push")
    story.comment(reviewer, checked.pull, f"/run-remote {checked.commit}\nLooks harmless.")
    result = by_hand(tale, run=checked.job.outputs["pipeline_id"])
    assert (result["outcome"], result["phase"]) == ("passed", ""), result
    assert launched_for(tale, checked.commit) == [result["task"]["id"]]


def test_tests__all_pass__their_task_stays_and_is_no_evidence(tale: Story, odd_on_a_real_agent: dict[str, str]) -> None:
    module = {"run_until": "completion", "run_script": "", "run_module": "pytest -m gpu"}
    result = by_hand(tale, **{**odd_on_a_real_agent, **module})
    assert (result["outcome"], result["phase"], result["candidate"]) == ("passed", "", None), result
    assert end_of(tale, result["task"]["id"]) == ("completed", False)


# --- aborts -----------------------------------------------------------------------------------------------------


def test_check__run_aborted_in_the_web_ui__run_step_and_probe_end(tale: Story, played: Play) -> None:
    abort(tale, played("cancelled"), include_steps=True)


def test_check__run_aborted_in_an_older_web_ui__run_step_and_probe_end(
    tale_on_real_agents: Story, played: Play, quick: dict[str, str]
) -> None:
    abort(tale_on_real_agents, played("cancelled"), include_steps=False, **quick)


def abort(tale: Story, cancelled: Checked, *, include_steps: bool, **settings: str) -> None:
    pull, commit, aborted = cancelled.pull, cancelled.commit, list[float]()

    def act(running: Running) -> None:
        story.launched(tale, commit)
        story.abort(tale, running.pipeline_id, include_steps=include_steps)
        aborted.append(time.monotonic())

    event = job.pull_request_event(tale.sandbox, pull, action="reopened")
    done = job.run(tale.sandbox, event=event, settings={**PROBE, **settings}, on_line=job.once(RUNNING, act))
    while story.unfinished(tale) and time.monotonic() < aborted[0] + ENDS_WITHIN:
        time.sleep(0.5)
    assert story.unfinished(tale) == []
    assert {end_of(tale, task) for task in launched_for(tale, commit)} == {("stopped", True)}
    only_line(done, 4)


# --- seeds ------------------------------------------------------------------------------------------------------


def test_calibrate__script_that_seeds_nothing__reports_another_value_with_each_seed(
    tale: Story, quick: dict[str, str]
) -> None:
    developer.branch(tale.laptop, "seedless")
    developer.commit(tale.laptop, "A script that seeds nothing", files={"seedless.py": SEEDLESS})
    tale.laptop.git("push", "-q", "origin", "HEAD:main")
    names = {"CLEARML_TASK_NAME": "seedless", "CLEARML_CI_RUN_NAME": "seedless", "CLEARML_CI_RUN_SCRIPT": "seedless.py"}
    done = job.run(
        tale.sandbox,
        event={},
        event_name="workflow_dispatch",
        settings={**names, **quick},
        command=("calibrate", "2"),
    )
    assert done.exit_code == 0, done.log
    values = re.findall(r"^seed [12]: accuracy/validation (\S+)", done.log, re.MULTILINE)
    assert len(set(values)) == 2, done.log
