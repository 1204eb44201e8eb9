"""A session with the ClearML server, through which all requests go; it counts them.

It calls the server's API directly, because the SDK's task objects cost a request a task, and
`Task.get_task(task_id="")` returns another user's newest task. The SDK's session logs in and holds the token; requests
do not go through it, because it sends each one again if the answer is lost: two runs start, a task is enqueued twice.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import requests
import urllib3
from clearml import Task
from clearml.backend_api.session import Session
from clearml.backend_api.session.defs import ENV_ACCESS_KEY, ENV_HOST_VERIFY_CERT
from clearml.backend_api.session.session import LoginError
from clearml.backend_config.errors import ConfigurationError
from clearml.config import config_obj
from requests import Response
from requests import Session as HttpSession
from requests.adapters import HTTPAdapter

from clearml_ci.core import redaction
from clearml_ci.core.errors import UsageError
from clearml_ci.core.poll import Clock

TIMEOUTS = (5.0, 15.0)  # seconds to connect, and to wait for an answer


PATIENCE = 180.0  # seconds for which the server may be unreachable: a restart of it must not end a training of hours


_RETRIES = {"total": 3, "connect": 2, "read": 2, "backoff_factor": 0.5, "backoff_max": 2}  # of the login


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


_SECTIONS = ("api", "agent", "sdk", "environment", "files")  # of clearml.conf


RUN_PAGES = "/pipelines/"  # in the address of a run's page, after that of the web server


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
    """A session with the server that counts its requests."""

    session: Session
    requests: int = field(default=1)  # the login
    http: HttpSession = field(default_factory=_http_session, repr=False)
    ahead: float = field(default=0.0)  # seconds by which the server's clock is ahead of this machine's
    clock: Clock = field(default_factory=Clock, repr=False)

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
        self.requests += 1
        response = _response(self, endpoint, request)
        try:
            body = response.json()
            self._read_clock(response.headers.get("Date", ""))
            message = body.get("meta", {}).get("result_msg", response.reason)
            data: dict[str, Any] = body.get("data") or {}
        except (ValueError, AttributeError) as error:  # the page of a proxy
            raise LostAnswerError(
                f"{endpoint}: the answer of {self.session.host} is no JSON (HTTP {response.status_code}): check "
                "CLEARML_API_HOST, and rerun"
            ) from error
        if response.ok:
            return data
        refusal, advice = (
            (LostAnswerError, "rerun, and look into the server's log")
            if response.status_code >= 500
            else (ClearMLError, "check what it names, and what the keys may do")
        )
        raise refusal(f"{endpoint}: the ClearML server refused: {redaction.mask(str(message))}; {advice}")

    def _read_clock(self, date: str) -> None:
        """Compare the clocks by the date of an answer; below a minute it may be the answer's way, and rounding."""
        with contextlib.suppress(ValueError):
            ahead = parsedate_to_datetime(date).timestamp() - self.clock.now()
            self.ahead = ahead if abs(ahead) >= _SAME_CLOCK else 0.0

    def task_url(self, task: Mapping[str, Any]) -> str:
        """The page of a task in ClearML's web UI; of a controller, its run's page among the pipelines."""
        project = (task.get("project") or {}).get("id") or "*"
        if task.get("type") == "controller":
            return f"{Session.get_app_server_host()}{RUN_PAGES}{project}/experiments/{task['id']}"
        return str(Task.get_task_output_log_web_page(task["id"], project, Session.get_app_server_host()))


def _response(clearml: ClearML, endpoint: str, request: Request) -> Response:
    """The server's response; if it refuses the token, that to a new token."""
    response = _post(clearml, endpoint, request)
    if response.status_code == requests.codes.unauthorized:
        with _login_errors(endpoint, clearml.session.host):
            clearml.session.refresh_token()
        response = _post(clearml, endpoint, request)
    return response


def _post(clearml: ClearML, endpoint: str, request: Request) -> Response:
    host = clearml.session.host
    with _login_errors(endpoint, host):
        token = clearml.session.token
    headers = {"Authorization": f"Bearer {token}"}
    body: dict[str, Any] = {"json": request}
    if not isinstance(request, Mapping):
        headers["Content-Type"] = "application/json-lines"
        body = {"data": "\n".join(map(json.dumps, request))}
    try:
        address = f"{host}/{endpoint}"
        return clearml.http.post(address, **body, headers=headers, timeout=TIMEOUTS, verify=_verify())
    except requests.RequestException as error:
        kind = UnansweredError if _is_unsent(error) else LostAnswerError
        raise kind(f"{endpoint}: no answer from {host} ({type(error).__name__}): rerun when it is reachable") from error


def _is_unsent(error: requests.RequestException) -> bool:
    """True if no connection was made."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, urllib3.exceptions.NewConnectionError)


def hold_secrets() -> None:
    """Mask the secrets of clearml.conf from now on. Raises UsageError if it cannot be parsed."""
    try:
        sections = {name: config_obj.get(name, None) for name in _SECTIONS}
    except ConfigurationError as error:
        raise UsageError(f"clearml.conf: {redaction.mask(str(error))}; correct it, or run `clearml-init`") from error
    redaction.hold(redaction.secrets_of(sections))


def connect(clock: Clock) -> ClearML:
    """A session with the server of the usual CLEARML_* variables or clearml.conf, whose secrets are masked from now on.

    Raises UsageError if something is not configured, and ClearMLError, within seconds, if no server answers.
    """
    hold_secrets()
    if not has_keys():
        raise UsageError(
            "no ClearML keys are configured: set CLEARML_API_HOST, CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY "
            "(GitHub gives no secrets to pull requests from forks: check those with `on: pull_request_target`)"
        )
    _require_web_host()
    host = Session.get_api_server_host().rstrip("/")
    _ping(host)
    return _login(host, clock)


def has_keys() -> bool:
    """True if keys are configured: in the CLEARML_* variables or in clearml.conf."""
    return bool(ENV_ACCESS_KEY.get() or config_obj.get("api.credentials.access_key", None))


def _require_web_host() -> None:
    try:
        Session.get_app_server_host()
    except ValueError as error:
        raise UsageError(
            "the address of ClearML's web UI cannot be derived from the API's address: set CLEARML_WEB_HOST"
        ) from error


def _ping(host: str) -> None:
    """Send one request with short time limits: the SDK's session would try for minutes."""
    try:
        answer = requests.get(f"{host}/debug.ping", timeout=TIMEOUTS, verify=_verify())
    except requests.RequestException as error:
        result = type(error).__name__
    else:
        result = f"HTTP {answer.status_code}"
        if answer.ok and '"meta"' in answer.text:
            return
    raise UnansweredError(f"no ClearML server answers at {host} ({result}): check CLEARML_API_HOST")


def _verify() -> Any:
    """The certificates to trust, as `requests` takes them."""
    return ENV_HOST_VERIFY_CERT.get(default=config_obj.get("api.verify_certificate", True))


def _login(host: str, clock: Clock) -> ClearML:
    Session._session_timeout = TIMEOUTS  # the SDK waits 300 s for each answer, and then tries again
    with _login_errors("auth.login", host):
        return ClearML(Session(http_retries_config=dict(_RETRIES)), clock=clock)


@contextlib.contextmanager
def _login_errors(endpoint: str, host: str) -> Iterator[None]:
    """Raise ClearMLError in place of what the SDK raises if it cannot get a token for a request.

    Its LoginError means refused keys, but also a server that did not answer.
    """
    try:
        yield
    except (LoginError, ValueError, requests.RequestException) as error:
        if isinstance(error, LoginError) and "(error 4" in str(error):
            raise ClearMLError(
                f"{endpoint}: the ClearML server {host} refused the keys: check CLEARML_API_ACCESS_KEY and "
                "CLEARML_API_SECRET_KEY"
            ) from error
        raise UnansweredError(
            f"{endpoint}: login to the ClearML server {host} failed ({type(error.__context__ or error).__name__}): "
            "rerun when it is reachable"
        ) from error
