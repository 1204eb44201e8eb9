"""The servers that the tests share: one ClearML server a session, the embedded one or, with SERVER=env, any other."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.runtime import remote_leftovers
from sandbox.runtime.clearml_access import Access, Client
from sandbox.servers import clearml_server

PREFIX = f"tests-{secrets.token_hex(4)}"


@pytest.fixture(scope="session")
def access(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    """Addresses and keys of the ClearML server under test."""
    if os.environ.get("SERVER") == "env":
        access = Access.from_environment()
        yield access
        remote_leftovers.delete(Client(access), PREFIX, print)
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
    """What every name that a test makes on the ClearML server begins with; unique to the test."""
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
