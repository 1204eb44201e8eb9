"""A project of a test's own on the ClearML server, the product's session with it, and people around a local GitHub."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from github.Issue import Issue

from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.session import ClearML
from sandbox.runtime import github_access, laptop, sample_repository
from sandbox.runtime.clearml_access import Access, Client
from sandbox.runtime.processes import Process
from sandbox.runtime.state import GitHub, Queues, Sandbox
from sandbox.scenarios.story import Story
from sandbox.servers import github_server
from sandbox.servers.github_server import GitHubServer
from tests.gateways.hub import Hub, proposed

COMMIT = "c" * 40


@pytest.fixture
def clearml(user_environment: dict[str, str]) -> ClearML:  # noqa: ARG001  the session reads it
    return clearml_session.connect()


@dataclass(frozen=True)
class Project:
    """A project of the test's own, and a hand to put tasks into it."""

    client: Client
    id: str
    name: str

    def task(self, *, commit: str = COMMIT, name: str = "train", end: str | None = "completed", **more: Any) -> str:
        script = {"repository": "https://github.com/o/n.git", "version_num": commit, "diff": ""}
        created = self.client.call(
            "tasks.create", name=name, type="training", project=self.id, **{"script": script, **more}
        )["id"]
        if end:
            self.client.call("tasks.started", task=created)
            self.client.call(f"tasks.{end}", task=created)
        return str(created)

    def step(self, run: str, name: str) -> str:
        """A draft step of a run, marked as the controller does."""
        step = self.task(end=None, name=name, parent=run)
        mark = {"clearml_ci_task": step, "clearml_ci_run": run, "clearml_ci_purpose": "step"}
        self.client.call("tasks.edit", task=step, runtime=mark)
        return step

    def report(self, task: str, *values: float, title: str = "accuracy", series: str = "validation") -> None:
        self.client.events(
            [
                {
                    "type": "training_stats_scalar",
                    "task": task,
                    "iter": iteration,
                    "metric": title,
                    "variant": series,
                    "value": value,
                    "allow_locked": True,
                }
                for iteration, value in enumerate(values)
            ]
        )


@pytest.fixture
def project(client: Client, prefix: str) -> Project:
    name = f"{prefix} digits"
    return Project(client, client.call("projects.create", name=name)["id"], name)


@pytest.fixture
def tale(tmp_path: Path, access: Access, client: Client, prefix: str) -> Iterator[Story]:
    server = github_server.start(tmp_path / "github")
    github = GitHub(server.url, server.api_url, server.owner_token, workflow_token="")
    owner = github_access.connect(github.api_url, github.owner_token)
    repository = sample_repository.create(owner, tmp_path / "developer", project=prefix)
    sandbox = Sandbox(
        process=Process.of(os.getpid()),
        agents=(),
        clearml=access,
        github=github,
        queues=Queues("controllers", "steps", "code"),
        repository=repository.full_name,
        project=prefix,
        pipeline_project=prefix,
        prefix=prefix,
        directory=tmp_path,
    )
    clone = laptop.clone(repository, tmp_path / "developer" / "laptop", access)
    yield Story(sandbox, repository, clone, client, print)
    server.stop()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """The local GitHub with a pull request, #1; files that need another one have their own."""
    made = proposed(tmp_path)
    yield made
    made.server.stop()


@pytest.fixture
def server(hub: Hub) -> GitHubServer:
    return hub.server


@pytest.fixture
def issue(hub: Hub) -> Issue:
    """The pull request's conversation, as its owner sees it."""
    return hub.repository.get_issue(1)
