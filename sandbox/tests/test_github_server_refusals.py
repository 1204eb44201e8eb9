"""Refusals of the local GitHub, with the status and the text of the real one."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from sandbox.servers import github_server
from sandbox.testing import hub as hubs
from sandbox.testing.hub import FULL_NAME, JOB, Hub

INTEGRATION = "Resource not accessible by integration"
PERSONAL = "Resource not accessible by personal access token"
UNKNOWN = "0" * 40
READ_ONLY = {"contents": "read", "issues": "read", "pull_requests": "read", "statuses": "read", "checks": "read"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    directory = tmp_path_factory.mktemp("hub")
    server = github_server.start(directory / "github")
    made = hubs.cloned(server, directory)
    made.pull().create_issue_comment("the owner's")
    yield made
    server.stop()


def ask(
    hub: Hub, method: str, path: str, *, token: str | None = None, data: Any = None, raw: str | None = None
) -> requests.Response:
    headers = {"Authorization": f"Bearer {hub.server.owner_token if token is None else token}"} if token != "" else {}
    address = hub.server.api_url + path.replace("{repo}", f"/repos/{FULL_NAME}")
    return requests.request(method, address, headers=headers, json=data, data=raw, timeout=30)


def refused(answer: requests.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["documentation_url"].startswith("https://docs.github.com/")
    assert body["status"] == str(answer.status_code)
    return answer.status_code, body["message"]


@pytest.mark.parametrize(
    ("method", "path", "data"),
    [
        ("POST", "{repo}/issues/1/comments", {"body": "x"}),
        ("POST", "{repo}/statuses/{head}", {"state": "success"}),
        ("POST", "{repo}/issues", {"title": "x"}),
        ("POST", "{repo}/issues/1/labels", ["x"]),
        ("PATCH", "{repo}/pulls/1", {"title": "x"}),
        ("PUT", "{repo}/pulls/1/merge", {}),
        ("DELETE", "{repo}", None),
    ],
)
@pytest.mark.parametrize(("kind", "message"), [("workflow", INTEGRATION), ("app", INTEGRATION), ("pat", PERSONAL)])
def test_write__permission_missing__forbidden(
    hub: Hub, kind: str, message: str, method: str, path: str, data: Any
) -> None:
    token = hub.server.token(kind, repository=FULL_NAME, permissions=READ_ONLY)
    path = path.replace("{head}", hub.repository.get_pull(1).head.sha)
    assert refused(ask(hub, method, path, token=token, data=data)) == (403, message)


@pytest.mark.parametrize(
    ("permissions", "number", "status"),
    [
        ({"issues": "write"}, 1, 201),
        ({"pull_requests": "write"}, 1, 201),
        ({"checks": "write"}, 1, 403),
    ],
    ids=["issues", "pull-requests", "another"],
)
def test_comment__either_permission__serves_a_pull_request(
    hub: Hub, permissions: dict[str, str], number: int, status: int
) -> None:
    token = hub.server.token("workflow", repository=FULL_NAME, permissions=permissions)
    answer = ask(hub, "POST", f"{{repo}}/issues/{number}/comments", token=token, data={"body": "x"})
    assert answer.status_code == status


def test_check_run__personal_token__refused(hub: Hub) -> None:
    data = {"name": "x", "head_sha": hub.repository.get_pull(1).head.sha}
    expected = (403, "You must authenticate via a GitHub App.")
    assert refused(ask(hub, "POST", "{repo}/check-runs", data=data)) == expected


def test_check_run__of_another_app__refused(hub: Hub) -> None:
    head = hub.repository.get_pull(1).head.sha
    run = hub.seen_by("workflow", permissions=JOB).create_check_run("x", head)
    token = hub.server.token("app", repository=FULL_NAME, login="other", permissions=JOB)
    status, message = refused(ask(hub, "PATCH", f"{{repo}}/check-runs/{run.id}", token=token, data={}))
    assert (status, message[:14]) == (403, "Invalid app_id")


def test_private_repository__anybody_else__does_not_exist(hub: Hub) -> None:
    secret = hub.client(hub.server.owner_token).get_user().create_repo("secret", private=True)
    for kind, bound in (("pat", None), ("workflow", FULL_NAME)):
        token = hub.server.token(kind, repository=bound, login="visitor")
        assert refused(ask(hub, "GET", f"/repos/{secret.full_name}", token=token)) == (404, "Not Found")
    reads = hub.server.token("workflow", repository=secret.full_name, permissions={"issues": "write"})
    assert refused(ask(hub, "GET", f"/repos/{secret.full_name}/pulls", token=reads)) == (403, INTEGRATION)


def _of_the_owner(hub: Hub) -> str:
    return f"{{repo}}/issues/comments/{hub.repository.get_issue(1).get_comments()[0].id}"


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_comment__of_somebody_else_without_write__forbidden(hub: Hub, method: str) -> None:
    token = hub.server.token("pat", login="visitor")
    answer = ask(hub, method, _of_the_owner(hub), token=token, data={"body": "x"})
    assert refused(answer) == (403, "Must have admin rights to Repository.")


def test_status__user_without_write__not_found(hub: Hub) -> None:
    token = hub.server.token("pat", login="visitor")
    answer = ask(hub, "POST", f"{{repo}}/statuses/{UNKNOWN}", token=token, data={"state": "success"})
    assert refused(answer) == (404, "Not Found")


def _too_long(capital: str, code: str, field: str, resource: str) -> dict[str, str]:
    message = f"{capital}ody is too long (maximum is 65536 characters)"
    return {"resource": resource, "code": code, "field": field, "message": message}


@pytest.mark.parametrize(
    ("method", "path", "error"),
    [
        ("POST", lambda _: "{repo}/issues/1/comments", _too_long("B", "unprocessable", "data", "IssueComment")),
        ("PATCH", _of_the_owner, _too_long("b", "custom", "body", "IssueComment")),
        ("POST", lambda _: "{repo}/issues", _too_long("b", "custom", "body", "Issue")),
    ],
    ids=["new-comment", "edited-comment", "issue"],
)
def test_body__one_character_too_long__validation_failed(
    hub: Hub, method: str, path: Callable[[Hub], str], error: dict[str, str]
) -> None:
    answer = ask(hub, method, path(hub), data={"title": "x", "body": "é" * 65_537})
    assert refused(answer) == (422, "Validation Failed")
    assert answer.json()["errors"] == [error]
    assert ask(hub, method, path(hub), data={"title": "x", "body": "é" * 65_536}).status_code in (200, 201)


@pytest.mark.parametrize(
    ("method", "path", "data", "status", "message"),
    [
        ("POST", "{repo}/issues/1/comments", {}, 422, 'Invalid request.\n\n"body" wasn\'t supplied.'),
        ("POST", "{repo}/pulls", {"title": "x"}, 422, 'Invalid request.\n\n"base", "head" weren\'t supplied.'),
        ("POST", "{repo}/issues/1/comments", {"body": " "}, 422, "Validation Failed"),
        ("POST", "{repo}/pulls", {"title": "x", "head": "no", "base": "main"}, 422, "Validation Failed"),
        ("POST", "{repo}/pulls", {"title": "x", "head": "better", "base": "main"}, 422, "Validation Failed"),
        ("POST", "{repo}/pulls", {"title": "x", "head": "main", "base": "main"}, 422, "Validation Failed"),
        ("PATCH", "{repo}/pulls/1", {"base": "no"}, 422, "Validation Failed"),
        ("PATCH", "{repo}/pulls/1", {"state": "half-open"}, 422, "Validation Failed"),
        ("POST", f"{{repo}}/statuses/{UNKNOWN}", {"state": "success"}, 422, f"No commit found for SHA: {UNKNOWN}"),
        ("POST", "{repo}/statuses/main", {"state": "green"}, 422, "Validation Failed"),
        ("POST", "{repo}/statuses/main", {"state": "success", "description": "x" * 141}, 422, "Validation Failed"),
        ("POST", "{repo}/statuses/main", {"state": "success", "target_url": "file:///x"}, 422, "Validation Failed"),
        ("GET", "{repo}/commits/nowhere", None, 422, "No commit found for SHA: nowhere"),
        ("GET", "{repo}/contents/train.py?ref=nowhere", None, 404, "No commit found for the ref nowhere"),
        ("GET", "{repo}/branches/nowhere", None, 404, "Branch not found"),
        ("GET", "{repo}/compare/main...nowhere", None, 404, "Not Found"),
        ("GET", "{repo}/pulls/99", None, 404, "Not Found"),
        ("GET", "{repo}/no/such/address", None, 404, "Not Found"),
        ("DELETE", "{repo}/issues/1/labels/none", None, 404, "Label does not exist"),
        ("GET", "{repo}/collaborators/unknown/permission", None, 404, "unknown is not a user"),
        ("POST", "/user/repos", {"name": "digits"}, 422, "Validation Failed"),
        ("POST", "/user/repos", {"name": "../x"}, 422, "Validation Failed"),
    ],
)
def test_request__wrong__refused_in_githubs_words(
    hub: Hub, method: str, path: str, data: Any, status: int, message: str
) -> None:
    assert refused(ask(hub, method, path, data=data)) == (status, message)


def test_json__malformed__bad_request(hub: Hub) -> None:
    answer = ask(hub, "POST", "{repo}/issues/1/comments", raw='{"body": ')
    assert refused(answer) == (400, "Problems parsing JSON")
