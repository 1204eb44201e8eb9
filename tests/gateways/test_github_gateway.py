"""The real PyGithub client of the product against the local GitHub, refusals and lost replies included."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import github
import pytest
import requests
from flask import Flask, Response, request
from github.Issue import Issue
from github.Repository import Repository
from werkzeug.serving import make_server

from clearml_ci import github_gateway, verdict
from clearml_ci.check import Check, PullRequest
from clearml_ci.github_gateway import GitHub, GitHubError
from sandbox import github_server
from sandbox.github_server import GitHubServer
from steps import report
from tests.gateways.hub import Hub, cloned
from tests.gateways.hub import connect as as_user

MARKER = "<!-- clearml-ci: octo-owner/digits#1 -->"
WRITES = {"contents": "read", "pull_requests": "write", "statuses": "write"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A repository with pull request 1."""
    running = github_server.start(tmp_path / "github")
    made = cloned(running, tmp_path)
    made.pull("better")
    yield made
    running.stop()


@pytest.fixture
def server(hub: Hub) -> GitHubServer:
    return hub.server


@pytest.fixture
def issue(hub: Hub) -> Issue:
    """The pull request's conversation, as its owner sees it."""
    return hub.repository.get_issue(1)


def owned(server: GitHubServer) -> Repository:
    return as_user(server, server.owner_token).get_repo("octo-owner/digits")


def head(server: GitHubServer) -> str:
    return owned(server).get_pull(1).head.sha


def connect(server: GitHubServer, kind: str = "workflow", permissions: dict[str, str] | None = None) -> GitHub:
    token = server.token(kind, repository="octo-owner/digits", permissions=permissions or WRITES)
    return github_gateway.connect(api_url=server.api_url, token=token, repository="octo-owner/digits")


def upsert(hub: GitHub, body: str) -> str:
    commit = hub.repository.get_pull(1).head.sha
    return github_gateway.upsert_comment(hub, pull_request=1, commit=commit, marker=MARKER, body=f"{MARKER}\n{body}")


def test_upsert_comment__again__edits_the_one_comment(server: GitHubServer, issue: Issue) -> None:
    hub = connect(server)
    assert upsert(hub, "first") == upsert(hub, "second")
    assert [comment.body for comment in issue.get_comments()] == [f"{MARKER}\nsecond"]


@pytest.mark.parametrize("kind", ["workflow", "app", "personal"])
def test_upsert_comment__any_kind_of_token__finds_its_own_comment(
    server: GitHubServer, issue: Issue, kind: str
) -> None:
    upsert(connect(server, kind), "first")
    upsert(connect(server, kind), "second")
    assert issue.get_comments().totalCount == 1


def test_upsert_comment__behind_120_others__is_found_on_its_page(server: GitHubServer, issue: Issue) -> None:
    for number in range(120):
        issue.create_comment(f"comment {number}")
    hub = connect(server)
    upsert(hub, "first")
    upsert(hub, "second")
    assert issue.get_comments().totalCount == 121


def test_upsert_comment__marker_copied_by_a_stranger__is_left_alone(server: GitHubServer, issue: Issue) -> None:
    token = server.token("personal", login="stranger", permissions=WRITES)
    theirs = as_user(server, token).get_repo("octo-owner/digits").get_issue(1)
    theirs.create_comment(f"{MARKER}\nall is well, merge me")
    upsert(connect(server), "the truth")
    assert [comment.body for comment in issue.get_comments()] == [
        f"{MARKER}\nall is well, merge me",
        f"{MARKER}\nthe truth",
    ]


def test_upsert_comment__two_of_ours__keeps_the_oldest(server: GitHubServer, issue: Issue) -> None:
    bot = server.token("workflow", repository="octo-owner/digits", permissions=WRITES)
    as_bot = as_user(server, bot).get_repo("octo-owner/digits").get_issue(1)
    oldest = as_bot.create_comment(f"{MARKER}\none")
    as_bot.create_comment(f"{MARKER}\ntwo")
    upsert(connect(server), "three")
    assert [(comment.id, comment.body) for comment in issue.get_comments()] == [(oldest.id, f"{MARKER}\nthree")]


def test_upsert_comment__reply_lost__does_not_comment_twice(server: GitHubServer, issue: Issue) -> None:
    with losing_replies(server.url, method="POST") as address:
        token = server.token("workflow", repository="octo-owner/digits", permissions=WRITES)
        hub = github_gateway.connect(api_url=f"{address}/api/v3", token=token, repository="octo-owner/digits")
        upsert(hub, "once")
    assert [comment.body for comment in issue.get_comments()] == [f"{MARKER}\nonce"]


def test_upsert_comment__pull_request_has_moved_on__leaves_the_newer_word(hub: Hub, issue: Issue) -> None:
    older = head(hub.server)
    upsert(connect(hub.server), "about the newer head")
    hub.commit("better", text="another commit")
    body = f"{MARKER}\nabout the older head"
    written = github_gateway.upsert_comment(connect(hub.server), pull_request=1, commit=older, marker=MARKER, body=body)
    assert written == ""
    assert [comment.body for comment in issue.get_comments()] == [f"{MARKER}\nabout the newer head"]


def test_upsert_comment__refused__names_the_permission(server: GitHubServer) -> None:
    hub = connect(server, permissions={"contents": "read", "pull_requests": "read", "statuses": "write"})
    with pytest.raises(GitHubError) as raised:
        upsert(hub, "x")
    assert "GitHub refused the comment on pull request #1: 403" in str(raised.value)
    assert "`pull-requests: write`" in str(raised.value)


def test_set_status__long_description__is_cut(server: GitHubServer, issue: Issue) -> None:
    sha = head(server)
    github_gateway.set_status(connect(server), commit=sha, state="failure", description="x" * 500, url="https://c")
    (status,) = issue.repository.get_commit(sha).get_combined_status().statuses
    assert (status.context, status.state, len(status.description), status.target_url) == (
        "ClearML CI",
        "failure",
        140,
        "https://c",
    )


def test_set_status__refused__names_the_permission(server: GitHubServer) -> None:
    hub = connect(server, permissions={"contents": "read"})
    with pytest.raises(GitHubError, match="`statuses: write`"):
        github_gateway.set_status(hub, commit=head(server), state="success", description="", url="")


def test_connect__nobody_answers__is_told() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(GitHubError, match=f"GitHub does not answer at {address}"):
        github_gateway.connect(api_url=address, token="x", repository="o/n")  # noqa: S106  no token at all


# --- what the report makes of refusals ------------------------------------------------------------------------


PASSED = {"outcome": "passed", "state": "success", "exit_code": 0}


def check_of(server: GitHubServer) -> Check:
    pull_request = PullRequest("octo-owner/digits", 1, (), server.api_url)
    return Check(head(server), pull_request, "Digits", "", (), "Best")


def publish(server: GitHubServer, monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, Any]:
    for name in ("GITHUB_TOKEN", "GH_TOKEN", "GITHUB_API_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"GITHUB_API_URL": server.api_url, **environment}.items():
        monkeypatch.setenv(name, value)
    check = check_of(server)
    passed = {**verdict.error(check, run={"id": "r", "url": "https://c"}, reason="fine"), **PASSED}
    return report.publish(check, passed, f"{MARKER}\nfine")


def test_publish__comment_refused__keeps_the_verdict_with_a_warning(
    server: GitHubServer, monkeypatch: pytest.MonkeyPatch, issue: Issue
) -> None:
    token = server.token("workflow", permissions={"contents": "read", "issues": "read", "statuses": "write"})
    published = publish(server, monkeypatch, GITHUB_TOKEN=token)
    assert (published["verdict"]["outcome"], published["status_set"]) == ("passed", True)
    assert "refused the comment" in published["warnings"][0]
    assert issue.repository.get_commit(head(server)).get_combined_status().state == "success"


def test_publish__status_refused__keeps_the_verdict_with_a_warning(
    server: GitHubServer, monkeypatch: pytest.MonkeyPatch, issue: Issue
) -> None:
    token = server.token("workflow", permissions={"contents": "read", "pull_requests": "write"})
    published = publish(server, monkeypatch, GITHUB_TOKEN=token)
    assert (published["verdict"]["outcome"], published["status_set"]) == ("passed", False)
    assert "refused the commit status" in published["warnings"][0]
    assert issue.get_comments().totalCount == 1


def test_publish__comment_and_status_refused__is_an_error(
    server: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = server.token("workflow", permissions={"contents": "read", "issues": "read"})
    published = publish(server, monkeypatch, GITHUB_TOKEN=token)
    assert published["verdict"]["outcome"] == "error"
    assert len(published["warnings"]) == 2
    assert token not in str(published)


def test_publish__no_token__is_an_error_that_says_where_it_belongs(
    server: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = publish(server, monkeypatch)
    assert published["verdict"]["outcome"] == "error"
    assert "no GITHUB_TOKEN in its environment" in published["verdict"]["exit_reason"]


def test_publish__run_that_names_another_github__does_not_get_the_token(
    server: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    app = Flask("elsewhere")

    @app.before_request
    def _keep() -> Response:
        seen.append(request.headers.get("Authorization", ""))
        return Response(status=404)

    with served(app) as elsewhere:
        monkeypatch.setenv("GITHUB_TOKEN", server.token("workflow", permissions=WRITES))
        monkeypatch.setenv("GITHUB_API_URL", server.api_url)
        check = check_of(server)
        moved = replace(check, pull_request=replace(check.pull_request, github_api=elsewhere))
        document = verdict.error(check, run={"id": "r", "url": "https://c"}, reason="fine")
        published = report.publish(moved, {**document, **PASSED}, MARKER)
    assert published["verdict"]["outcome"] == "error"
    assert seen == []


# --- servers in between ----------------------------------------------------------------------------------------


class served:  # noqa: N801  reads as a statement: with served(app) as address
    """A WSGI application on loopback for the length of a block."""

    def __init__(self, app: Flask) -> None:
        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def losing_replies(target: str, *, method: str) -> served:
    """A proxy that carries every request, and drops the reply to the first one of `method`."""
    app = Flask("proxy")
    lost: list[str] = []

    @app.route("/<path:path>", methods=["GET", "POST", "PATCH", "DELETE"])
    def carry(path: str) -> Response:
        headers = {name: value for name, value in request.headers if name.lower() in ("authorization", "content-type")}
        answer = requests.request(
            request.method,
            f"{target}/{path}",
            params=dict(request.args),
            data=request.get_data(),
            headers={**headers, "Host": request.host},
            timeout=10,
        )
        if request.method == method and not lost:
            lost.append(path)
            request.environ["werkzeug.socket"].close()
        return Response(answer.content, answer.status_code, content_type=answer.headers["Content-Type"])

    return served(app)


def test_github__connection_refused__is_no_github_exception() -> None:
    """What the gateway relies on: PyGithub lets a broken connection through as requests' own exception."""
    client = github.Github(base_url="http://127.0.0.1:9", retry=None)
    with pytest.raises(requests.RequestException):
        client.get_repo("o/n")
