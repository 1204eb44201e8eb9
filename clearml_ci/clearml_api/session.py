"""A session with the ClearML server, through which all requests go; it counts them.

It calls the server's API directly, because the SDK's task objects cost a request a task, and
`Task.get_task(task_id="")` returns another user's newest task.
"""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from clearml import Task
from clearml.backend_api.session import Session
from clearml.backend_api.session.defs import ENV_ACCESS_KEY, ENV_HOST_VERIFY_CERT
from clearml.backend_api.session.session import LoginError
from clearml.config import config_obj

from clearml_ci.core.errors import UsageError

TIMEOUTS = (5.0, 15.0)  # seconds to connect, and to wait for an answer


_SAME_CLOCK = 60.0  # seconds


_RETRIES = {"total": 3, "connect": 2, "read": 2, "backoff_factor": 0.5, "backoff_max": 2}


class ClearMLError(Exception):
    """The server refused a request, is unreachable, or lacks a record; the message names the object."""


class TaskGoneError(ClearMLError):
    """The server has no task of this id, or no longer."""


@dataclass
class ClearML:
    """A session with the server that counts its requests."""

    session: Session
    requests: int = field(default=1)  # the login
    ahead: float = field(default=0.0)  # seconds by which the server's clock is ahead of this machine's

    def call(self, endpoint: str, **request: Any) -> dict[str, Any]:
        """The `data` of one endpoint's answer. Raises ClearMLError with the server's own message."""
        service, action = endpoint.split(".")
        self.requests += 1
        try:
            response = self.session.send_request(service, action, json=request)
            body = response.json()
            self._read_clock(response.headers.get("Date", ""))
        except (requests.RequestException, ValueError) as error:
            raise ClearMLError(f"{endpoint}: no answer from {self.session.host} ({type(error).__name__})") from error
        if not response.ok:
            message = body.get("meta", {}).get("result_msg", response.reason)
            raise ClearMLError(f"{endpoint}: the ClearML server refused: {message}")
        data: dict[str, Any] = body.get("data") or {}
        return data

    def _read_clock(self, date: str) -> None:
        """Compare the clocks by the date of an answer; below a minute it may be the answer's way, and rounding."""
        with contextlib.suppress(ValueError):
            ahead = parsedate_to_datetime(date).timestamp() - time.time()
            self.ahead = ahead if abs(ahead) >= _SAME_CLOCK else 0.0

    def task_url(self, task: Mapping[str, Any]) -> str:
        """The page of a task in ClearML's web UI; of a controller, its run's page among the pipelines."""
        project = (task.get("project") or {}).get("id") or "*"
        if task.get("type") == "controller":
            return f"{Session.get_app_server_host()}/pipelines/{project}/experiments/{task['id']}"
        return str(Task.get_task_output_log_web_page(task["id"], project, Session.get_app_server_host()))


def connect() -> ClearML:
    """A session with the server of the usual CLEARML_* variables or clearml.conf.

    Raises UsageError if something is not configured, and ClearMLError, within seconds, if no server answers.
    """
    if not (ENV_ACCESS_KEY.get() or config_obj.get("api.credentials.access_key", None)):
        raise UsageError(
            "no ClearML keys are configured: set CLEARML_API_HOST, CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY "
            "(GitHub gives no secrets to pull requests from forks: check those with `on: pull_request_target`)"
        )
    _require_web_host()
    host = Session.get_api_server_host().rstrip("/")
    _ping(host)
    return _login(host)


def _require_web_host() -> None:
    try:
        Session.get_app_server_host()
    except ValueError as error:
        raise UsageError(
            "the address of ClearML's web UI cannot be derived from the API's address: set CLEARML_WEB_HOST"
        ) from error


def _ping(host: str) -> None:
    """Send one request with short time limits: the SDK's session would try for minutes."""
    verify = ENV_HOST_VERIFY_CERT.get(default=config_obj.get("api.verify_certificate", True))
    try:
        answer = requests.get(f"{host}/debug.ping", timeout=TIMEOUTS, verify=verify)
    except requests.RequestException as error:
        result = type(error).__name__
    else:
        result = f"HTTP {answer.status_code}"
        if answer.ok and '"meta"' in answer.text:
            return
    raise ClearMLError(f"no ClearML server answers at {host} ({result}): check CLEARML_API_HOST")


def _login(host: str) -> ClearML:
    Session._session_timeout = TIMEOUTS  # the SDK waits 300 s for each answer, and then tries again
    try:
        return ClearML(Session(http_retries_config=dict(_RETRIES)))
    except LoginError as error:
        raise ClearMLError(
            f"the ClearML server {host} refused the keys: check CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY"
        ) from error
    except (requests.RequestException, ValueError) as error:
        raise ClearMLError(
            f"login to the ClearML server {host} failed ({type(error).__name__}): rerun when it is reachable"
        ) from error
