"""The fixtures of every test that needs a server: a pytest plugin, which pyproject.toml names.

A session has one ClearML server, the embedded one or, with SERVER=env, any other; a test has a GitHub of its own.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from github.Issue import Issue

from sandbox.runtime import github_access, laptop, processes, remote_cleanup, sample_repository
from sandbox.runtime.clearml_access import Access, Client
from sandbox.runtime.processes import Process
from sandbox.runtime.state import GitHub, Queues, Sandbox
from sandbox.scenarios.story import Story
from sandbox.servers import clearml_server, github_server
from sandbox.servers.github_server import GitHubServer
from sandbox.testing.hub import Hub, proposed

PREFIX = f"tests-{secrets.token_hex(4)}"


def pytest_configure() -> None:
    """Without this, each request looks for a proxy among all variables: a quarter of the time of a request."""
    processes.reach_loopback_directly()


@pytest.fixture(scope="session")
def access(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    """Addresses and keys of the ClearML server under test."""
    if os.environ.get("SERVER") == "env":
        access = Access.from_environment()
        yield access
        remote_cleanup.delete(Client(access), PREFIX, print)
        return
    server = clearml_server.start(tmp_path_factory.mktemp("clearml"))
    yield Access.from_environment(server.environment())
    server.stop()


@pytest.fixture(scope="session")
def client(access: Access) -> Client:
    """Calls that tests make themselves, to set up and to read back."""
    return Client(access)


@pytest.fixture
def prefix() -> str:
    """The prefix of every name that a test makes on the ClearML server; unique to the test."""
    return f"{PREFIX}-{secrets.token_hex(3)}"


@pytest.fixture
def user_environment(access: Access, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """This process as its user would have it: the server's five variables, and nothing of the machine's owner."""
    for name in [name for name in os.environ if name.startswith(("CLEARML_", "GITHUB_", "GH_"))]:
        monkeypatch.delenv(name)
    environment = {**access.environment(), "CLEARML_CONFIG_FILE": str(tmp_path / "none.conf")}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


@pytest.fixture
def tale(tmp_path: Path, access: Access, client: Client, prefix: str) -> Iterator[Story]:
    server = github_server.start(tmp_path / "github")
    github = GitHub(server.url, server.api_url, server.owner_token, workflow_token="")
    owner = github_access.connect(github.api_url, github.owner_token)
    repository = sample_repository.create(owner, tmp_path / "developer", project=prefix)
    sandbox = Sandbox(
        process=Process.of(os.getpid()),
        clearml=access,
        github=github,
        queues=Queues("controllers", "code"),
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
