"""action.yml as workflows of another repository use it: this one's examples, and the predecessors' own samples."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from github.PullRequest import PullRequest

from sandbox.scenarios import developer, job, story
from sandbox.scenarios.story import Story
from tests.agents import act_runner
from tests.agents.act_runner import ACTION, Act, Result

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / ".github" / "workflows"
PREDECESSORS = Path(__file__).parent / "predecessors"


@pytest.fixture(scope="module")
def act(tale: Story, tmp_path_factory: pytest.TempPathFactory) -> Act:
    return act_runner.begin(tale, tmp_path_factory.mktemp("act"))


@pytest.fixture(scope="module")
def better(tale: Story) -> PullRequest:
    """A pull request whose commit was trained, and is better than the best."""
    story.ensure_best(tale)
    return story.propose(tale, "better", "Four times the hidden units", hidden_units=64)


def secrets(tale: Story) -> dict[str, str]:
    """Return the secrets under the names that the examples use, and under those of the predecessors' samples."""
    given = tale.sandbox.clearml.environment()
    shorter = {name.removeprefix("CLEARML_API_"): value for name, value in given.items()}
    return {**given, **shorter, "GH_TOKEN": tale.sandbox.github.workflow_token}


def read(path: Path, tale: Story, **marked: Any) -> Any:
    """Return a workflow that uses the action, with its marked values changed and the inputs of the queues added."""
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    queues = tale.sandbox.queues
    ((step,),) = (job["steps"] for job in workflow["jobs"].values())
    step["uses"] = ACTION
    step["with"] |= {
        "controller_queue": queues.controllers,
        "code_queue": queues.code,
        "pipeline_project": tale.sandbox.pipeline_project,
        **marked,
    }
    return workflow


def run(act: Act, workflow: Any, pull: PullRequest, *, event_name: str = "pull_request") -> Result:
    event = job.pull_request_event(act.story.sandbox, pull, action="opened")
    return act.run(workflow, event_name=event_name, event=event, secrets=secrets(act.story))


def test_example__copied_and_not_yet_changed__says_that_its_project_is_unknown(act: Act, better: PullRequest) -> None:
    result = run(act, read(EXAMPLES / "pull-request.yml", act.story), better)
    assert (result.exit_code, result.outputs.get("outcome")) == (1, "error"), result.log
    assert "'my project'" in result.outputs["exit_reason"]


def test_sample__get_stats__comments_on_the_task(act: Act, better: PullRequest) -> None:
    result = run(act, read(PREDECESSORS / "get-stats.yml", act.story), better)
    assert (result.exit_code, result.outputs.get("outcome")) == (0, "passed"), result.log
    assert result.outputs["task_id"] in next(iter(better.get_issue_comments())).body


def test_sample__detect_model_degradation__compares_with_the_best_by_the_actions_own_commit(
    act: Act, better: PullRequest
) -> None:
    marked = {
        "CLEARML_PROJECT": act.story.sandbox.project,
        "CLEARML_TASK_NAME": developer.TASK,
        "CLEARML_SCALAR_TITLE": "accuracy",
        "CLEARML_SCALAR_SERIES": "validation",
        "CLEARML_BEST_TAGNAME": job.BEST_TAG,
    }
    result = run(act, read(PREDECESSORS / "detect-model-degradation.yml", act.story, **marked), better)
    assert (result.exit_code, result.outputs.get("outcome")) == (0, "improved"), result.log
    assert result.outputs["baseline_task_id"]
    assert "improved" in result.summary
    assert result.outputs["comment_url"].startswith(better.html_url)
    assert set(result.outputs) == set(yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["outputs"])
    script = act.story.clearml.call("tasks.get_by_id", task=result.outputs["pipeline_id"])["task"]["script"]
    assert script["version_num"] == job.code_of_agents()[1]
    assert script["repository"].lower().endswith("your-org/clearml-ci.git")


def test_sample__check_remotely_runnable__probes_the_commit(act: Act, better: PullRequest) -> None:
    marked = {
        "QUEUE_NAME": act.story.sandbox.queues.code,
        "code_queue": "",
        "EXECUTION_ENTRYPOINT": "train.py",
        "EXECUTION_ARGS": "epochs=2 seed=7",
    }
    result = run(act, read(PREDECESSORS / "check-remotely-runnable.yml", act.story, **marked), better)
    assert (result.exit_code, result.outputs.get("outcome")) == (0, "passed"), result.log


def test_sample__train_and_comment__trains_and_shows_the_metrics(act: Act, better: PullRequest) -> None:
    result = run(act, read(PREDECESSORS / "train-and-comment.yml", act.story), better)
    assert (result.exit_code, result.outputs.get("outcome")) == (0, "passed"), result.log
    task = act.story.clearml.call("tasks.get_by_id", task=result.outputs["task_id"])["task"]
    assert (task["status"], task["script"]["version_num"]) == ("completed", better.head.sha)


def test_examples__fork__is_checked_by_one_of_them_and_its_code_waits(act: Act, better: PullRequest) -> None:
    tale = act.story
    fork = act_runner.as_person(tale, "contributor").get_repo(tale.sandbox.repository).create_fork()
    tale.laptop.git("push", "-q", fork.clone_url, f"{better.head.sha}:refs/heads/outside")
    pull = tale.repository.create_pull(title="From outside", head="contributor:outside", base="main", body="")
    marked = {"clearml_project": tale.sandbox.project, "clearml_task_name": developer.TASK}
    forks = run(act, read(EXAMPLES / "forks.yml", tale, **marked), pull, event_name="pull_request_target")
    assert (forks.exit_code, forks.outputs.get("outcome")) == (1, "no_evidence"), forks.log
    assert "run-remote" in forks.outputs["exit_reason"]
    assert run(act, read(EXAMPLES / "pull-request.yml", tale, **marked), pull).outputs == {}


def test_action__no_pull_request__installs_its_packages_and_says_what_to_do(act: Act) -> None:
    tale = act.story
    workflow = read(PREDECESSORS / "get-stats.yml", tale)
    workflow[True] = {"workflow_dispatch": {}}
    event = {"repository": tale.repository.raw_data, "ref": "refs/heads/main"}
    result = act_runner.installing(act).run(
        workflow, event_name="workflow_dispatch", event=event, secrets=secrets(tale)
    )
    assert (result.exit_code, result.outputs.get("outcome")) == (1, "error"), result.log
    message = "the event 'workflow_dispatch' is no pull request: run this in a workflow"
    assert re.match(message, result.outputs["exit_reason"])
