"""The product's own connection to the local GitHub, as a job has it."""

from clearml_ci.github_api import session as github_session
from clearml_ci.github_api.session import GitHub
from sandbox.servers.github_server import GitHubServer
from sandbox.testing.hub import FULL_NAME, JOB

MARKER = f"<!-- clearml-ci: {FULL_NAME}#1 -->"


def signed_in(
    server: GitHubServer, kind: str = "workflow", *, permissions: dict[str, str] | None = None, api_url: str = ""
) -> GitHub:
    """Return the product's connection, with a new token of this kind."""
    token = server.token(kind, repository=FULL_NAME, permissions=permissions or JOB)
    return github_session.connect(api_url=api_url or server.api_url, token=token, repository=FULL_NAME)
