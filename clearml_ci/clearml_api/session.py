"""A session with the ClearML server, through which all requests go; it counts them.

It calls the server's API directly. The SDK's task objects cost a request a task, `Task.get_task(task_id="")` returns
another user's newest task, its session sends a request again if the answer is lost (two runs start, a task is enqueued
twice), and importing it takes half a second.
"""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import requests
import urllib3
from requests import Response
from requests import Session as HttpSession
from requests.adapters import HTTPAdapter
from requests.auth import _basic_auth_str

from clearml_ci.clearml_api import configuration
from clearml_ci.core import redaction
from clearml_ci.core.errors import UsageError
from clearml_ci.core.poll import Clock

TIMEOUTS = (5.0, 15.0)  # seconds to connect, and to wait for an answer


PATIENCE = 180.0  # seconds for which the server may be unreachable: a restart of it must not end a training of hours


# Nothing was sent before a connection is made: only then is every request repeated.
_CONNECT_RETRIES = urllib3.Retry(
    total=None, connect=2, read=False, status=0, other=0, backoff_factor=0.5, respect_retry_after_header=False
)


_PAUSES = (0.5, 1.0)  # seconds before a request that may be repeated is sent again


# Done twice, each of these would change more than done once. The others read, or set what they set once more.
_ONCE = frozenset(
    {
        *("pipelines.start_pipeline", "projects.create", "queues.create", "tasks.clone", "tasks.create"),
        *("tasks.dequeue", "tasks.enqueue", "tasks.update_tags"),
    }
)


_LOGIN = "auth.login"


RUN_PAGES = "/pipelines/"  # in the address of a run's page, after that of the web server


_WITH_TASK_PAGES = (2, 31)  # versions of the API whose web UI has `tasks` in its addresses, not `experiments`


_SAME_CLOCK = 60.0  # seconds


Request = Mapping[str, Any] | Sequence[Mapping[str, Any]]  # a document, or a batch of them


class ClearMLError(Exception):
    """The server refused a request, is unreachable, or lacks a record; the message names the object.

    `log_only` is as UsageError's.
    """

    def __init__(self, message: str, *, log_only: str = "") -> None:
        super().__init__(message)
        self.log_only = log_only


class UnansweredError(ClearMLError):
    """The server gave no answer, or failed itself: the same request may be answered soon."""


class LostAnswerError(UnansweredError):
    """The request was sent and its answer was lost: the server may have done what it asks for, or may yet do it."""


class TaskGoneError(ClearMLError):
    """The server has no task of this id, or no longer."""


def _http_session() -> HttpSession:
    session = HttpSession()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=_CONNECT_RETRIES))
    return session


@dataclass
class ClearML:
    """A session with the server that counts its requests.

    The server takes the keys with each request, as `auth.login` does, so that a process needs no login. If it refuses
    them, they are exchanged for a token.
    """

    host: str
    authorization: str = field(repr=False)
    requests: int = 0
    http: HttpSession = field(default_factory=_http_session, repr=False)
    ahead: float = field(default=0.0)  # seconds by which the server's clock is ahead of this machine's
    clock: Clock = field(default_factory=Clock, repr=False)
    api_version: tuple[int, ...] = ()  # of the server; empty before its first answer

    def call(self, endpoint: str, **request: Any) -> dict[str, Any]:
        """The `data` of one endpoint's answer. Raises ClearMLError with the server's own message.

        If the answer is lost, the request is sent again, unless it would change more than once: then LostAnswerError.
        """
        if "status_reason" in request:
            request["status_reason"] = redaction.outgoing(request["status_reason"])
        return self._answered(endpoint, request)

    def call_batch(self, endpoint: str, requests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """As `call`, with several requests in one: an endpoint of batches takes lines of JSON."""
        return self._answered(endpoint, requests)

    def _answered(self, endpoint: str, request: Request) -> dict[str, Any]:
        for pause in () if endpoint in _ONCE else _PAUSES:
            with contextlib.suppress(LostAnswerError):
                return self._data(endpoint, request)
            self.clock.sleep(pause)
        return self._data(endpoint, request)

    def _data(self, endpoint: str, request: Request) -> dict[str, Any]:
        response = self._response(endpoint, request)
        try:
            body = response.json()
            self._read_clock(response.headers.get("Date", ""))
            message = body.get("meta", {}).get("result_msg", response.reason)
            data: dict[str, Any] = body.get("data") or {}
        except (ValueError, AttributeError) as error:  # the page of a proxy, or another server
            raise LostAnswerError(self._no_clearml(endpoint, f"HTTP {response.status_code}")) from error
        self.api_version = self.api_version or _version(body)
        if response.ok:
            return data
        refusal, advice = (
            (LostAnswerError, "rerun, and look into the server's log")
            if response.status_code >= 500
            else (ClearMLError, "check what it names, and what the keys may do")
        )
        raise refusal(f"{endpoint}: the ClearML server refused: {redaction.mask(str(message))}; {advice}")

    def _response(self, endpoint: str, request: Request) -> Response:
        """The server's response; if it refuses the credentials, that to a new token."""
        response = self._post(endpoint, request)
        if response.status_code == requests.codes.unauthorized:
            self.authorization = f"Bearer {self._new_token(endpoint)}"
            response = self._post(endpoint, request)
        return response

    def token(self) -> str:
        """A token, which the file server takes in place of keys. Raises ClearMLError."""
        kind, _, value = self.authorization.partition(" ")
        return value if kind == "Bearer" else self._new_token(_LOGIN)

    def _new_token(self, endpoint: str) -> str:
        """A token for the keys; with a token alone, a newer one."""
        headers = {"Authorization": _authorization() or self.authorization}
        response = self._send(_LOGIN, {}, headers, for_endpoint=endpoint)
        if response.status_code in (requests.codes.unauthorized, requests.codes.forbidden, requests.codes.bad_request):
            raise ClearMLError(
                f"{endpoint}: the ClearML server {self.host} refused the keys: check CLEARML_API_ACCESS_KEY and "
                "CLEARML_API_SECRET_KEY"
            )
        try:
            return str(response.json()["data"]["token"])
        except (ValueError, KeyError, TypeError) as error:
            raise UnansweredError(
                f"{endpoint}: login to the ClearML server {self.host} failed (HTTP {response.status_code}): rerun when "
                "it is reachable"
            ) from error

    def _post(self, endpoint: str, request: Request) -> Response:
        return self._send(endpoint, request, {"Authorization": self.authorization}, for_endpoint=endpoint)

    def _send(self, endpoint: str, request: Request, headers: Mapping[str, str], *, for_endpoint: str) -> Response:
        self.requests += 1
        body: dict[str, Any] = {"json": request}
        if not isinstance(request, Mapping):
            body = {"data": "\n".join(map(json.dumps, request))}
            headers = {**headers, "Content-Type": "application/json-lines"}
        try:
            return self.http.post(
                f"{self.host}/{endpoint}",
                **body,
                headers=headers,
                timeout=TIMEOUTS,
                verify=configuration.verify(),
            )
        except requests.RequestException as error:
            kind = UnansweredError if _is_unsent(error) else LostAnswerError
            name = type(error).__name__
            raise kind(
                f"{for_endpoint}: no answer from {self.host} ({name}): rerun when it is reachable"
                if self.api_version
                else self._no_clearml(for_endpoint, name)
            ) from error

    def _no_clearml(self, endpoint: str, result: str) -> str:
        return (
            f"{endpoint}: the answer of {self.host} is no JSON ({result}): check CLEARML_API_HOST, and rerun"
            if self.api_version
            else f"{endpoint}: no ClearML server answers at {self.host} ({result}): check CLEARML_API_HOST"
        )

    def _read_clock(self, date: str) -> None:
        """Compare the clocks by the date of an answer; below a minute it may be the answer's way, and rounding."""
        with contextlib.suppress(ValueError):
            ahead = parsedate_to_datetime(date).timestamp() - self.clock.now()
            self.ahead = ahead if abs(ahead) >= _SAME_CLOCK else 0.0

    def task_url(self, task: Mapping[str, Any]) -> str:
        """The page of a task in ClearML's web UI; of a controller, its run's page among the pipelines."""
        project = (task.get("project") or {}).get("id") or "*"
        if task.get("type") == "controller":
            return f"{configuration.web_host()}{RUN_PAGES}{project}/experiments/{task['id']}"
        kind = "tasks" if self.api_version >= _WITH_TASK_PAGES else "experiments"
        return f"{configuration.web_host()}/projects/{project}/{kind}/{task['id']}/output/log"


def _version(body: Mapping[str, Any]) -> tuple[int, ...]:
    """The version of the server's API: that of a request which names none."""
    text = str((body.get("meta", {}).get("endpoint") or {}).get("requested_version") or "0")
    return tuple(int(part) for part in text.split(".") if part.isdecimal()) or (0,)


def _is_unsent(error: requests.RequestException) -> bool:
    """True if no connection was made."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, urllib3.exceptions.NewConnectionError)


def connect(clock: Clock) -> ClearML:
    """A session with the server of the usual CLEARML_* variables or clearml.conf, whose secrets are masked from now on.

    Nothing is sent yet: the first request finds out whether a server answers. Raises UsageError if something is not
    configured.
    """
    configuration.hold_secrets()
    authorization = _authorization()
    if not authorization:
        raise UsageError(_missing_keys(*configuration.keys()))
    configuration.web_host()
    return ClearML(configuration.api_host(), authorization, clock=clock)


def _missing_keys(access: str, secret: str) -> str:
    if access or secret:
        return f"CLEARML_API_{'SECRET' if access else 'ACCESS'}_KEY is empty, and the other key is not: set both"
    return (
        "no ClearML keys are configured: set CLEARML_API_HOST, CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY, or "
        "run `clearml-init` (GitHub gives no secrets to pull requests from forks: check those with "
        "`on: pull_request_target`)"
    )


def has_keys() -> bool:
    """True if keys, or a token in their place, are configured: in the CLEARML_* variables or in clearml.conf."""
    return bool(_authorization())


def _authorization() -> str:
    """The header of the configured keys, or of the token in their place; "" without either."""
    if token := configuration.token():
        return f"Bearer {token}"
    access, secret = configuration.keys()
    return str(_basic_auth_str(access, secret)) if access and secret else ""
