"""Connections to the local GitHub with tokens and Apps, and requests that it refuses."""

import contextlib
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import github
import pytest
import requests
from flask import Flask, Response
from github import GithubRetry
from github.Issue import Issue
from github.Repository import Repository

from clearml_ci.github_api import (
    check_runs,
    file_contents,
    git_history,
    issues,
    pull_request_comment,
    pull_requests,
    statuses,
    unfinished_checks,
)
from clearml_ci.github_api import session as github_session
from clearml_ci.github_api.credentials import App, Credentials
from clearml_ci.github_api.session import GitHub, GitHubError, Outage
from sandbox.servers.github_server import GitHubServer
from sandbox.testing.hub import FULL_NAME, JOB
from sandbox.testing.hub import connect as as_user
from tests.clock import fast_clock
from tests.gateways.between import served
from tests.gateways.job_session import signed_in

JSON = {"Content-Type": "application/json"}

TOKEN = "ghs_that-must-not-be-shown"  # noqa: S105  of no account


def owned(server: GitHubServer) -> Repository:
    return as_user(server, server.owner_token).get_repo("octo-owner/digits")


def head(server: GitHubServer) -> str:
    return owned(server).get_pull(1).head.sha


def test_create_status__long_description__is_cut(server: GitHubServer, issue: Issue) -> None:
    sha = head(server)
    statuses.create(
        signed_in(server), name="ClearML CI", commit=sha, state="failure", description="x" * 500, url="https://c"
    )
    (status,) = issue.repository.get_commit(sha).get_combined_status().statuses
    assert (status.context, status.state, len(status.description), status.target_url) == (
        "ClearML CI",
        "failure",
        140,
        "https://c",
    )


def test_create_status__refused__names_the_permission(server: GitHubServer) -> None:
    hub = signed_in(server, permissions={"contents": "read"})
    with pytest.raises(GitHubError, match="`statuses: write`"):
        statuses.create(hub, name="ClearML CI", commit=head(server), state="success", description="", url="")


@pytest.mark.parametrize(
    ("status", "message", "advice"),
    [
        (401, "Bad credentials", "the token is wrong or has expired: set a new one"),
        (404, "Not Found", "or the token cannot read it: the token needs `statuses: write` on this repository"),
        (422, "Validation Failed: too long", "GitHub cannot process it: check that it belongs to this repository"),
    ],
    ids=["401", "404", "422"],
)
def test_create_status__refused__names_request_repository_and_remedy(status: int, message: str, advice: str) -> None:
    app = Flask("refusing")

    @app.post("/<path:path>")
    def refuse(path: str) -> tuple[dict[str, Any], int]:  # noqa: ARG001  the signature is Flask's
        title, _, field = message.partition(": ")
        return {"message": title, "errors": [{"field": "body", "message": field}]}, status

    with served(app) as address:
        hub = github_session.connect(api_url=address, token=TOKEN, repository=FULL_NAME)
        with pytest.raises(GitHubError) as raised:
            statuses.create(hub, name="ClearML CI", commit="a" * 40, state="success", description="", url="")
    tried = f"GitHub refused the commit status of aaaaaaaaaa of {FULL_NAME}: {status} {message}; "
    assert str(raised.value).startswith(tried)
    assert advice in str(raised.value)
    assert TOKEN not in str(raised.value)


def test_create_status__unknown_commit__is_reported_with_the_repository(server: GitHubServer) -> None:
    with pytest.raises(GitHubError, match=f"of {FULL_NAME}: 422 No commit found"):
        statuses.create(signed_in(server), name="ClearML CI", commit="0" * 40, state="success", description="", url="")


def test_connect__any_token__reads_pages_of_100(server: GitHubServer) -> None:
    assert signed_in(server).repository.requester.per_page == 100


def test_create_status__answer_that_is_not_githubs__is_reported() -> None:
    app = Flask("elsewhere")

    @app.post("/<path:path>")
    def respond(path: str) -> tuple[dict[str, int], int]:  # noqa: ARG001  the signature is Flask's
        return {"url": 7}, 201

    with served(app) as address:
        job = github_session.connect(api_url=address, token=TOKEN, repository=FULL_NAME)
        message = f"unexpected response from GitHub for the commit status of a{{10}} of {FULL_NAME}: .*; check"
        with pytest.raises(GitHubError, match=message):
            statuses.create(job, name="ClearML CI", commit="a" * 40, state="success", description="", url="")


def test_create_status__response_lost__is_set(server: GitHubServer) -> None:
    """Two equal statuses are as one: the request is repeated."""
    sha = head(server)
    server.lose_reply("POST", f"/statuses/{sha}")
    job = signed_in(server)
    statuses.create(job, name="lost", commit=sha, state="success", description="", url="https://run")
    assert statuses.latest(job, commit=sha, name="lost") == ("success", "https://run")


def test_statuses__more_than_a_page__are_all_read(server: GitHubServer) -> None:
    sha, job = head(server), signed_in(server)
    for number in range(101):
        statuses.create(job, name=f"check {number}", commit=sha, state="success", description="", url="https://run")
    statuses.create(job, name="ClearML CI", commit=sha, state="pending", description="", url="https://run")
    assert statuses.latest(job, commit=sha, name="ClearML CI") == ("pending", "https://run")
    assert len(statuses.names(job, commit=sha)) == 102
    (pending,) = unfinished_checks.read(job, sha, named="ClearML CI")
    assert pending.name == "ClearML CI"


@pytest.mark.usefixtures("no_pauses")
def test_create_status__server_that_fails_for_a_while__is_set() -> None:
    bad, done = Response("<html>Bad Gateway</html>", 502), Response('{"url": "https://s"}', 201, JSON)
    with answering(bad, bad, bad, done) as address:
        hub = github_session.connect(api_url=address, token=TOKEN, repository=FULL_NAME)
        assert REQUESTS["set a status"](hub) == "https://s"


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        (
            Response('{"message": "You have exceeded a secondary rate limit"}', 403, JSON),
            "403 You have exceeded a secondary rate limit; the rate limit of the token is reached: rerun later",
        ),
        (
            Response("{}", 502, JSON),
            "too many 502 error responses; rerun later, and see https://www.githubstatus.com",
        ),
    ],
    ids=["403", "502"],
)
def test_create_status__refused_each_time__names_request_and_remedy(answer: Response, refusal: str) -> None:
    with answering(answer) as address:
        hub = github_session.connect(api_url=address, token=TOKEN, repository=FULL_NAME)
        with pytest.raises(GitHubError) as raised:
            REQUESTS["set a status"](hub)
    assert str(raised.value) == f"GitHub refused the commit status of aaaaaaaaaa of {FULL_NAME}: {refusal}"


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("request_", ["start a check run", "set a status"])
def test_post__secondary_limit__is_sent_again(request_: str) -> None:
    limited = Response('{"message": "You have exceeded a secondary rate limit"}', 403, {**JSON, "Retry-After": "1"})
    done = Response('{"id": 7, "url": "https://s"}', 201, JSON)
    none = Response('{"check_runs": [], "total_count": 0}', 200, JSON)
    with answering(limited, done, none) as address:
        hub = github_session.connect(api_url=address, token=TOKEN, repository=FULL_NAME)
        assert REQUESTS[request_](hub) in (7, "https://s")


@pytest.mark.parametrize("kind", ["token", "App"])
def test_connect__no_server__is_reported(server: GitHubServer, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GithubRetry, "sleep", lambda *_: None)
    given = Credentials(token=TOKEN.replace("ghs_", "")) if kind == "token" else Credentials(app=made_app(server))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(GitHubError, match=f"GitHub is unreachable at {address} .*: check GITHUB_API_URL"):
        github_session.connect(api_url=address, credentials=given, repository="o/n")


def installed(server: GitHubServer, app: App) -> GitHub:
    return github_session.connect(
        api_url=server.api_url, repository=FULL_NAME, credentials=Credentials(app=app), comment_authors=["My-Bot"]
    )


def made_app(server: GitHubServer, slug: str = "checker", **options: Any) -> App:
    number, key = server.app(slug, **options)
    return App(str(number), key)


def test_connect__as_an_app__acts_as_its_bot_and_knows_its_login(server: GitHubServer) -> None:
    hub = installed(server, made_app(server, permissions=JOB))
    assert hub.trusted == {"checker[bot]", "github-actions[bot]", "my-bot"}
    statuses.create(hub, name="ClearML CI", commit=head(server), state="success", description="", url="")
    (status,) = owned(server).get_commit(head(server)).get_statuses()
    assert status.creator.login == "checker[bot]"


def test_connect__as_an_app_twice__mints_a_token_each_time(server: GitHubServer) -> None:
    app = made_app(server)
    tokens = {installed(server, app).repository.requester.auth.token for _ in range(2)}  # type: ignore[union-attr]
    assert len(tokens) == 2
    assert all(token.startswith("ghs_") for token in tokens)


def test_connect__app_token_expired__is_reported(server: GitHubServer) -> None:
    hub = installed(server, made_app(server, token_lifetime=0))
    with pytest.raises(GitHubError, match="401 Bad credentials; the token is wrong or has expired"):
        statuses.create(hub, name="ClearML CI", commit="a" * 40, state="success", description="", url="")


def test_connect__app_not_installed_on_the_repository__is_reported_to_install_it(server: GitHubServer) -> None:
    app = made_app(server, repository="octo-owner/other")
    with pytest.raises(GitHubError) as raised:
        installed(server, app)
    assert "a token of the GitHub App 'checker' for octo-owner/digits: 404" in str(raised.value)
    assert "install the App on octo-owner/digits" in str(raised.value)


def test_connect__app_id_and_key_of_two_apps__is_reported(server: GitHubServer) -> None:
    first, second = made_app(server, "first"), made_app(server, "second")
    with pytest.raises(GitHubError, match="401 A JSON web token could not be decoded; CLEARML_CI_APP_ID and"):
        installed(server, replace(first, private_key=second.private_key))


def test_connect__unknown_app_id__is_reported(server: GitHubServer) -> None:
    with pytest.raises(GitHubError, match=r"the GitHub App 7 for octo-owner/digits: 404 Integration not found"):
        installed(server, replace(made_app(server), id="7"))


def test_connect__app_key_that_was_cut__is_reported_and_not_shown(server: GitHubServer) -> None:
    app = made_app(server)
    cut = app.private_key[:400]
    with pytest.raises(GitHubError, match=r"the private key of the GitHub App \d+ cannot sign") as raised:
        installed(server, replace(app, private_key=cut))
    assert cut[100:120] not in str(raised.value)
    assert raised.value.__cause__ is None


def test_github__connection_refused__is_no_github_exception() -> None:
    """What the gateway relies on: PyGithub lets a broken connection through as requests' own exception."""
    client = github.Github(base_url="http://127.0.0.1:9", retry=None)
    with pytest.raises(requests.RequestException):
        client.get_repo("o/n")


def answering(*answers: Response) -> served:
    """A server that gives these answers in turn, and the last one again."""
    app, left = Flask("answers"), list(answers)

    @app.route("/<path:path>", methods=["GET", "POST", "PATCH", "DELETE"])
    def respond(path: str) -> Response:  # noqa: ARG001  the signature is Flask's
        return left.pop(0) if len(left) > 1 else left[0]

    return served(app)


REQUESTS: dict[str, Callable[[GitHub], object]] = {
    "set a status": lambda hub: statuses.create(hub, name="n", commit="a" * 40, state="error", description="", url=""),
    "read a status": lambda hub: statuses.latest(hub, commit="a" * 40, name="n"),
    "read a pull request": lambda hub: pull_requests.read(hub, 1),
    "comment": lambda hub: pull_request_comment.upsert(
        hub, pull_request=1, commit="a" * 40, marker="<!-- m -->", body="<!-- m -->", mode="always", failure=True
    ),
    "start a check run": lambda hub: check_runs.start(hub, commit="a" * 40, name="n", url="https://c"),
    "write an issue": lambda hub: issues.upsert(hub, marker="<!-- m -->", title="t", body="<!-- m -->", open_=True),
    "read a file": lambda hub: file_contents.read(hub, path="f", commit="a" * 40),
    "look for a commit": lambda hub: git_history.exists(hub, "a" * 40),
    "read a commit's date": lambda hub: git_history.committed(hub, "a" * 40),
    "read a branch": lambda hub: git_history.branch_head(hub, "main"),
    "compare commits": lambda hub: git_history.merge_base(hub, base="main", head="a" * 40),
    "read changed files": lambda hub: git_history.changed_files(hub, base="a" * 40, head="b" * 40),
}
UNREADABLE = {"html": "<html>Sign in</html>", "cut": '{"id": 1, "node_', "null": "null", "list": "[1]", "object": "{}"}


@pytest.mark.parametrize("body", UNREADABLE)
@pytest.mark.parametrize("request_", REQUESTS)
def test_call_github__answer_that_is_not_what_was_asked_for__is_a_github_error(request_: str, body: str) -> None:
    with answering(Response(UNREADABLE[body], 200, content_type="text/html")) as address:
        hub = github_session.connect(api_url=address, token=TOKEN, repository=FULL_NAME)
        with contextlib.suppress(GitHubError):
            assert not REQUESTS[request_](hub)


def test_set_status__page_of_a_proxy__is_no_status() -> None:
    with answering(Response(UNREADABLE["html"], 201, content_type="text/html")) as address:
        hub = github_session.connect(api_url=address, token=TOKEN, repository=FULL_NAME)
        with pytest.raises(GitHubError, match="unexpected response from GitHub for the commit status of aaaaaaaaaa"):
            REQUESTS["set a status"](hub)


def test_retry_after__longer_than_a_minute__is_cut_and_logged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sleeps: list[float] = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", sleeps.append)
    limited = Response('{"message": "You have exceeded a secondary rate limit"}', 403, {"Retry-After": "200"})
    found = Response('{"state": "success", "statuses": []}', 200, content_type="application/json")
    with answering(limited, found) as address:
        hub = github_session.connect(api_url=address, token=TOKEN, repository=FULL_NAME)
        assert statuses.latest(hub, commit="a" * 40, name="n") is None
    assert max(sleeps) == 60
    assert "the next one is sent after 60 s" in capsys.readouterr().out


def test_limits__of_minutes__all_requests_together_wait_two(monkeypatch: pytest.MonkeyPatch) -> None:
    sleeps: list[float] = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", sleeps.append)
    limited = Response('{"message": "You have exceeded a secondary rate limit"}', 403, {**JSON, "Retry-After": "200"})
    with answering(limited) as address:
        hub = github_session.connect(api_url=address, token=TOKEN, repository=FULL_NAME)
        for number in range(3):
            with pytest.raises(GitHubError, match="rate limit"):
                statuses.latest(hub, commit="a" * 40, name=f"n{number}")
    assert sum(sleeps) == 120


@pytest.mark.usefixtures("no_pauses")
def test_outage__of_one_kind_of_request__is_waited_for() -> None:
    """One connection can be there before another: an answer to anything else does not end an outage."""
    app, left = Flask("half there"), [Response("<html>Bad Gateway</html>", 502)] * 8

    @app.get("/<path:path>")
    def read(path: str) -> Response:  # noqa: ARG001  the signature is Flask's
        return Response("{}", 200, JSON)

    @app.post("/<path:path>")
    def write(path: str) -> Response:  # noqa: ARG001
        return left.pop() if left else Response('{"url": "https://s"}', 201, JSON)

    with served(app) as address:
        hub = github_session.connect(api_url=address, token=TOKEN, repository=FULL_NAME)
        assert REQUESTS["set a status"](replace(hub, outage=Outage(fast_clock()))) == "https://s"
