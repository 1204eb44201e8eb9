"""A verdict on the local GitHub: comment, status and check run, and the warnings about those that it refuses."""

import os
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask, Response, request
from github.Issue import Issue
from github.Repository import Repository

from clearml_ci.core.documents import RunDocument
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.step_results import Posted
from clearml_ci.decisions import verdict
from clearml_ci.job import reporter
from clearml_ci.operations import github_access, run_report
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import PullRequest
from clearml_ci.report import comment as markdown
from sandbox.servers.github_server import GitHubServer
from sandbox.testing.hub import FULL_NAME, JOB
from sandbox.testing.hub import connect as as_user
from tests.gateways.between import served
from tests.gateways.job_session import MARKER


def owned(server: GitHubServer) -> Repository:
    return as_user(server, server.owner_token).get_repo("octo-owner/digits")


def head(server: GitHubServer) -> str:
    return owned(server).get_pull(1).head.sha


PASSED = {"outcome": Outcome.PASSED, "state": "success", "exit_code": 0}
RUN: RunDocument = {"id": "r", "url": "https://c"}


def summaries(issue: Issue, commit: str) -> list[str]:
    """Of the commit's check runs, without the signs that keep text from being Markdown or a reference."""
    return [
        run.output.summary.replace("\\", "").replace("\u2060", "")
        for run in issue.repository.get_commit(commit).get_check_runs()
    ]


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
        comment.body.splitlines()[0].removeprefix(f"<!-- clearml-ci: {FULL_NAME}#1") for comment in issue.get_comments()
    ]
    assert comments == [" digits -->", " letters -->", " -->"]
    expected = {"ClearML CI", "ClearML CI: digits", "ClearML CI: letters"}
    assert {status.context for status in commit.get_combined_status().statuses} == expected
    assert {run.name.removesuffix(" / verdict") for run in commit.get_check_runs()} == expected


def test_publish__merge_of_a_name__is_a_line_of_its_own_comment(server: GitHubServer, issue: Issue) -> None:
    token = server.token("workflow", permissions=JOB)
    for name in ("digits", "letters"):
        check = replace(check_of(server), name=name)
        for about in (check, replace(check, action="promote", merge_commit=check.commit)):
            if (name, about.action) != ("digits", "promote"):
                document = verdict.error(about, run=RUN, reason="fine")
                reporter.connect(about, token).post_verdict(document, markdown.comment(document, []))
    assert ["**Merged as" in comment.body for comment in issue.get_comments()] == [False, True]


def test_publish__comment_refused_and_no_job_waits__is_reported_in_the_check_run(
    server: GitHubServer, monkeypatch: pytest.MonkeyPatch, issue: Issue
) -> None:
    token = server.token("workflow", permissions={**JOB, "issues": "read", "pull_requests": "read"})
    publish(server, monkeypatch, waited_for=False, GITHUB_TOKEN=token)
    (summary,) = summaries(issue, head(server))
    assert summary.startswith(f"{MARKER}\nfine\n> [!WARNING]\n> GitHub refused the comment on pull request #1")


def test_verdict__job_that_may_not_comment__is_reported_in_the_check_run_and_once_in_the_log(
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
