"""One sandbox for the whole test run; a file of tests has its own repository, project, queues and agents there.

A file plays each of the demo's scenarios that it needs once. Most of them run on light agents (light_agent.py). What is
about agents, and a share of everything else, runs on real ones, which take six times the processor's time: a check,
a rerun, a probe, a deadline, aborts. Jobs and trainings are programs of fork_server.py. With AGENTS=real all agents are
real, and each program has a new interpreter.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.runtime import environment, stop_previous
from sandbox.runtime.clearml_access import Access
from sandbox.runtime.state import Queues, Sandbox
from sandbox.scenarios import catalogue, story
from sandbox.scenarios.job import Job
from sandbox.scenarios.story import Checked, Story
from tests.agents import fork_server, makefile, shared_sandbox
from tests.agents.makefile import Make

Play = Callable[[str], Checked]
BUILD = Path(__file__).parents[2] / "build"
LIGHT_AGENT = str(Path(__file__).with_name("light_agent.py"))
# The scenarios that are played on real agents in any case.
ON_REAL_AGENTS = {"better", "probe-ok"}


@pytest.fixture(scope="session")
def python(worker_id: str) -> Iterator[tuple[str, ...]]:
    """The beginning of the command that runs jobs, trainings and light agents."""
    if os.environ.get("AGENTS") == "real":
        yield Sandbox.python
        return
    with fork_server.running(BUILD / f"forks-{worker_id}") as command:
        yield command


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone in which nothing has been built yet."""
    directory = makefile.cloned(tmp_path_factory.mktemp("clone"))
    yield directory
    stop_previous.stop(directory / "build" / "sandbox")


@pytest.fixture(scope="module")
def make(clone: Path, access: Access) -> Make:
    """Run a make command in the clone, with the packages of this environment; return its output."""
    return makefile.of(clone, access)


@pytest.fixture(scope="session")
def shared() -> Iterator[Sandbox]:
    """The servers of all processes of this test run; the ClearML server is another one with SERVER=env."""
    server = os.environ.get("SERVER") or environment.EMBEDDED
    with shared_sandbox.joined(BUILD / "test-sandbox", server=server) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def begun(shared: Sandbox, python: tuple[str, ...], request: pytest.FixtureRequest) -> Story:
    """A repository, and a project in which no model is the best yet; no agent runs."""
    name = Path(request.path).stem.replace("_", "-")
    return story.begin(replace(environment.beside(shared, name), python=python), print)


@pytest.fixture(scope="module")
def builds_environments() -> bool:
    """Whether the real agent of pull-request code builds an environment for each task, as those of users do."""
    return os.environ.get("AGENTS") == "real"


@pytest.fixture(scope="module")
def tale_on_real_agents(begun: Story, builds_environments: bool) -> Iterator[Story]:
    """The story of the sample repository, with real agents."""
    sandbox = begun.sandbox
    queues = Queues(*(f"{name}-real" for name in vars(sandbox.queues).values()))
    directory = sandbox.directory.with_name(f"{sandbox.directory.name}-real")
    team = replace(sandbox, queues=queues, directory=directory)
    with environment.staffed(team, builds_environments=builds_environments):
        yield replace(begun, sandbox=team)


@pytest.fixture(scope="module")
def tale(begun: Story, request: pytest.FixtureRequest) -> Iterator[Story]:
    """The same story, with light agents."""
    if os.environ.get("AGENTS") == "real":
        yield request.getfixturevalue("tale_on_real_agents")
        return
    team = replace(begun.sandbox, agent=(*begun.sandbox.python, LIGHT_AGENT))
    with environment.staffed(team):
        yield replace(begun, sandbox=team)


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


def only_line(done: Job, code: int, *, within: float = 30) -> str:
    """The error line of a job that ended with this exit code, in so many seconds and without a traceback."""
    errors = [line for line in done.log.splitlines() if line.startswith("::error::")]
    assert done.exit_code == code, done.log
    assert done.seconds < within
    assert "Traceback" not in done.log
    assert done.outputs["outcome"] == "error"
    (line,) = errors
    return line
