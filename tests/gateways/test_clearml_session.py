"""The SDK's own session with a ClearML server: login, refusals, servers that do not answer."""

import socket
import time

import pytest
from flask import Flask

from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core.errors import UsageError
from tests.clock import fast_clock
from tests.gateways.between import served


def test_call__refused__has_the_servers_own_message(clearml: ClearML) -> None:
    with pytest.raises(ClearMLError, match=r"tasks\.create: the ClearML server refused: .*; check what it names"):
        clearml.call("tasks.create", name="ab", type="training")


def test_connect__wrong_keys__are_reported_without_showing_them(
    user_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARML_API_SECRET_KEY", "not-the-secret")
    with pytest.raises(ClearMLError, match="refused the keys") as raised:
        clearml_session.connect(fast_clock())
    assert "not-the-secret" not in str(raised.value)
    assert user_environment["CLEARML_API_ACCESS_KEY"] not in str(raised.value)


@pytest.mark.usefixtures("user_environment")
def test_connect__no_server__is_reported_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("CLEARML_API_HOST", address)
    began = time.monotonic()
    with pytest.raises(ClearMLError, match=f"no ClearML server answers at {address}"):
        clearml_session.connect(fast_clock())
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("address", ["not an address", "localhost:1", "http://"])
@pytest.mark.usefixtures("user_environment")
def test_connect__address_that_is_not_one__is_reported(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("CLEARML_API_HOST", address)
    with pytest.raises(ClearMLError, match=f"no ClearML server answers at {address.rstrip('/')}"):
        clearml_session.connect(fast_clock())


@pytest.mark.usefixtures("user_environment")
def test_connect__server_that_cannot_log_in__is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Flask("half a server")

    @app.route("/<path:path>", methods=["GET", "POST"])
    def respond(path: str) -> tuple[str, int]:
        return ('{"meta": {}}', 200) if path == "debug.ping" else ("no JSON", 200)

    with served(app) as address:
        monkeypatch.setenv("CLEARML_API_HOST", address)
        with pytest.raises(ClearMLError, match=f"login to the ClearML server {address} failed"):
            clearml_session.connect(fast_clock())


def test_connect__another_web_server__is_no_clearml(
    user_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARML_API_HOST", user_environment["CLEARML_WEB_HOST"])
    with pytest.raises(ClearMLError, match=r"no ClearML server answers at \S+ \(HTTP \d+\)"):
        clearml_session.connect(fast_clock())


@pytest.mark.usefixtures("user_environment")
def test_connect__no_web_address_to_derive__names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLEARML_WEB_HOST")
    monkeypatch.setenv("CLEARML_API_HOST", "http://clearml.example:9999")
    with pytest.raises(UsageError, match="set CLEARML_WEB_HOST"):
        clearml_session.connect(fast_clock())
