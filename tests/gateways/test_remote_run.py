"""The step remote_run without an agent: whose approval counts, and what it leaves if no agent takes its task."""

import json
from pathlib import Path

import pytest
from github.PullRequest import PullRequest

from clearml_ci.clearml_api import pipeline_runs
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.step_results import RemoteRunResult
from clearml_ci.decisions import fork_approval
from clearml_ci.github_api import session as github_session
from clearml_ci.job import settings
from clearml_ci.job.settings import Settings
from clearml_ci.operations import pull_request_code
from clearml_ci.report import comment
from sandbox.runtime import github_access
from sandbox.runtime.clearml_access import Client
from sandbox.runtime.environment import JOB_PERMISSIONS
from sandbox.scenarios import developer, job, story
from sandbox.scenarios.remote_runs import PROBE
from sandbox.scenarios.story import Story
from steps import remote_run
from tests.gateways import services


def of_event(tale: Story, directory: Path, pull: PullRequest, action: str, **variables: str) -> Settings:
    """The job's settings from an event of this pull request as it stands."""
    path = directory / "event.json"
    path.write_text(json.dumps(job.pull_request_event(tale.sandbox, pull, action=action)))
    given = {name: value for name, value in PROBE.items() if value}
    runner = {
        "GITHUB_EVENT_NAME": "pull_request_target",
        "GITHUB_EVENT_PATH": str(path),
        "GITHUB_API_URL": tale.sandbox.github.api_url,
        "CLEARML_CI_PIPELINE_PROJECT": tale.sandbox.prefix,
        "CLEARML_CI_RUN_PROJECT": tale.sandbox.project,
    }
    return settings.from_environment({**runner, **given, **variables})


def agents_token(tale: Story) -> str:
    """The token of the steps' agent."""
    return github_access.token(
        tale.sandbox.github, "personal", repository=tale.sandbox.repository, permissions=JOB_PERMISSIONS
    )


# --- forks ------------------------------------------------------------------------------------------------------


def refusal(tale: Story, directory: Path, pull: PullRequest, action: str = "synchronize") -> str | None:
    """Reason why the code of this pull request must not run now, or None."""
    settings = of_event(tale, directory, pull, action)
    assert settings.remote_run is not None
    hub = github_session.connect(
        api_url=tale.sandbox.github.api_url, token=agents_token(tale), repository=tale.sandbox.repository
    )
    return pull_request_code.approval_error(hub, settings.check, settings.remote_run)


def from_fork(tale: Story, login: str = "mallory") -> tuple[Story, PullRequest]:
    stranger = story.outsider(tale, login)
    return stranger, story.propose(stranger, "mine", "Try mine", trained=False, epochs=3)


@pytest.mark.parametrize(
    ("role", "counts"),
    [("pull", False), ("triage", False), ("push", True), ("maintain", True), ("admin", True)],
)
def test_refusal__fork_with_a_comment_of_approval__depends_on_who_may_write(
    tale: Story, tmp_path: Path, role: str, counts: bool
) -> None:
    _, pull = from_fork(tale)
    reviewer = story.outsider(tale, "rita")
    tale.repository.add_to_collaborators("rita", role)
    story.comment(reviewer, pull, f"/run-remote {pull.head.sha}")
    assert (refusal(tale, tmp_path, pull) is None) == counts


def test_refusal__author_of_the_fork_who_may_write__does_not_count(tale: Story, tmp_path: Path) -> None:
    author, pull = from_fork(tale, "rita")
    tale.repository.add_to_collaborators("rita", "push")
    story.comment(author, pull, f"/run-remote {pull.head.sha}")
    story.label(author, pull)
    reason = refusal(tale, tmp_path, pull, "labeled")
    assert reason is not None
    assert f"/run-remote {pull.head.sha}" in reason


def test_refusal__commit_pushed_after_the_approval__needs_one_of_its_own(tale: Story, tmp_path: Path) -> None:
    stranger, pull = from_fork(tale)
    story.comment(tale, pull, f"/run-remote {pull.head.sha}")
    story.label(tale, pull)
    assert refusal(tale, tmp_path, pull) is None
    newer = story.push(stranger, "And now for something else", trained=False, epochs=4)
    assert newer in (refusal(tale, tmp_path, pull) or "")
    story.label(tale, pull)
    assert refusal(tale, tmp_path, pull, "labeled") is None
    assert refusal(tale, tmp_path, pull, "reopened") is None


def test_refusal__push_between_look_and_click__names_the_line_to_paste(tale: Story, tmp_path: Path) -> None:
    stranger, pull = from_fork(tale)
    newer = story.push(stranger, "And now for something else", trained=False, epochs=4)
    tale.repository.get_issue(pull.number).add_to_labels("run-remote")
    reason = refusal(tale, tmp_path, pull, "labeled") or ""
    assert "the label 'run-remote' does not count, because the label was added" in reason
    assert reason.endswith(f"review this commit, then comment: /run-remote {newer}")


def test_refusal__push_after_the_label__is_not_what_was_labeled(tale: Story, tmp_path: Path) -> None:
    """The event of the label may be older than the push."""
    stranger, pull = from_fork(tale)
    story.label(tale, pull)
    story.push(stranger, "And now for something else", trained=False, epochs=4)
    developer.age_pushes(pull.head.repo, seconds=-10)
    assert "pushed to after the label was added" in (refusal(tale, tmp_path, pull, "labeled") or "")


def test_refusal__label_that_was_taken_off__approves_nothing_more(tale: Story, tmp_path: Path) -> None:
    _, pull = from_fork(tale)
    story.label(tale, pull)
    tale.repository.get_issue(pull.number).remove_from_labels("run-remote")
    assert refusal(tale, tmp_path, pull, "reopened") is not None


def test_refusal__command_in_a_comment_of_ours__approves_nothing(tale: Story, tmp_path: Path) -> None:
    """The end of the console of an approved commit stands in our comment, and its author may write."""
    _, pull = from_fork(tale)
    own = github_access.token(tale.sandbox.github, "personal", login="octo-owner")
    command = f"/run-remote {pull.head.sha}"
    ours = github_session.connect(api_url=tale.sandbox.github.api_url, token=own, repository=tale.sandbox.repository)
    for text in (command, f"{comment.marker(tale.sandbox.repository, pull.number)}\n{command}"):
        ours.repository.get_issue(pull.number).create_comment(text)
    settings = of_event(tale, tmp_path, pull, "synchronize")
    assert settings.remote_run is not None
    assert pull_request_code.approval_error(ours, settings.check, settings.remote_run) is not None


def test_refusal__command_of_an_app_that_may_write__approves_nothing(tale: Story, tmp_path: Path) -> None:
    _, pull = from_fork(tale)
    app = github_access.token(tale.sandbox.github, "app", repository=tale.sandbox.repository, login="helper")
    written = github_session.connect(api_url=tale.sandbox.github.api_url, token=app, repository=tale.sandbox.repository)
    tale.repository.add_to_collaborators("helper[bot]", "push")
    written.repository.get_issue(pull.number).create_comment(f"/run-remote {pull.head.sha}")
    assert refusal(tale, tmp_path, pull) is not None


def test_refusal__another_label__approves_nothing(tale: Story, tmp_path: Path) -> None:
    _, pull = from_fork(tale)
    story.label(tale, pull, "bug")
    assert refusal(tale, tmp_path, pull, "labeled") is not None


def test_refusal__deleted_fork__is_explained(tale: Story, tmp_path: Path) -> None:
    stranger, pull = from_fork(tale)
    story.label(tale, pull)
    stranger.laptop.origin.delete()
    assert refusal(tale, tmp_path, pull, "labeled") == fork_approval.DELETED


def test_refusal__branch_of_the_repository_itself__needs_no_approval(tale: Story, tmp_path: Path) -> None:
    pull = story.propose(tale, "ours", "Ours", trained=False, epochs=3)
    assert refusal(tale, tmp_path, pull, "opened") is None


# --- the queue ----------------------------------------------------------------------------------------------------


@pytest.fixture
def clearml(clearml: ClearML, tale: Story, monkeypatch: pytest.MonkeyPatch) -> ClearML:
    """The steps' agent's session, with its means to read from GitHub."""
    monkeypatch.setenv("GITHUB_TOKEN", agents_token(tale))
    monkeypatch.setenv("GITHUB_API_URL", tale.sandbox.github.api_url)
    return clearml


def stepped(
    clearml: ClearML, tale: Story, directory: Path, *, controllers: str = "", **changed: str
) -> RemoteRunResult:
    """The result of the step for a pull request of our own, with some of the run's arguments edited.

    `controllers` is the name of the queue that the run waits in.
    """
    pull = story.propose(tale, "ours", "Ours", trained=False, epochs=3)
    arguments = {**of_event(tale, directory, pull, "opened").arguments, **changed}
    where = tale.clearml.call("projects.create", name=f"{tale.sandbox.prefix}/{tale.sandbox.repository}")["id"]
    section = {name: {"section": "Args", "name": name, "value": value} for name, value in arguments.items()}
    run = tale.clearml.call(
        "tasks.create", name="pr_check #1", type="controller", project=where, hyperparams={"Args": section}
    )["id"]
    if controllers:
        tale.clearml.call("tasks.enqueue", task=run, queue_name=controllers)
    return remote_run.remote_run(services.of_agent(clearml), pipeline_runs.read(clearml, run))


@pytest.fixture
def busy_queue(client: Client, prefix: str) -> str:
    """A queue whose only worker never takes anything."""
    queue = client.call("queues.create", name=f"{prefix}-busy")["id"]
    client.call("workers.register", worker=f"{prefix}:busy", queues=[queue])
    return f"{prefix}-busy"


def test_remote_run__nobody_takes_the_task_in_time__is_told_and_leaves_nothing_in_the_queue(
    clearml: ClearML, tale: Story, tmp_path: Path, busy_queue: str
) -> None:
    result = stepped(clearml, tale, tmp_path, run_queue=busy_queue, run_queue_limit="1")
    assert (result["outcome"], result["phase"]) == ("error", "queue")
    assert f"no agent took the task from the queue '{busy_queue}' within 1 s" in result["reason"]
    assert result["task"] is not None
    task = tale.clearml.call("tasks.get_by_id", task=result["task"]["id"])["task"]
    assert (task["status"], "archived" in task["system_tags"]) == ("stopped", True)
    (queue,) = tale.clearml.call("queues.get_all", name=f"^{busy_queue}$")["queues"]
    assert queue["entries"] == []


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("busy", "the queue '{0}-busy' is the controllers' as well"),
        ("other", "the agent {0}:busy serves '{0}-busy' and"),
    ],
    ids=["queue", "agent"],
)
def test_remote_run__edited_queue_of_the_controllers_or_their_agent__launches_nothing(
    clearml: ClearML, tale: Story, tmp_path: Path, client: Client, busy_queue: str, prefix: str, named: str, words: str
) -> None:
    """A rerun: the job itself refuses both before it starts anything."""
    other = client.call("queues.create", name=f"{prefix}-other")["id"]
    (busy,) = client.call("queues.get_all", name=f"^{busy_queue}$")["queues"]
    client.call("workers.register", worker=f"{prefix}:busy", queues=[busy["id"], other])
    queue, limit = f"{prefix}-{named}", "1"
    result = stepped(clearml, tale, tmp_path, controllers=busy_queue, run_queue=queue, run_queue_limit=limit)
    assert (result["outcome"], result["phase"], result["task"]) == ("error", "queue", None)
    assert words.format(prefix) in result["reason"]


@pytest.mark.parametrize("exists", [True, False], ids=["no-worker", "unknown"])
def test_remote_run__queue_that_nobody_listens_to__launches_nothing_and_makes_no_queue(
    clearml: ClearML,
    tale: Story,
    tmp_path: Path,
    prefix: str,
    exists: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An edited rerun: the trigger itself refuses both before it starts anything."""
    name = f"{prefix}-idle"
    if exists:
        tale.clearml.call("queues.create", name=name)
    result = stepped(clearml, tale, tmp_path, run_queue=name)
    assert (result["outcome"], result["phase"], result["task"]) == ("error", "queue", None)
    assert name in result["reason"]
    assert "queues with workers: " not in result["reason"]
    assert "queues with workers: " in capsys.readouterr().out  # the step's console
    assert bool(tale.clearml.call("queues.get_all", name=f"^{name}$")["queues"]) == exists


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"run_args": "epochs"}, "run_args has 'epochs': expected name=value"),
        ({"run_queue_limit": "soon"}, "run_queue_limit is 'soon': expected a number of seconds"),
        ({"run_progress_limit": "nan"}, "run_progress_limit is 'nan': expected a number of seconds"),
        ({"run_queue": "ci-steps", "_steps_queue": "ci-steps"}, "the queue 'ci-steps' is the trusted steps' as well"),
        ({"run_script": "../train.py"}, "expected a path relative to the repository's root"),
        ({"run_requirements": "missing.txt"}, "the requirements file 'missing.txt' could not be read"),
    ],
    ids=["args", "queue-limit", "progress-limit", "steps-queue", "outside", "requirements"],
)
def test_remote_run__rerun_with_arguments_that_make_no_sense__is_told_and_launches_nothing(
    clearml: ClearML, tale: Story, tmp_path: Path, changed: dict[str, str], words: str
) -> None:
    result = stepped(clearml, tale, tmp_path, **changed)
    assert (result["outcome"], result["phase"], result["task"]) == ("error", "settings", None)
    assert words in result["reason"]
