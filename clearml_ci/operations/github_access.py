import os

from clearml_ci.core import console
from clearml_ci.core.errors import UsageError
from clearml_ci.github_api import credentials
from clearml_ci.github_api import session as github_session
from clearml_ci.github_api.session import GitHub, GitHubError, NoCredentialsError
from clearml_ci.parameters.check import Check


def github(wanted: Check) -> GitHub:
    """The pull request's repository, with this agent's own credentials. Raises GitHubError, and where it has none
    NoCredentialsError.
    """
    pull = wanted.pull_request
    try:
        signed = credentials.from_environment(os.environ)
    except UsageError as error:
        raise GitHubError(f"the steps' agent: {error}") from error
    if not signed:
        raise NoCredentialsError("the steps' agent has no GITHUB_TOKEN and no GitHub App in its environment")
    api_url = os.environ.get("GITHUB_API_URL", "https://api.github.com")
    if pull.github_api.rstrip("/") != api_url.rstrip("/"):
        # A run's parameters can be edited by anyone on the ClearML server; the token goes where its owner said.
        raise GitHubError(
            f"the run asks to report to {pull.github_api}, but the steps' agent reports to {api_url}: "
            "set GITHUB_API_URL in the agent's environment"
        )
    return github_session.connect(
        api_url=api_url, credentials=signed, repository=pull.repository, comment_authors=wanted.comment_authors
    )


def voice(wanted: Check) -> tuple[GitHub | None, str]:
    """GitHub, where this agent has credentials, else why not; nothing where a job waits that speaks for it."""
    try:
        return github(wanted), ""
    except GitHubError as error:
        console.log(f"nothing is told on GitHub by this step: {error}")
        in_order = isinstance(error, NoCredentialsError) and wanted.waited_for
        return None, "" if in_order else str(error)


def github_if_any(wanted: Check) -> GitHub | None:
    """As github, and None where this agent cannot ask: then what GitHub would know stays unknown."""
    try:
        return github(wanted)
    except GitHubError:
        return None
