"""Checks of pull requests on local servers with real agents, for what they cost: `make bench` and `make profile`."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
from github.PullRequest import PullRequest

from sandbox.runtime import agents, environment, github_access
from sandbox.runtime.agents import Agent, AgentSpec
from sandbox.runtime.clearml_access import Client
from sandbox.runtime.state import Sandbox
from sandbox.scenarios import developer, job, story
from sandbox.scenarios.job import Job
from sandbox.scenarios.story import Story

TASK = "train digits"  # as the sample repository names its training
STAGGER = 0.05  # seconds between two pull requests that are opened concurrently


@dataclass(frozen=True)
class Setup:
    """Agents of a kind: `as_installed` are clearml-agent's own settings, without a GitHub token; `workers` of each."""

    as_installed: bool = False
    workers: int = 1


@dataclass(frozen=True)
class Checks:
    """Running servers and agents, and a repository whose baseline is tagged."""

    tale: Story
    agents: Sequence[Agent]

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
        return own.children_user + own.children_system + sum(_tree_seconds(agent.process.pid) for agent in self.agents)


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
    try:
        with environment.started(directory, with_agents=False, progress=lambda _: None) as sandbox:
            specs = _specs(sandbox, setup)
            started = agents.start(sandbox.clearml, directory / "agents", specs, progress=lambda _: None)
            try:
                tale = story.begin(sandbox, lambda _: None)
                _trained(tale, commit=developer.head(tale.laptop), value=0.96, tags=[job.BEST_TAG])
                progress(f"{len(started)} agents {'as installed' if setup.as_installed else 'with fast settings'}")
                yield Checks(tale, started)
            finally:
                agents.stop(sandbox.clearml, started)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _specs(sandbox: Sandbox, setup: Setup) -> list[AgentSpec]:
    token = github_access.token(sandbox.github, "personal", permissions=environment.JOB_PERMISSIONS)
    reporting = {"GITHUB_TOKEN": token, "GITHUB_API_URL": sandbox.github.api_url}
    common: dict[str, Any] = {"poll_seconds": 0.3, "as_installed": setup.as_installed}
    return [
        AgentSpec(
            f"{name}-{number}",
            queue,
            number=number,
            environment={} if setup.as_installed or name != "steps" else reporting,
            **common,
        )
        for name, queue in (("controllers", sandbox.queues.controllers), ("steps", sandbox.queues.steps))
        for number in range(1, setup.workers + 1)
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
