"""Checks of pull requests on local servers with real agents, for what they cost: `make bench` and `make profile`."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
from github.PullRequest import PullRequest

from sandbox.runtime import agents, environment
from sandbox.runtime.agents import AgentSpec
from sandbox.runtime.clearml_access import Client
from sandbox.runtime.state import Sandbox
from sandbox.scenarios import developer, job, story
from sandbox.scenarios.job import Job
from sandbox.scenarios.story import Story
from tools import agents_command

TASK = "train digits"  # as the sample repository names its training
STAGGER = 0.05  # seconds between two pull requests that are opened concurrently


@dataclass(frozen=True)
class Setup:
    """Agents of the controllers' queue, so many as `workers`, and of which kind.

    `as_installed` are clearml-agent's own settings, without a GitHub token; the others are those of `agents`, the
    command.
    """

    as_installed: bool = False
    workers: int = 1


@dataclass(frozen=True)
class Checks:
    """Running servers and agents, and a repository whose baseline is tagged. `roots` are the agents' processes."""

    tale: Story
    setup: Setup
    roots: tuple[int, ...]

    def propose(self, number: int, value: float = 0.95) -> PullRequest:
        """Open a pull request whose head commit has a trained task with this accuracy."""
        pull = story.propose(self.tale, f"change-{number}", f"Change {number}", trained=False, hidden_units=8 + number)
        _trained(self.tale, commit=pull.head.sha, value=value, tags=[])
        return pull

    def check(self, pull: PullRequest, settings: Mapping[str, str | None] | None = None) -> Job:
        """Run the job for a pull request to its end; its folder is its own, so that several run concurrently."""
        sandbox = replace(self.tale.sandbox, directory=self.tale.sandbox.directory / f"job-{pull.number}")
        sandbox.directory.mkdir(exist_ok=True)
        event = job.pull_request_event(sandbox, pull, action="opened")
        return job.run(sandbox, event=event, settings=settings)

    def cpu_seconds(self) -> float:
        """The CPU seconds so far of all agents and their tasks, and of the programs that this process ran."""
        own = psutil.Process().cpu_times()
        return own.children_user + own.children_system + sum(map(_tree_seconds, self.roots))

    @contextmanager
    def with_steps_agent(self) -> Iterator[Checks]:
        """The same with an agent of the steps' queue, which other pipelines than a check need."""
        sandbox = self.tale.sandbox
        with _agents(sandbox, sandbox.directory / "steps", self.setup, controllers=0, steps=1) as roots:
            yield replace(self, roots=(*self.roots, *roots))


def _tree_seconds(pid: int) -> float:
    """The CPU seconds of a process, of its children that live, and of those that have ended."""
    process = psutil.Process(pid)
    return sum(map(_seconds, [process, *process.children(recursive=True)]))


def _seconds(process: psutil.Process) -> float:
    try:
        return float(sum(process.cpu_times()[:4]))
    except psutil.Error:  # it ends just now, and is counted as its parent's
        return 0.0


@contextmanager
def running(directory: Path, setup: Setup, *, progress: Callable[[str], None]) -> Iterator[Checks]:
    """Servers, agents, and a repository with a baseline, below `directory`, which is removed at the end."""
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns of each request that waits for a thread
    kind = "as installed" if setup.as_installed else "of ci_trigger.py agents"
    try:
        progress(f"starting servers, and {setup.workers} agent(s) {kind}")
        with (
            environment.started(directory, with_agents=False, progress=lambda _: None) as sandbox,
            _agents(sandbox, directory / "agents", setup, controllers=setup.workers, steps=0) as roots,
        ):
            tale = story.begin(sandbox, lambda _: None)
            _trained(tale, commit=developer.head(tale.laptop), value=0.96, tags=[job.BEST_TAG])
            yield Checks(tale, setup, roots)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _agents(
    sandbox: Sandbox, directory: Path, setup: Setup, *, controllers: int, steps: int
) -> Iterator[tuple[int, ...]]:
    """Agents of the two queues below `directory`, as long as the block runs; the ids of their processes."""
    if setup.as_installed:
        numbers = {sandbox.queues.controllers: controllers, agents_command.steps_queue(sandbox): steps}
        started = agents.start(sandbox.clearml, directory, _as_installed(numbers), progress=lambda _: None)
        try:
            yield tuple(agent.process.pid for agent in started)
        finally:
            agents.stop(sandbox.clearml, started)
    else:
        with agents_command.running(sandbox, directory, controllers=controllers, steps=steps) as process:
            yield (process,)


def _as_installed(numbers: Mapping[str, int]) -> list[AgentSpec]:
    """So many agents of each queue with clearml-agent's own settings."""
    return [
        AgentSpec(f"{queue}-{number}", queue, number=number, as_installed=True)
        for queue, count in numbers.items()
        for number in range(1, count + 1)
    ]


def _trained(tale: Story, *, commit: str, value: float, tags: list[str]) -> str:
    """The id of a completed task of this commit with this accuracy, as a training leaves it."""
    client: Client = tale.clearml
    sandbox = tale.sandbox
    projects = client.call("projects.get_all", name=f"^{sandbox.project}$")["projects"]
    project = projects[0]["id"] if projects else client.call("projects.create", name=sandbox.project)["id"]
    script = {"repository": tale.repository.clone_url, "version_num": commit, "entry_point": "train.py"}
    given = {"name": TASK, "type": "training", "project": project, "script": script, "tags": tags}
    task = str(client.call("tasks.create", **given)["id"])
    client.call("tasks.started", task=task)
    point = {"type": "training_stats_scalar", "task": task, "metric": "accuracy", "variant": "validation"}
    client.events([{**point, "iter": 1, "value": value}])
    client.call("tasks.completed", task=task)
    return task


def settled(seconds: float = 1.0) -> None:
    """Wait until agents have reported the end of their last tasks."""
    time.sleep(seconds)
