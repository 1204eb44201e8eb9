"""The session with a ClearML server: refusals, servers that do not answer, and where its settings come from."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from clearml import Task
from clearml.backend_api.session import Session
from flask import Flask

from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core.errors import UsageError
from tests.clock import fast_clock
from tests.gateways.between import allowing, served

ROOT = Path(__file__).parents[2]


def test_call__refused__has_the_servers_own_message(clearml: ClearML) -> None:
    with pytest.raises(ClearMLError, match=r"tasks\.create: the ClearML server refused: .*; check what it names"):
        clearml.call("tasks.create", name="ab", type="training")


def first_call() -> None:
    clearml_session.connect(fast_clock()).call("queues.get_all")


def test_first_call__wrong_keys__are_reported_without_showing_them(
    user_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARML_API_SECRET_KEY", "not-the-secret")
    with pytest.raises(ClearMLError, match="refused the keys") as raised:
        first_call()
    assert "not-the-secret" not in str(raised.value)
    assert user_environment["CLEARML_API_ACCESS_KEY"] not in str(raised.value)


@pytest.mark.usefixtures("user_environment")
def test_first_call__no_server__is_reported_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("CLEARML_API_HOST", address)
    began = time.monotonic()
    with pytest.raises(ClearMLError, match=f"no ClearML server answers at {address}"):
        first_call()
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("address", ["not an address", "localhost:1", "http://"])
@pytest.mark.usefixtures("user_environment")
def test_first_call__address_that_is_not_one__is_reported(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("CLEARML_API_HOST", address)
    with pytest.raises(ClearMLError, match=f"no ClearML server answers at {address.rstrip('/')}"):
        first_call()


@pytest.mark.usefixtures("user_environment")
def test_first_call__server_that_cannot_log_in__is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Flask("half a server")

    @app.route("/<path:path>", methods=["GET", "POST"])
    def respond(path: str) -> tuple[str, int]:
        return ("no JSON", 200) if path == "auth.login" else ('{"meta": {}}', 401)

    with served(app) as address:
        monkeypatch.setenv("CLEARML_API_HOST", address)
        with pytest.raises(ClearMLError, match=f"login to the ClearML server {address} failed"):
            first_call()


def test_first_call__another_web_server__is_no_clearml(
    user_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARML_API_HOST", user_environment["CLEARML_WEB_HOST"])
    with pytest.raises(ClearMLError, match=r"no ClearML server answers at \S+ \(HTTP \d+\)"):
        first_call()


@pytest.mark.usefixtures("user_environment")
def test_connect__no_web_address_to_derive__names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLEARML_WEB_HOST")
    monkeypatch.setenv("CLEARML_API_HOST", "http://clearml.example:9999")
    with pytest.raises(UsageError, match="set CLEARML_WEB_HOST"):
        clearml_session.connect(fast_clock())


@pytest.mark.usefixtures("user_environment")
def test_connect__keys_without_an_address__are_sent_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret's name with a typo is an empty variable; the SDK would send the keys to api.clear.ml."""
    monkeypatch.setenv("CLEARML_API_HOST", "")
    monkeypatch.setenv("CLEARML_CONFIG_FILE", os.devnull)
    with pytest.raises(UsageError, match="CLEARML_API_HOST is empty"):
        clearml_session.connect(fast_clock())


@pytest.mark.usefixtures("user_environment")
@pytest.mark.parametrize("missing", ["CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY"])
def test_connect__one_of_the_two_keys__names_the_other(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setenv(missing, "")
    monkeypatch.setenv("CLEARML_CONFIG_FILE", os.devnull)
    with pytest.raises(UsageError, match=f"^{missing} is empty"):
        clearml_session.connect(fast_clock())


AS_JSON = (
    '{"api": {"api_server": "%(CLEARML_API_HOST)s", "web_server": "%(CLEARML_WEB_HOST)s", "credentials": '
    '{"access_key": "%(CLEARML_API_ACCESS_KEY)s", "secret_key": "%(CLEARML_API_SECRET_KEY)s"}}}'
)
AS_HOCON = (
    'api { api_server: %(CLEARML_API_HOST)s, web_server: "%(CLEARML_WEB_HOST)s" # a comment\n credentials '
    '{"access_key" = "%(CLEARML_API_ACCESS_KEY)s"}\n credentials.secret_key: "%(CLEARML_API_SECRET_KEY)s" }'
)


@pytest.mark.parametrize("text", [AS_JSON, AS_HOCON])
def test_connect__clearml_conf_in_place_of_variables__is_read_as_the_sdk_reads_it(
    user_environment: dict[str, str], tmp_path: Path, text: str
) -> None:
    """In a process of its own, in which the SDK has read no configuration yet."""
    file = tmp_path / "clearml.conf"
    file.write_text(text % user_environment)
    code = (
        "import sys; from clearml_ci.clearml_api import configuration as c, session; from clearml_ci.core.poll import "
        "Clock; session.connect(Clock()).call('queues.get_all'); ours = (c.api_host(), c.web_host(), "
        "c.keys(), 'clearml' in sys.modules); from clearml.backend_api.session import Session as S; "
        "s = S(); print(ours[:3] == (S.get_api_server_host(), S.get_app_server_host(), (s.access_key, s.secret_key)), "
        "ours[3])"
    )
    environment = {"CLEARML_CONFIG_FILE": str(file), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", str(text == AS_HOCON)], done.stderr


def test_connect__clearml_conf_that_cannot_be_parsed__names_it(tmp_path: Path) -> None:
    code = (
        "from clearml_ci.clearml_api import session; from clearml_ci.core.poll import Clock; session.connect(Clock())"
    )
    (tmp_path / "clearml.conf").write_text("api { ")
    environment = {"CLEARML_CONFIG_FILE": str(tmp_path / "clearml.conf"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "UsageError: clearml.conf: " in done.stderr


def test_first_call__server_that_takes_tokens_alone__exchanges_the_keys_for_one(
    user_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = list[str]()

    def only_tokens(endpoint: str, authorization: str) -> bool:
        sent.append(endpoint)
        return endpoint == "auth.login" or authorization.startswith("Bearer ")

    with allowing(user_environment["CLEARML_API_HOST"], only_tokens) as address:
        monkeypatch.setenv("CLEARML_API_HOST", address)
        first_call()
    assert sent == ["queues.get_all", "auth.login", "queues.get_all"]


@pytest.mark.parametrize(("version", "kind"), [((2, 30), "experiments"), ((2, 31), "tasks"), ((2, 100), "tasks")])
def test_task_url__server_of_a_version__is_the_page_of_its_web_ui(
    clearml: ClearML, user_environment: dict[str, str], version: tuple[int, ...], kind: str
) -> None:
    clearml.api_version = version
    page = f"{user_environment['CLEARML_WEB_HOST']}/projects/p/{kind}/abc/output/log"
    assert clearml.task_url({"id": "abc", "project": {"id": "p"}}) == page


def test_task_url__this_server__is_the_sdks(clearml: ClearML) -> None:
    clearml.call("queues.get_all")
    sdk = Task.get_task_output_log_web_page("abc", "p", Session.get_app_server_host())
    assert clearml.task_url({"id": "abc", "project": {"id": "p"}}) == sdk
