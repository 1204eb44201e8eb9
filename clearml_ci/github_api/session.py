"""A connection to one GitHub repository, and requests through it: everything that fails is a GitHubError."""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import jwt
import requests
from github import Auth, Consts, Github, GithubException, GithubIntegration, GithubRetry
from github.Repository import Repository
from jwt.algorithms import RSAAlgorithm
from urllib3 import BaseHTTPResponse

from clearml_ci.core import console, poll, redaction
from clearml_ci.core.poll import Clock, Pace, TimedOutError
from clearml_ci.github_api import refusals
from clearml_ci.github_api.credentials import App, Credentials
from clearml_ci.github_api.lost_responses import UNREADABLE

T = TypeVar("T")


_WORKFLOW_BOT = "github-actions[bot]"


_NO_USER = "ghs_"  # prefix of workflow and App tokens, which GitHub refuses with 403 to show their login


# PyGithub's own default repeats POSTs as well: after a lost response it would comment twice.
_REPEATABLE = frozenset({"GET", "HEAD", "PATCH", "DELETE"})


_LIMITED = (403, 429)  # GitHub has done nothing: any request may be sent again


_LOGGED_WAIT = 5.0  # seconds


_WRONG_APP = "CLEARML_CI_APP_ID and the private key must belong to the same App, and this machine's clock must be right"


CONTENTS = "`contents: read`"  # the permission for files, commits and branches


_LONGEST_WAIT = 60.0  # seconds for which a request waits because GitHub's Retry-After asks for it


_WAITED_FOR_LIMITS = 120.0  # seconds that all requests of a connection wait for GitHub's limits, together


PATIENCE = 60.0  # seconds for which a job that has a verdict waits for GitHub


_ATTEMPTS = 3  # to get an answer that can be read


@dataclass
class _Limits:
    """The seconds for which a connection still waits because GitHub limits its requests."""

    left: float


class _Retry(GithubRetry):
    """Caps Retry-After, which `max_rate_limit_wait` does not, logs each longer wait, and repeats what was limited.

    A limited request fails immediately if `limits` has no seconds left: each of a job's last posts would wait as long.
    """

    def __init__(self, *, limits: _Limits, **options: Any) -> None:
        super().__init__(**options)
        self._limits = limits

    def new(self, **options: Any) -> "_Retry":
        return super().new(limits=self._limits, **options)

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        limited = status_code in _LIMITED
        if limited and self._limits.left <= 0:
            return False
        return super().is_retry("GET" if limited else method, status_code, has_retry_after)

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        requested = super().get_retry_after(response)
        return requested and min(requested, _LONGEST_WAIT)

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        wait = (response and self.get_retry_after(response)) or self.get_backoff_time()
        if wait > _LOGGED_WAIT:
            console.log(f"GitHub is busy or limits requests: the next one is sent after {wait:.0f} s")
        if response and response.status in _LIMITED:
            self._limits.left -= wait
        super().sleep(response)


class GitHubError(Exception):
    """GitHub refused a request or is unreachable; the message names the repository, the request, and what to do."""


class UnansweredError(GitHubError):
    """GitHub gave no answer, or one of its servers failed: the same request may be answered soon."""


class NoCredentialsError(GitHubError):
    """This agent has no credentials for GitHub. Not an error while a waiting job can post instead."""


@dataclass
class Outage:
    """The seconds for which requests wait while GitHub does not answer, all of them together."""

    clock: Clock
    left: float = PATIENCE


@dataclass(frozen=True)
class GitHub:
    """One repository as one token sees it. `trusted`: the logins, in lower case, whose marked posts are ours.

    `repeating` is the same repository for POSTs that may be done twice: they are sent again after any failure. With an
    `outage` a request that gets no answer is made again once GitHub answers.
    """

    repository: Repository
    repeating: Repository
    name: str
    trusted: frozenset[str]
    outage: Outage | None = None


def connect(
    *,
    api_url: str,
    repository: str,
    token: str = "",
    credentials: Credentials | None = None,
    comment_authors: Iterable[str] = (),
) -> GitHub:
    """A connection with a token, or with `credentials`; an App mints a token for this connection alone.

    `comment_authors` are further trusted logins. Raises GitHubError if GitHub is unreachable or refuses the App; the
    permissions of a token show when it is used.
    """
    given, limits = credentials or Credentials(token=token), _Limits(_WAITED_FOR_LIMITS)
    options = _options(api_url, limits)
    minted, own = _mint(given.app, repository, options) if given.app else (given.token, "")
    redaction.hold([minted])
    client = Github(auth=Auth.Token(minted), lazy=True, **options)  # requests what is used, no more
    repeating = Github(auth=Auth.Token(minted), lazy=True, **_options(api_url, limits, also=("POST",)))
    logins = {_WORKFLOW_BOT, own or _own_login(client, minted), *comment_authors}
    trusted = frozenset(login.lower() for login in logins if login)
    return GitHub(client.get_repo(repository), repeating.get_repo(repository), repository, trusted)


def owner(*, api_url: str, credentials: Credentials) -> str:
    """The login that credentials act as, as GitHub knows it; empty for a workflow's token, which has none.

    Raises GitHubError if GitHub is unreachable or refuses them.
    """
    options = _options(api_url, _Limits(_WAITED_FOR_LIMITS))
    try:
        if credentials.app:
            integration = GithubIntegration(auth=_signed(credentials.app), **options)
            return f"{_advised(f'the GitHub App {credentials.app.id}', _WRONG_APP, integration.get_app).slug}[bot]"
        if credentials.token.startswith(_NO_USER):
            return ""
        user = Github(auth=Auth.Token(credentials.token), **options).get_user
        return _advised("the token of GitHub", "it is wrong or has expired: set a new one", lambda: user().login)
    except requests.RequestException as error:
        raise _unreachable(api_url, error) from error


def _options(api_url: str, limits: _Limits, *, also: tuple[str, ...] = ()) -> dict[str, Any]:
    """Four attempts of a request take three seconds at least; `also` are further methods that are repeated."""
    return {
        "base_url": api_url.rstrip("/"),
        "timeout": 15,
        "per_page": 100,
        "retry": _Retry(
            limits=limits,
            total=3,
            backoff_factor=0.5,
            max_rate_limit_wait=_LONGEST_WAIT,
            allowed_methods=_REPEATABLE.union(also),
        ),
        "seconds_between_requests": None,
        "seconds_between_writes": None,
    }


def _own_login(client: Github, token: str) -> str:
    """The login of the token's user; empty if the token is no user's, or is refused."""
    if token.startswith(_NO_USER):
        return ""
    try:
        return client.get_user().login or ""
    except (GithubException, *UNREADABLE):
        return ""
    except requests.RequestException as error:
        raise _unreachable(client.requester.base_url, error) from error


def _mint(app: App, repository: str, options: dict[str, Any]) -> tuple[str, str]:
    """A new token of the App's installation on the repository, and the login that it acts as."""
    integration = GithubIntegration(auth=_signed(app), **options)
    missing = f"install the App on {repository}, in the App's settings under 'Install App'"
    try:
        own = _advised(f"the GitHub App {app.id} for {repository}", _WRONG_APP, integration.get_app)
        action = f"a token of the GitHub App '{own.slug}' for {repository}"
        installation = _advised(action, missing, lambda: integration.get_repo_installation(*repository.split("/", 1)))
        minted = _advised(action, missing, lambda: integration.get_access_token(installation.id))
    except requests.RequestException as error:
        raise _unreachable(integration.requester.base_url, error) from error
    return minted.token, f"{own.slug}[bot]"


def _signed(app: App) -> Auth.AppAuth:
    """The App's credentials. Refuses a key that is cut or needs a password, and does not show it."""
    try:
        key: Any = RSAAlgorithm(RSAAlgorithm.SHA256).prepare_key(app.private_key)  # 0.1 s, and each request needs it
        auth = Auth.AppAuth(app.id, sign_func=lambda payload: jwt.encode(payload, key, Consts.DEFAULT_JWT_ALGORITHM))
        auth.create_jwt()
    except (jwt.PyJWTError, TypeError, ValueError) as error:
        raise GitHubError(
            f"the private key of the GitHub App {app.id} cannot sign ({type(error).__name__}): "
            "generate a new one in the App's settings, and copy all of its PEM file"
        ) from None
    return auth


def _advised(action: str, advice: str, request: Callable[[], T]) -> T:
    try:
        return request()
    except GithubException as error:
        raise GitHubError(refusals.message(action, error, advice)) from error
    except UNREADABLE as error:
        raise GitHubError(
            f"unexpected response from GitHub for {action} ({type(error).__name__}): check GITHUB_API_URL, and rerun"
        ) from error


def call_github(github: GitHub, action: str, required_permission: str, request: Callable[[], T]) -> T:
    """The result of a request. Raises GitHubError if GitHub refuses it, is unreachable, or answers nonsense.

    `action` names the object in the message; the repository's name follows it. After nonsense, and in an outage, the
    request is made again, so it must find what it has done already.
    """
    try:
        return _called(github, action, required_permission, request)
    except UnansweredError as error:
        if github.outage is None or not github.outage.left:
            raise
        return _once_answered(github.outage, lambda: _called(github, action, required_permission, request), error)


def _once_answered(outage: Outage, request: Callable[[], T], error: UnansweredError) -> T:
    """The result of a request that had this error, made again until GitHub answers it. Raises the error.

    No other request shows that the outage is over: one connection can be there before another.
    """
    console.log(
        f"GitHub does not answer: the request is sent again until it does, or given up after {outage.left:.0f} s"
    )

    def attempt() -> tuple[T] | None:
        with contextlib.suppress(UnansweredError):
            return (request(),)
        return None

    watch = poll.started(outage.clock)
    try:
        (result,) = poll.until(outage.clock, attempt, pace=Pace(2), timeout=outage.left)
    except TimedOutError:
        raise error from None
    finally:
        outage.left = max(outage.left - watch.elapsed(), 0)
    return result


def _called(github: GitHub, action: str, required_permission: str, request: Callable[[], T]) -> T:
    action = f"{action} of {github.name}"
    try:
        return _readable(request)
    except GithubException as error:
        raised = UnansweredError if error.status >= 500 else GitHubError
        raise raised(refusals.message(action, error, refusals.advice(error, required_permission))) from error
    except UNREADABLE as error:
        raise GitHubError(
            f"unexpected response from GitHub for {action}: {redaction.mask(str(error))}; "
            "check GITHUB_API_URL, and rerun"
        ) from error
    except requests.exceptions.RetryError as error:
        raise (GitHubError if refusals.is_limit(error) else UnansweredError)(
            refusals.repeated(action, error)
        ) from error
    except requests.RequestException as error:
        raise UnansweredError(
            f"no response from GitHub for {action} ({type(error).__name__}): rerun when GitHub is reachable"
        ) from error


def _readable(request: Callable[[], T]) -> T:
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(*UNREADABLE):
            return request()
    return request()


def require(taken: bool) -> None:
    """Raise if an object is not what was read, or does not have what was written: PyGithub takes any page for it."""
    if not taken:
        raise ValueError("it is not what was asked for")


def _unreachable(address: str, error: requests.RequestException) -> GitHubError:
    return GitHubError(f"GitHub is unreachable at {address} ({type(error).__name__}): check GITHUB_API_URL")
