"""One sandbox for the whole session; each scenario of the demo is played once, and its assertions share it."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox import agents, child, environment, scenarios, story
from sandbox.agents import AgentSpec
from sandbox.job import Job
from sandbox.state import Sandbox
from sandbox.story import Checked, Story

Play = Callable[[str], Checked]
BUILD = Path(__file__).parents[2] / "build"


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Servers, agents and the sample repository; the ClearML server is another one with SERVER=env."""
    server = os.environ.get("SERVER") or environment.EMBEDDED
    with child.running(BUILD / "test-sandbox", server=server, progress=print) as running:
        yield running


@pytest.fixture(scope="session")
def tale(sandbox: Sandbox) -> Story:
    """The story of the sample repository, in which no model is the best yet."""
    return story.begin(sandbox, print)


@pytest.fixture(scope="session")
def played(tale: Story) -> Play:
    """`played("worse")`: a scenario of the demo, as it ended. The first model comes before any best is tagged."""
    ends = {"first-model": scenarios.EVERY["first-model"].play(tale)}

    def play(name: str) -> Checked:
        if name not in ends:
            ends[name] = scenarios.EVERY[name].play(tale)
        return ends[name]

    return play


@contextmanager
def another_agent(
    tale: Story, name: str, *, builds_environments: bool, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """An agent beside those of the sandbox, on a queue of its own; the name of that queue."""
    queue = f"{tale.sandbox.prefix}-{name}".lstrip("-")
    worker = f"{tale.sandbox.prefix or 'tests'}:{name}"
    spec = AgentSpec(name, queue, worker, builds_environments=builds_environments, environment=environment or {})
    running = agents.start(tale.sandbox.clearml, tale.sandbox.directory / "agents", [spec], progress=print)
    try:
        yield queue
    finally:
        agents.stop(tale.sandbox.clearml, running)


def only_line(done: Job, code: int) -> str:
    """The error line of a job that ended with this exit code, in time and without a traceback."""
    errors = [line for line in done.log.splitlines() if line.startswith("::error::")]
    assert done.exit_code == code, done.log
    assert done.seconds < 30
    assert "Traceback" not in done.log
    assert done.outputs["outcome"] == "error"
    (line,) = errors
    return line
