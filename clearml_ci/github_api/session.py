"""The one gateway to GitHub: signs in, sets the commit status, and keeps the pull request's one comment.

Its parts: `github_comments` (how one comment stays one), `github_checks` (check runs), `github_reads` (what is asked).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import github
import jwt
import requests
from github.Repository import Repository

from clearml_ci.github_api.credentials import App, Credentials

T = TypeVar("T")


_WORKFLOW_BOT = "github-actions[bot]"


_NO_USER = "ghs_"  # workflow and App tokens begin so, and are refused with 403 when they ask who they are


# PyGithub's own default repeats POSTs as well: a lost reply would comment twice.
_REPEATABLE = frozenset({"GET", "HEAD", "PATCH", "DELETE"})


class GitHubError(Exception):
    """GitHub refused or did not answer; the message names the repository, what was tried, and what to do."""


@dataclass(frozen=True)
class GitHub:
    """One repository as seen with one token. `trusted` are the logins, in lower case, whose comments can be ours."""

    repository: Repository
    name: str
    trusted: frozenset[str]


def connect(
    *,
    api_url: str,
    repository: str,
    token: str = "",
    credentials: Credentials | None = None,
    comment_authors: Iterable[str] = (),
) -> GitHub:
    """Signed in with a token, or with `credentials`; an App mints a token for this connection alone.

    `comment_authors` are further logins whose marked comments are ours. Raises GitHubError when GitHub does not
    answer or refuses the App; what a token may do shows when it is used.
    """
    given, options = credentials or Credentials(token=token), _options(api_url)
    minted, own = _installed(given.app, repository, options) if given.app else (given.token, "")
    client = github.Github(auth=github.Auth.Token(minted), lazy=True, **options)  # asks for what is used, no more
    logins = {_WORKFLOW_BOT, own or _own_login(client, minted), *comment_authors}
    trusted = frozenset(login.lower() for login in logins if login)
    return GitHub(client.get_repo(repository), repository, trusted)


def _options(api_url: str) -> dict[str, Any]:
    return {
        "base_url": api_url.rstrip("/"),
        "timeout": 15,
        "per_page": 100,
        "retry": github.GithubRetry(total=2, backoff_factor=0.5, max_rate_limit_wait=60, allowed_methods=_REPEATABLE),
        "seconds_between_requests": None,
        "seconds_between_writes": None,
    }


def _own_login(client: github.Github, token: str) -> str:
    """Empty where the token is no user's, or is refused."""
    if token.startswith(_NO_USER):
        return ""
    try:
        return client.get_user().login
    except github.GithubException:
        return ""
    except requests.RequestException as error:
        raise _silent(client.requester.base_url, error) from error


def _installed(app: App, repository: str, options: dict[str, Any]) -> tuple[str, str]:
    """A new token of the App's installation on the repository, and the login that it acts as."""
    integration = github.GithubIntegration(auth=_signed(app), **options)
    wrong = "CLEARML_CI_APP_ID and the private key must be of one App, and this machine's clock must be right"
    missing = f"install the App on {repository}, in the App's settings under 'Install App'"
    try:
        mine = _advised(f"the GitHub App {app.id} for {repository}", wrong, integration.get_app)
        what = f"a token of the GitHub App '{mine.slug}' for {repository}"
        found = _advised(what, missing, lambda: integration.get_repo_installation(*repository.split("/", 1)))
        minted = _advised(what, missing, lambda: integration.get_access_token(found.id))
    except requests.RequestException as error:
        raise _silent(integration.requester.base_url, error) from error
    return minted.token, f"{mine.slug}[bot]"


def _signed(app: App) -> github.Auth.AppAuth:
    """Refuses a key that cannot sign, such as one that was cut or that needs a password, without showing it."""
    auth = github.Auth.AppAuth(app.id, app.private_key)
    try:
        auth.create_jwt()
    except (jwt.PyJWTError, TypeError, ValueError) as error:
        raise GitHubError(
            f"the private key of the GitHub App {app.id} cannot sign ({type(error).__name__}): "
            "generate a new one in the App's settings, and copy all of its PEM file"
        ) from None
    return auth


def _advised(what: str, advice: str, act: Callable[[], T]) -> T:
    try:
        return act()
    except github.GithubException as error:
        raise _refusal(what, error, advice) from error


def told(hub: GitHub, what: str, permission: str, act: Callable[[], T]) -> T:
    """What GitHub answers to a request; its refusals and its silence as GitHubError."""
    try:
        return act()
    except github.GithubException as error:
        raise _refusal(f"{what} of {hub.name}", error, _advice(error, permission)) from error
    except (AssertionError, github.BadAttributeException) as error:  # an answer that PyGithub does not take
        raise GitHubError(f"GitHub's answer about {what} of {hub.name} makes no sense: {error}") from error
    except requests.RequestException as error:
        raise GitHubError(
            f"GitHub did not answer to {what} of {hub.name} ({type(error).__name__}): rerun when it does"
        ) from error


def _refusal(what: str, error: github.GithubException, advice: str) -> GitHubError:
    return GitHubError(f"GitHub refused {what}: {error.status} {_said(error)}; {advice}")


def _said(error: github.GithubException) -> str:
    """GitHub's own words, and those about the first wrong field."""
    data = error.data if isinstance(error.data, dict) else {}
    fields = [one.get("message") for one in data.get("errors") or [] if isinstance(one, dict) and one.get("message")]
    return ": ".join(str(part) for part in [data.get("message", ""), *fields[:1]] if part)


def _advice(error: github.GithubException, permission: str) -> str:
    if isinstance(error, github.RateLimitExceededException):
        return "its rate limit is reached: rerun later"
    advice = {
        401: "the token is wrong or has expired: set a new one",
        404: f"it is not there, or the token does not see it: it needs {permission} on this repository",
        422: "GitHub cannot take it: is it of this repository?",
    }
    if error.status >= 500:
        return "rerun later, and see https://www.githubstatus.com"
    return advice.get(error.status, f"the token needs {permission} on this repository")


def _silent(address: str, error: requests.RequestException) -> GitHubError:
    return GitHubError(f"GitHub does not answer at {address} ({type(error).__name__}): is GITHUB_API_URL right?")


class NoCredentialsError(GitHubError):
    """This agent is not given anything to sign in to GitHub with, which is in order: a job that waits speaks for it."""
