"""GitHub as a step may use it: with its agent's credentials, only at the address that the agent's owner configured.

A run's parameters can be edited by anyone on the ClearML server, so they never decide which server receives the token.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from clearml_ci.core import console
from clearml_ci.core.errors import UsageError
from clearml_ci.github_api import credentials as github_credentials
from clearml_ci.github_api import session as github_session
from clearml_ci.github_api.credentials import Credentials
from clearml_ci.github_api.session import GitHub, GitHubError, NoCredentialsError
from clearml_ci.parameters.check import Check


@dataclass(frozen=True)
class GitHubAccess:
    """The agent's address of GitHub's API and its credentials, if any; `problem` is what is wrong with them."""

    api_url: str
    credentials: Credentials | None = None
    problem: str = ""


def from_environment(environ: Mapping[str, str]) -> GitHubAccess:
    """Return the access that an agent's environment gives."""
    api_url = github_credentials.api_url(environ)
    try:
        return GitHubAccess(api_url, github_credentials.from_environment(environ))
    except UsageError as error:
        return GitHubAccess(api_url, problem=str(error))


def connect(access: GitHubAccess, check: Check) -> GitHub:
    """Connect to the pull request's repository. Raises GitHubError; NoCredentialsError if the agent has none."""
    if access.problem:
        raise GitHubError(f"the agent that runs the steps: {access.problem}")
    if not access.credentials:
        raise NoCredentialsError(
            "the agent that runs the steps has no GITHUB_TOKEN and no GitHub App in its environment"
        )
    pull = check.pull_request
    if pull.github_api.rstrip("/") != access.api_url.rstrip("/"):
        raise GitHubError(
            f"the run asks to report to {pull.github_api}, but the agent that runs the steps reports to "
            f"{access.api_url}: set GITHUB_API_URL in the agent's environment"
        )
    return github_session.connect(
        api_url=access.api_url,
        credentials=access.credentials,
        repository=pull.repository,
        comment_authors=check.comment_authors,
    )


def connect_if_possible(access: GitHubAccess, check: Check) -> GitHub | None:
    """As connect, or None: then what only GitHub knows stays unknown."""
    try:
        return connect(access, check)
    except GitHubError:
        return None


def for_report(access: GitHubAccess, check: Check) -> tuple[GitHub | None, str]:
    """As connect_if_possible, and the reason why there is no connection.

    The reason is empty if the agent has no credentials while a job waits: the job posts the verdict then.
    """
    try:
        return connect(access, check), ""
    except GitHubError as error:
        console.log(f"this step posts nothing on GitHub: {error}")
        expected = isinstance(error, NoCredentialsError) and check.waited_for
        return None, "" if expected else str(error)
