"""One sandbox for the whole test run. A file of tests has a repository and a project of its own there.

It plays each of the demo's scenarios that it needs once. Most of them run on light agents (light_agent.py), in
processes of fork_server.py. What is about agents, and a share of everything else, runs on real ones: clearml-agent
itself, and a fresh interpreter for every program. With AGENTS=real everything does.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.runtime import environment
from sandbox.runtime.state import Queues, Sandbox
from sandbox.scenarios import catalogue, story
from sandbox.scenarios.job import Job
from sandbox.scenarios.story import Checked, Story
from tests.end_to_end import fork_server, shared_sandbox

Play = Callable[[str], Checked]
BUILD = Path(__file__).parents[2] / "build"
LIGHT_AGENT = str(Path(__file__).with_name("light_agent.py"))
# The scenarios that are played on real agents in any case.
ON_REAL_AGENTS = {*catalogue.SHORT_STORY, "probe-ok", "probe-broken", "cancelled", "rollback"}


@pytest.fixture(scope="session")
def shared() -> Iterator[Sandbox]:
    """The servers of all processes of this test run; the ClearML server is another one with SERVER=env."""
    server = os.environ.get("SERVER") or environment.EMBEDDED
    with shared_sandbox.joined(BUILD / "test-sandbox", server=server) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def real_agents(shared: Sandbox, worker_id: str) -> Iterator[Sandbox]:
    """Real agents, on queues of this process's own."""
    with environment.staffed(_team(shared, f"{worker_id}-real")) as team:
        yield team


@pytest.fixture(scope="session")
def light_agents(shared: Sandbox, worker_id: str, request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Light agents, on queues of this process's own, and a quick start of every other program."""
    if os.environ.get("AGENTS") == "real":
        yield request.getfixturevalue("real_agents")
        return
    with fork_server.running(BUILD / f"forks-{worker_id}") as python:
        team = replace(_team(shared, f"{worker_id}-light"), python=python, agent=(*python, LIGHT_AGENT))
        with environment.staffed(team):
            yield team


def _team(shared: Sandbox, name: str) -> Sandbox:
    """The sandbox with the names of other queues, and another folder for their agents."""
    names = (f"{shared.prefix}-{name}-{queue}".lstrip("-") for queue in ("controllers", "steps", "code"))
    return replace(shared, queues=Queues(*names), directory=shared.directory / name)


@pytest.fixture(scope="module")
def tale(light_agents: Sandbox, shared: Sandbox, request: pytest.FixtureRequest) -> Story:
    """A repository and a project in which no model is the best yet, with light agents."""
    name = Path(request.path).stem.removeprefix("test_").replace("_", "-")
    return story.begin(_with_agents(environment.beside(shared, name), light_agents), print)


@pytest.fixture(scope="module")
def tale_on_real_agents(tale: Story, real_agents: Sandbox) -> Story:
    """The same, with real agents."""
    return replace(tale, sandbox=_with_agents(tale.sandbox, real_agents))


def _with_agents(sandbox: Sandbox, team: Sandbox) -> Sandbox:
    return replace(sandbox, queues=team.queues, python=team.python, agent=team.agent)


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest) -> Play:
    """`played("worse")`: a scenario of the demo, as it ended."""
    ends: dict[str, Checked] = {}

    def play(name: str) -> Checked:
        if name not in ends:
            tale = request.getfixturevalue("tale_on_real_agents" if name in ON_REAL_AGENTS else "tale")
            ends[name] = catalogue.EVERY[name].play(tale)
        return ends[name]

    return play


def only_line(done: Job, code: int) -> str:
    """The error line of a job that ended with this exit code, in time and without a traceback."""
    errors = [line for line in done.log.splitlines() if line.startswith("::error::")]
    assert done.exit_code == code, done.log
    assert done.seconds < 30
    assert "Traceback" not in done.log
    assert done.outputs["outcome"] == "error"
    (line,) = errors
    return line
