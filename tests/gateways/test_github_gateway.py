"""Signing in to the local GitHub, the commit status, and what the report makes of refusals."""

import os
import socket
from dataclasses import replace
from typing import Any

import github
import pytest
import requests
from flask import Flask, Response, request
from github.Issue import Issue
from github.Repository import Repository

from clearml_ci.core.documents import RunDocument
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.step_results import Posted
from clearml_ci.decisions import verdict
from clearml_ci.github_api import session as github_session
from clearml_ci.github_api import statuses
from clearml_ci.github_api.credentials import App, Credentials
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.job import reporter
from clearml_ci.operations import github_access, run_report
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import PullRequest
from clearml_ci.report import comment as markdown
from sandbox.servers.github_server import GitHubServer
from sandbox.testing.hub import FULL_NAME, JOB
from sandbox.testing.hub import connect as as_user
from tests.gateways.between import served
from tests.gateways.job_session import MARKER, signed_in

TOKEN = "ghs_that-must-not-be-shown"  # noqa: S105  nobody's


def owned(server: GitHubServer) -> Repository:
    return as_user(server, server.owner_token).get_repo("octo-owner/digits")


def head(server: GitHubServer) -> str:
    return owned(server).get_pull(1).head.sha


def test_set_status__long_description__is_cut(server: GitHubServer, issue: Issue) -> None:
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


def test_set_status__refused__names_the_permission(server: GitHubServer) -> None:
    hub = signed_in(server, permissions={"contents": "read"})
    with pytest.raises(GitHubError, match="`statuses: write`"):
        statuses.create(hub, name="ClearML CI", commit=head(server), state="success", description="", url="")


@pytest.mark.parametrize(
    ("status", "said", "advice"),
    [
        (401, "Bad credentials", "the token is wrong or has expired: set a new one"),
        (404, "Not Found", "or the token cannot read it: the token needs `statuses: write` on this repository"),
        (422, "Validation Failed: too long", "GitHub cannot process it: check that it belongs to this repository"),
        (403, "You have exceeded a secondary rate limit", "the rate limit of the token is reached: rerun later"),
        (502, "", "rerun later, and see https://www.githubstatus.com"),
    ],
    ids=["401", "404", "422", "rate limit", "502"],
)
def test_set_status__refused__says_what_was_tried_where_and_what_to_do(status: int, said: str, advice: str) -> None:
    app = Flask("refusing")

    @app.post("/<path:path>")
    def refuse(path: str) -> tuple[dict[str, Any], int]:  # noqa: ARG001  the signature is Flask's
        message, _, field = said.partition(": ")
        return {"message": message, "errors": [{"field": "body", "message": field}]}, status

    with served(app) as address:
        hub = github_session.connect(api_url=address, token=TOKEN, repository=FULL_NAME)
        with pytest.raises(GitHubError) as raised:
            statuses.create(hub, name="ClearML CI", commit="a" * 40, state="success", description="", url="")
    tried = f"GitHub refused the commit status of aaaaaaaaaa of {FULL_NAME}: {status} {said}; "
    assert str(raised.value).startswith(tried)
    assert advice in str(raised.value)
    assert TOKEN not in str(raised.value)


def test_set_status__unknown_commit__is_told_with_the_repository(server: GitHubServer) -> None:
    with pytest.raises(GitHubError, match=f"of {FULL_NAME}: 422 No commit found"):
        statuses.create(signed_in(server), name="ClearML CI", commit="0" * 40, state="success", description="", url="")


@pytest.mark.parametrize("kind", ["token", "App"])
def test_connect__nobody_answers__is_told(server: GitHubServer, kind: str) -> None:
    given = Credentials(token=TOKEN.replace("ghs_", "")) if kind == "token" else Credentials(app=made_app(server))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(GitHubError, match=f"GitHub is unreachable at {address} .*: check GITHUB_API_URL"):
        github_session.connect(api_url=address, credentials=given, repository="o/n")


# --- as a GitHub App -------------------------------------------------------------------------------------------


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


def test_connect__app_token_expired__is_told(server: GitHubServer) -> None:
    hub = installed(server, made_app(server, token_lifetime=0))
    with pytest.raises(GitHubError, match="401 Bad credentials; the token is wrong or has expired"):
        statuses.create(hub, name="ClearML CI", commit="a" * 40, state="success", description="", url="")


def test_connect__app_not_installed_on_the_repository__is_told_to_install_it(server: GitHubServer) -> None:
    app = made_app(server, repository="octo-owner/other")
    with pytest.raises(GitHubError) as raised:
        installed(server, app)
    assert "a token of the GitHub App 'checker' for octo-owner/digits: 404" in str(raised.value)
    assert "install the App on octo-owner/digits" in str(raised.value)


def test_connect__app_id_and_key_of_two_apps__is_told(server: GitHubServer) -> None:
    one, two = made_app(server, "one"), made_app(server, "two")
    with pytest.raises(GitHubError, match="401 A JSON web token could not be decoded; CLEARML_CI_APP_ID and"):
        installed(server, replace(one, private_key=two.private_key))


def test_connect__unknown_app_id__is_told(server: GitHubServer) -> None:
    with pytest.raises(GitHubError, match=r"the GitHub App 7 for octo-owner/digits: 404 Integration not found"):
        installed(server, replace(made_app(server), id="7"))


def test_connect__app_key_that_was_cut__is_told_and_not_shown(server: GitHubServer) -> None:
    app = made_app(server)
    cut = app.private_key[:400]
    with pytest.raises(GitHubError, match=r"the private key of the GitHub App \d+ cannot sign") as raised:
        installed(server, replace(app, private_key=cut))
    assert cut[100:120] not in str(raised.value)
    assert raised.value.__cause__ is None


# --- what the report makes of refusals ------------------------------------------------------------------------


PASSED = {"outcome": Outcome.PASSED, "state": "success", "exit_code": 0}
RUN: RunDocument = {"id": "r", "url": "https://c"}


def summaries(issue: Issue, commit: str) -> list[str]:
    """Of the commit's check runs, without the backslashes that keep text from being Markdown."""
    return [run.output.summary.replace("\\", "") for run in issue.repository.get_commit(commit).get_check_runs()]


def check_of(server: GitHubServer) -> Check:
    pull_request = PullRequest("octo-owner/digits", 1, (), server.api_url)
    return Check(head(server), pull_request, "Digits", "", (), "Best")


def publish(
    server: GitHubServer, monkeypatch: pytest.MonkeyPatch, *, waited_for: bool = True, **environment: str
) -> Posted:
    for name in ("GITHUB_TOKEN", "GH_TOKEN", "GITHUB_API_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"GITHUB_API_URL": server.api_url, **environment}.items():
        monkeypatch.setenv(name, value)
    check = replace(check_of(server), waited_for=waited_for)
    passed: Any = {**verdict.error(check, run=RUN, reason="fine"), **PASSED}
    return posted(check, passed, f"{MARKER}\nfine")


def posted(check: Check, document: Any, body: str) -> Posted:
    """What the step `report` of this environment's agent posts."""
    github, withheld = github_access.for_report(github_access.from_environment(os.environ), check)
    return run_report.post(github, check, document, body, withheld=withheld)


def test_publish__comment_refused__keeps_the_verdict_with_a_warning(
    server: GitHubServer, monkeypatch: pytest.MonkeyPatch, issue: Issue
) -> None:
    token = server.token("workflow", permissions={"contents": "read", "issues": "read", "statuses": "write"})
    published = publish(server, monkeypatch, GITHUB_TOKEN=token)
    assert (published["posted"], published["comment_url"], published["status_set"]) == (True, "", True)
    assert "refused the comment" in published["warnings"][0]
    assert issue.repository.get_commit(head(server)).get_combined_status().state == "success"


def test_publish__status_refused__keeps_the_verdict_with_a_warning(
    server: GitHubServer, monkeypatch: pytest.MonkeyPatch, issue: Issue
) -> None:
    token = server.token("workflow", permissions={"contents": "read", "pull_requests": "write"})
    published = publish(server, monkeypatch, GITHUB_TOKEN=token)
    assert (published["posted"], published["status_set"]) == (True, False)
    assert "refused the commit status" in published["warnings"][0]
    assert issue.get_comments().totalCount == 1


def test_publish__checks_of_several_names__have_a_comment_a_status_and_a_check_run_each(
    server: GitHubServer, issue: Issue
) -> None:
    for name in ("digits", "letters", "digits", ""):
        job = reporter.connect(replace(check_of(server), name=name), server.token("workflow", permissions=JOB))
        job.start_check_run("https://c")
        document = verdict.error(job.check, run=RUN, reason="fine")
        job.post_verdict(document, markdown.comment(document, []))
        job.finish_check_run(document, "fine")
    commit = issue.repository.get_commit(head(server))
    comments = [
        one.body.splitlines()[0].removeprefix(f"<!-- clearml-ci: {FULL_NAME}#1") for one in issue.get_comments()
    ]
    assert comments == [" digits -->", " letters -->", " -->"]
    expected = {"ClearML CI", "ClearML CI: digits", "ClearML CI: letters"}
    assert {one.context for one in commit.get_combined_status().statuses} == expected
    assert {run.name.removesuffix(" / verdict") for run in commit.get_check_runs()} == expected


def test_publish__merge_of_a_name__is_a_line_of_its_own_comment(server: GitHubServer, issue: Issue) -> None:
    token = server.token("workflow", permissions=JOB)
    for name in ("digits", "letters"):
        check = replace(check_of(server), name=name)
        for one in (check, replace(check, action="promote", merge_commit=check.commit)):
            if (name, one.action) != ("digits", "promote"):
                document = verdict.error(one, run=RUN, reason="fine")
                reporter.connect(one, token).post_verdict(document, markdown.comment(document, []))
    assert ["**Merged as" in comment.body for comment in issue.get_comments()] == [False, True]


def test_publish__comment_refused_and_nobody_waits__is_told_in_the_check_run(
    server: GitHubServer, monkeypatch: pytest.MonkeyPatch, issue: Issue
) -> None:
    token = server.token("workflow", permissions={**JOB, "issues": "read", "pull_requests": "read"})
    publish(server, monkeypatch, waited_for=False, GITHUB_TOKEN=token)
    (summary,) = summaries(issue, head(server))
    assert summary.startswith(f"{MARKER}\nfine\n> [!WARNING]\n> GitHub refused the comment on pull request #1")


def test_verdict__job_that_may_not_comment__is_told_in_the_check_run_and_once_in_the_log(
    server: GitHubServer, issue: Issue, capsys: pytest.CaptureFixture[str]
) -> None:
    token = server.token("workflow", permissions={**JOB, "issues": "read", "pull_requests": "read"})
    job = reporter.connect(check_of(server), token)
    job.start_check_run("https://c")
    passed: Any = {**verdict.error(job.check, run=RUN, reason="fine"), **PASSED}
    for _ in range(2):
        assert job.post_verdict(passed, MARKER) == ""
    job.finish_check_run(passed, f"{MARKER}\nfine\n")
    (summary,) = summaries(issue, head(server))
    assert "> [!WARNING]\n> GitHub refused the comment on pull request #1" in summary
    assert capsys.readouterr().out.count("GitHub refused the comment") == 1
    assert len(job.warnings) == 1


def test_publish__comment_and_status_refused__is_left_to_the_waiting_job(
    server: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = server.token("workflow", permissions={"contents": "read", "issues": "read"})
    published = publish(server, monkeypatch, GITHUB_TOKEN=token)
    assert published["posted"] is False
    assert len(published["warnings"]) == 2
    assert token not in str(published)


def test_publish__no_credentials__is_left_to_the_waiting_job_without_a_warning(
    server: GitHubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    published = publish(server, monkeypatch)
    assert (published["posted"], published["comment_url"], published["warnings"]) == (False, "", [])
    assert "no GITHUB_TOKEN and no GitHub App in its environment" in capsys.readouterr().out


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
        monkeypatch.setenv("GITHUB_TOKEN", server.token("workflow", permissions=JOB))
        monkeypatch.setenv("GITHUB_API_URL", server.api_url)
        check = check_of(server)
        moved = replace(check, pull_request=replace(check.pull_request, github_api=elsewhere))
        document: Any = {**verdict.error(check, run=RUN, reason="fine"), **PASSED}
        published = posted(moved, document, MARKER)
    assert published["posted"] is False
    assert seen == []


def test_github__connection_refused__is_no_github_exception() -> None:
    """What the gateway relies on: PyGithub lets a broken connection through as requests' own exception."""
    client = github.Github(base_url="http://127.0.0.1:9", retry=None)
    with pytest.raises(requests.RequestException):
        client.get_repo("o/n")
