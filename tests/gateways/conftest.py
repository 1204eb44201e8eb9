"""A pull request's people, without agents: a local GitHub and the session's ClearML server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from clearml_ci.settings import Queues
from sandbox import developer, github_server
from sandbox.clearml_access import Access, Client
from sandbox.processes import Process
from sandbox.state import GitHub, Sandbox
from sandbox.story import Story


@pytest.fixture
def tale(tmp_path: Path, access: Access, client: Client, prefix: str) -> Iterator[Story]:
    server = github_server.start(tmp_path / "github")
    github = GitHub(server.url, server.api_url, server.owner_token, workflow_token="")
    owner = developer.connect(github.api_url, github.owner_token)
    repository = developer.create_repository(owner, tmp_path / "developer", project=prefix)
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
    laptop = developer.clone(repository, tmp_path / "developer" / "laptop", access)
    yield Story(sandbox, repository, laptop, client, print)
    server.stop()
