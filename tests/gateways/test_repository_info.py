"""Permissions of users on the local GitHub."""

import pytest

from clearml_ci.github_api import repository_info
from clearml_ci.github_api import session as github_session
from clearml_ci.github_api.session import GitHub, GitHubError
from sandbox.testing.hub import FULL_NAME, Hub
from tests.gateways.job_session import signed_in


@pytest.fixture
def job(hub: Hub) -> GitHub:
    return signed_in(hub.server)


@pytest.mark.parametrize(
    ("login", "given", "expected"),
    [
        ("octo-owner", None, "admin"),
        ("writer", "push", "write"),
        ("keeper", "maintain", "write"),
        ("sorter", "triage", "read"),
        ("passer-by", None, "read"),
        ("no-such-user", None, "none"),
    ],
)
def test_permission__login__is_one_of_four(hub: Hub, job: GitHub, login: str, given: str | None, expected: str) -> None:
    if login != "no-such-user":
        hub.server.token("pat", login=login)
    if given:
        hub.repository.add_to_collaborators(login, given)
    assert repository_info.permission(job, login) == expected


def test_permission__outsider_on_a_private_repository__is_none(hub: Hub, job: GitHub) -> None:
    hub.repository.edit(private=True)
    hub.server.token("pat", login="outsider")
    assert repository_info.permission(job, "outsider") == "none"


def test_permission__token_without_push_access__is_reported(hub: Hub) -> None:
    token = hub.server.token("personal", login="reader")
    reader = github_session.connect(api_url=hub.server.api_url, token=token, repository=FULL_NAME)
    with pytest.raises(GitHubError, match=r"the permission of octo-owner .*: 403 Must have push access"):
        repository_info.permission(reader, "octo-owner")
