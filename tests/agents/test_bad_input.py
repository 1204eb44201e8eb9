"""Failures before and during a check: one clear line, the documented exit code, and never green."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from github.PullRequest import PullRequest

from clearml_ci.github_api.session import PATIENCE
from sandbox.runtime import github_access
from sandbox.runtime.state import Sandbox
from sandbox.scenarios import job, story
from sandbox.scenarios.job import Job, Running
from sandbox.scenarios.remote_runs import PROBE
from sandbox.scenarios.story import Story
from tests.agents.conftest import only_line

REPORTING = {"contents": "read", "pull_requests": "read", "statuses": "write"}


@pytest.fixture(scope="module")
def pull(tale: Story) -> PullRequest:
    """A pull request that passes if nothing is wrong."""
    story.ensure_best(tale)
    checked = story.check(tale, story.propose(tale, "better", "Four times the hidden units", hidden_units=64))
    assert checked.job.exit_code == 0
    return checked.pull


@pytest.fixture(scope="module")
def event(tale: Story, pull: PullRequest) -> dict[str, Any]:
    return job.pull_request_event(tale.sandbox, pull, action="reopened")


@pytest.fixture(scope="module")
def fresh(tale: Story) -> Story:
    """The same, but each job is a new interpreter."""
    return replace(tale, sandbox=replace(tale.sandbox, python=Sandbox.python))


def run(tale: Story, event: dict[str, Any], **settings: str | None) -> Job:
    return job.run(tale.sandbox, event=event, settings=settings)


def closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_trigger__no_server__exits_4_and_names_it(fresh: Story, event: dict[str, Any]) -> None:
    address = closed_port()
    line = only_line(run(fresh, event, CLEARML_API_HOST=address), 4)
    assert f"no ClearML server answers at {address}" in line
    assert "CLEARML_API_HOST" in line


def test_trigger__wrong_keys__exits_4_without_showing_them(fresh: Story, event: dict[str, Any]) -> None:
    done = run(fresh, event, CLEARML_API_SECRET_KEY="not-the-secret-key")  # noqa: S106
    assert "refused the keys" in only_line(done, 4)
    assert "not-the-secret-key" not in done.log
    assert fresh.sandbox.clearml.access_key not in done.log


def test_trigger__no_server_configured__exits_2_and_names_the_variables(fresh: Story, event: dict[str, Any]) -> None:
    nothing = dict.fromkeys(fresh.sandbox.clearml.environment())
    line = only_line(run(fresh, event, **nothing), 2)
    assert "CLEARML_API_ACCESS_KEY" in line


@pytest.mark.parametrize("kind", ["CONTROLLER", "STEPS", "CODE"])
def test_trigger__unknown_queue__exits_2_and_names_those_with_workers(
    tale: Story, event: dict[str, Any], kind: str
) -> None:
    line = only_line(run(tale, event, **PROBE, **{f"CLEARML_CI_{kind}_QUEUE": "gpuu"}), 2)
    assert "no queue 'gpuu': correct the name, or start agents for it with `ci_trigger.py agents`; queues with " in line
    assert tale.sandbox.queues.code in line
    names = [queue["name"] for queue in tale.clearml.call("queues.get_all", only_fields=["name"])["queues"]]
    assert "gpuu" not in names


@pytest.mark.parametrize("kind", ["STEPS", "CODE"])
def test_trigger__queue_without_workers__exits_4_with_the_command_that_starts_one(
    tale: Story, event: dict[str, Any], kind: str
) -> None:
    idle = f"{tale.sandbox.prefix}-idle-{kind.lower()}"
    tale.clearml.call("queues.create", name=idle)
    line = only_line(run(tale, event, **PROBE, **{f"CLEARML_CI_{kind}_QUEUE": idle}), 4)
    assert f"no worker listens to the queue '{idle}'" in line
    assert f"clearml-agent daemon --detached --queue {idle}" in line


def test_trigger__one_queue_with_one_worker__is_refused_before_it_deadlocks(tale: Story, event: dict[str, Any]) -> None:
    queue = tale.sandbox.queues.controllers
    assert "deadlock" in only_line(run(tale, event, CLEARML_CI_STEPS_QUEUE=queue), 2)


def test_trigger__code_on_the_queue_of_the_steps__is_refused(tale: Story, event: dict[str, Any]) -> None:
    queue = tale.sandbox.queues.code
    line = only_line(run(tale, event, **PROBE, CLEARML_CI_STEPS_QUEUE=queue), 2)
    assert f"the queue '{queue}' is the trusted steps' as well" in line


def test_trigger__code_on_the_queue_of_the_controllers__is_refused(tale: Story, event: dict[str, Any]) -> None:
    queue = tale.sandbox.queues.controllers
    line = only_line(run(tale, event, **PROBE, CLEARML_CI_CODE_QUEUE=queue), 2)
    assert f"the queue '{queue}' is the controllers' as well" in line


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("EXECUTION_ARGS", "epochs=1 fast", "EXECUTION_ARGS has 'fast': expected name=value"),
        ("CLEARML_CI_QUEUE_LIMIT", "soon", "CLEARML_CI_QUEUE_LIMIT is 'soon'"),
    ],
    ids=["args", "limit"],
)
def test_trigger__malformed_input_of_a_remote_run__exits_2_and_names_it(
    tale: Story, event: dict[str, Any], variable: str, value: str, message: str
) -> None:
    assert message in only_line(run(tale, event, **PROBE, **{variable: value}), 2)


def test_trigger__unknown_project__exits_2_with_the_nearest_name(tale: Story, event: dict[str, Any]) -> None:
    line = only_line(run(tale, event, CLEARML_PROJECT=tale.sandbox.project + "s"), 2)
    assert f"did you mean '{tale.sandbox.project}'?" in line


@pytest.mark.parametrize("sha", ["", "main", "a" * 39, "a" * 40 + "\n::set-output name=outcome::passed"])
def test_trigger__empty_or_malformed_commit__exits_2(tale: Story, event: dict[str, Any], sha: str) -> None:
    head = {**event["pull_request"]["head"], "sha": sha}
    changed = {**event, "pull_request": {**event["pull_request"], "head": head}}
    assert "pull_request.head.sha" in only_line(run(tale, changed), 2)


def test_trigger__event_that_is_no_pull_request__exits_2(tale: Story) -> None:
    done = job.run(tale.sandbox, event={"ref": "refs/heads/main"}, event_name="workflow_dispatch")
    assert "the event 'workflow_dispatch' is no pull request" in only_line(done, 2)


def test_trigger__threshold_that_is_no_number__exits_2(fresh: Story, event: dict[str, Any]) -> None:
    assert "CLEARML_SCALAR_THRESHOLD is 'three'" in only_line(run(fresh, event, CLEARML_SCALAR_THRESHOLD="three"), 2)


def test_trigger__wrong_input__starts_nothing(tale: Story, event: dict[str, Any]) -> None:
    def controllers() -> int:
        fields = ["id", "project.name"]
        found = tale.clearml.call("tasks.get_all_ex", type=["controller"], only_fields=fields, search_hidden=True)
        return sum(task["project"]["name"].startswith(tale.sandbox.prefix) for task in found["tasks"])

    before = controllers()
    only_line(run(tale, event, CLEARML_SCALAR_THRESHOLD="three"), 2)
    only_line(run(tale, event, CLEARML_CI_STEPS_QUEUE="gpuu"), 2)
    only_line(run(tale, event, CLEARML_BEST_TAGNAME="-Best"), 2)
    assert controllers() == before


def test_check__job_cancelled_while_its_run_is_queued__stops_it_and_sets_the_status(
    tale: Story, event: dict[str, Any]
) -> None:
    """The queue has a worker that takes nothing from it."""
    name = f"{tale.sandbox.prefix}-busy"
    queue = tale.clearml.call("queues.create", name=name)["id"]
    tale.clearml.call("workers.register", worker=f"sandbox:{name}", queues=[queue], timeout=600)
    cancel(tale, event, "run: queued", CLEARML_CI_CONTROLLER_QUEUE=name)


def test_check__job_cancelled_after_its_first_step__stops_run_and_steps_and_sets_the_status(
    tale_on_real_agents: Story, event: dict[str, Any]
) -> None:
    cancel(tale_on_real_agents, event, "find_task: completed")


def cancel(tale: Story, event: dict[str, Any], moment: str, **settings: str) -> None:
    """A runner that is cancelled sends SIGTERM and gives a few seconds."""
    done = job.run(tale.sandbox, event=event, settings=settings, on_line=job.once(moment, Running.terminate))
    assert moment in done.log.splitlines()
    assert "cancelled" in only_line(done, 4)
    assert story.unfinished(tale) == []
    commit = tale.repository.get_commit(event["pull_request"]["head"]["sha"])
    assert commit.get_combined_status().statuses[0].description == "cancelled; the run was stopped"


@pytest.fixture(scope="module")
def own_steps_queue(tale_on_real_agents: Story, builds_environments: bool) -> Iterator[str]:
    """A steps' agent whose token may not comment; with AGENTS=real it builds its environments, as users' agents do."""
    tale = tale_on_real_agents
    token = github_access.token(
        tale.sandbox.github, "workflow", repository=tale.sandbox.repository, permissions=REPORTING
    )
    variables = {"GITHUB_TOKEN": token, "GITHUB_API_URL": tale.sandbox.github.api_url}
    built = builds_environments
    with story.another_agent(tale, "ci-silent", builds_environments=built, environment=variables) as queue:
        yield queue


def test_check__comment_refused_to_the_steps_agent__warns_and_keeps_the_verdict(
    tale_on_real_agents: Story, own_steps_queue: str
) -> None:
    tale = tale_on_real_agents
    story.ensure_best(tale)
    pull = story.propose(tale, "worse", "A much smaller model", hidden_units=8, learning_rate=0.003)
    checked = story.check(tale, pull, settings={"CLEARML_CI_STEPS_QUEUE": own_steps_queue})
    found = (checked.job.exit_code, checked.verdict["outcome"], checked.status)
    assert found == (1, "regressed", "failure"), checked.job.log
    assert "::warning::ClearML CI: GitHub refused the comment" in checked.job.log
    assert "`pull-requests: write`" in checked.job.log
    (run,) = tale.repository.get_commit(checked.commit).get_check_runs()
    for text in (run.output.summary, checked.job.summary):
        assert "\n> [!WARNING]\n> GitHub refused the comment" in text
    assert (run.conclusion, "GitHub refused" in str(checked.verdict)) == ("failure", False)


def test_trigger__github_does_not_answer__exits_4_and_starts_nothing(tale: Story, event: dict[str, Any]) -> None:
    """The policy of the base branch is unknown then, and must not be bypassed. The job waits to set its status."""
    line = only_line(run(tale, event, GITHUB_API_URL=closed_port()), 4, within=PATIENCE + 30)
    assert "no response from GitHub for the branch 'main'" in line
    assert story.unfinished(tale) == []


def test_check__deadline_passed__stops_run_and_steps(tale_on_real_agents: Story, event: dict[str, Any]) -> None:
    """The last on these agents: one whose first clone is interrupted goes on to use what is there of it."""
    done = run(tale_on_real_agents, event, CLEARML_CI_DEADLINE="3")
    assert "not ended in time" in only_line(done, 4)
    assert story.unfinished(tale_on_real_agents) == []
