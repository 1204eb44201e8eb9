"""One sandbox for the whole session; each scenario of the demo is played once, and its assertions share it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.runtime import child, environment
from sandbox.runtime.state import Sandbox
from sandbox.scenarios import catalogue, story
from sandbox.scenarios.job import Job
from sandbox.scenarios.story import Checked, Story
from sandbox.scenarios.story import another_agent as another_agent

Play = Callable[[str], Checked]
BUILD = Path(__file__).parents[2] / "build"


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Servers, agents and the sample repository; the ClearML server is another one with SERVER=env."""
    server = os.environ.get("SERVER") or environment.EMBEDDED
    # One for each of the processes that share the files of tests (pytest-xdist).
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    with child.running(BUILD / f"test-sandbox{worker}", server=server, progress=print) as running:
        yield running


@pytest.fixture(scope="session")
def tale(sandbox: Sandbox) -> Story:
    """The story of the sample repository, in which no model is the best yet."""
    return story.begin(sandbox, print)


@pytest.fixture(scope="session")
def played(tale: Story) -> Play:
    """`played("worse")`: a scenario of the demo, as it ended. The first model comes before any best is tagged."""
    ends = {"first-model": catalogue.EVERY["first-model"].play(tale)}

    def play(name: str) -> Checked:
        if name not in ends:
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
