"""The audit's issue on the local GitHub stays one: forged markers, concurrent audits, lost responses, many pages."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from github import Auth
from github.Issue import Issue
from github.Repository import Repository
from github.Requester import Requester

from clearml_ci.github_api import issues as github_issues
from clearml_ci.github_api import session as github_session
from clearml_ci.github_api.credentials import App, Credentials
from clearml_ci.github_api.session import GitHub, GitHubError
from sandbox.runtime import github_access
from sandbox.servers.github_server import GitHubServer
from sandbox.testing.hub import FULL_NAME, JOB, Hub, fresh
from sandbox.testing.hub import connect as as_user
from tests.gateways.between import interrupted, paged
from tests.gateways.job_session import signed_in

MARKER = f"<!-- clearml-ci audit: {FULL_NAME} -->"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A repository without an issue or a pull request."""
    made = fresh(tmp_path)
    yield made
    made.server.stop()


def upsert(hub: GitHub, text: str, *, open_: bool = True) -> str:
    return github_issues.upsert(hub, marker=MARKER, title=f"Audit: {text}", body=f"{MARKER}\n{text}", open_=open_)


def issues(hub: Hub) -> list[Issue]:
    return sorted(hub.repository.get_issues(state="all"), key=lambda issue: issue.number)


def reported(hub: Hub) -> list[tuple[str, str]]:
    return [(issue.title, issue.state) for issue in issues(hub) if issue.body.startswith(MARKER)]


def test_upsert__findings_come_change_go_and_come_back__is_one_issue(hub: Hub) -> None:
    as_bot = signed_in(hub.server)
    urls, states = [], []
    for text, open_ in (("one", True), ("two", True), ("well", False), ("well", False), ("three", True)):
        urls.append(upsert(as_bot, text, open_=open_))
        states += reported(hub)
    assert states == [(f"Audit: {text}", state) for text, state in STORY]
    assert len(set(urls)) == 1


STORY = [("one", "open"), ("two", "open"), ("well", "closed"), ("well", "closed"), ("three", "open")]


@pytest.mark.parametrize("carried", [True, False])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_upsert__page_instead_of_an_answer__is_written_once(hub: Hub, method: str, carried: bool) -> None:
    if method == "PATCH":
        upsert(signed_in(hub.server), "one")
    with paged(hub.server.url, method=method, carried=carried) as address:
        assert upsert(signed_in(hub.server, api_url=f"{address}/api/v3"), "two") != ""
    assert reported(hub) == [("Audit: two", "open")]


@pytest.mark.parametrize(("permission", "expected"), [("push", ["two"]), ("triage", ["one", "two"])])
def test_upsert__by_another_user__is_ours_if_that_user_may_write(
    hub: Hub, permission: str, expected: list[str]
) -> None:
    """The steps' agent has written the issue with the token of a person, and the job writes as the workflow."""
    theirs = as_user(hub.server, hub.server.token("personal", login="machine"))
    hub.repository.add_to_collaborators("machine", permission)
    theirs.get_repo(FULL_NAME).create_issue("Audit: one", f"{MARKER}\none")
    upsert(signed_in(hub.server), "two")
    assert reported(hub) == [(f"Audit: {text}", "open") for text in expected]


def test_upsert__no_findings_and_no_issue__opens_nothing(hub: Hub) -> None:
    assert upsert(signed_in(hub.server), "well", open_=False) == ""
    assert issues(hub) == []


@pytest.mark.parametrize("kind", ["workflow", "app", "personal"])
def test_upsert__any_kind_of_token__finds_its_own_issue(hub: Hub, kind: str) -> None:
    for text in ("one", "two"):
        upsert(signed_in(hub.server, kind), text)
    assert reported(hub) == [("Audit: two", "open")]


def test_upsert__marker_copied_by_an_outsider_or_a_pull_request__is_left_alone(hub: Hub, server: GitHubServer) -> None:
    token = server.token("personal", login="outsider", permissions=JOB)
    as_user(server, token).get_repo(FULL_NAME).create_issue("mine", f"{MARKER}\nall is well")
    as_bot = as_user(server, server.token("workflow", repository=FULL_NAME, permissions={**JOB, "contents": "write"}))
    hub.commit("better")
    as_bot.get_repo(FULL_NAME).create_pull(title="pull", head="better", base="main", body=f"{MARKER}\nx")
    upsert(signed_in(server), "the truth")
    assert [(issue.title, issue.body) for issue in issues(hub)][:2] == [
        ("mine", f"{MARKER}\nall is well"),
        ("pull", f"{MARKER}\nx"),
    ]
    assert issues(hub)[2].title == "Audit: the truth"


def test_upsert__response_to_the_create_lost__opens_one(hub: Hub, server: GitHubServer) -> None:
    server.lose_reply("POST", f"/repos/{FULL_NAME}/issues")
    upsert(signed_in(server), "once")
    assert reported(hub) == [("Audit: once", "open")]


@pytest.mark.parametrize("before", [True, False], ids=["before ours", "after ours"])
def test_upsert__another_audit_opens_one_meanwhile__the_oldest_stays(
    hub: Hub, server: GitHubServer, before: bool
) -> None:
    with interrupted(server.url, lambda: upsert(signed_in(server), "theirs"), method="POST", before=before) as address:
        upsert(signed_in(server, api_url=f"{address}/api/v3"), "ours")
    assert reported(hub) == [("Audit: ours" if before else "Audit: theirs", "open")]
    assert [issue.state for issue in issues(hub) if not issue.body.startswith(MARKER)] == ["closed"] * before


@pytest.mark.parametrize("first", ["app", "workflow"])
@pytest.mark.parametrize("before", [True, False], ids=["before ours", "after ours"])
def test_upsert__step_as_an_app_and_job_open_one_at_once__the_oldest_stays(
    hub: Hub, server: GitHubServer, first: str, before: bool
) -> None:
    """The job does not know the App's login."""
    app = App(*map(str, server.app("checker", permissions=JOB)))

    def signed(kind: str, api_url: str) -> GitHub:
        credentials = Credentials(app=app) if kind == "app" else Credentials(token=token)
        return github_session.connect(api_url=api_url, repository=FULL_NAME, credentials=credentials)

    token = server.token("workflow", repository=FULL_NAME, permissions=JOB)
    ours = signed(first, server.api_url)
    theirs = signed("workflow" if first == "app" else "app", server.api_url)
    with interrupted(server.url, lambda: upsert(theirs, "theirs"), method="POST", before=before) as address:
        ours = replace(ours, repository=through(ours, f"{address}/api/v3"))
        upsert(ours, "ours")
    assert reported(hub) == [("Audit: ours" if before else "Audit: theirs", "open")]
    spare = [issue for issue in issues(hub) if not issue.body.startswith(MARKER)]
    assert [(issue.state, "#1" in issue.body) for issue in spare] == [("closed", True)] * before


def through(github: GitHub, address: str) -> Repository:
    """The repository as the same token sees it through a proxy."""
    auth = github.repository.requester.auth
    assert isinstance(auth, Auth.Token)
    return github_access.connect(address, auth.token).get_repo(FULL_NAME)


def test_upsert__older_issue_of_an_app_beside_our_own__the_oldest_stays(hub: Hub, server: GitHubServer) -> None:
    """Whoever opened the second one was killed before it closed it."""
    for author in ("app", "workflow"):
        login = "checker[bot]" if author == "app" else "octo-owner"
        hub.seen_by(author, login=login, permissions=JOB).create_issue("Audit: one", f"{MARKER}\n{author}")
    upsert(signed_in(server), "two")
    assert reported(hub) == [("Audit: two", "open")]
    assert [issue.state for issue in issues(hub)] == ["open", "closed"]


def test_upsert__pages_of_newer_issues_by_the_same_bot__finds_its_own_and_then_on_the_first_page(
    hub: Hub, server: GitHubServer, sent_methods: list[str]
) -> None:
    as_bot = with_pages_of_10(signed_in(server))
    upsert(as_bot, "one")
    fill(hub, 21)
    for text, requests in (("two", 3 + 2), ("three", 1 + 2)):  # its pages, everybody's first, the issue itself
        sent_methods.clear()
        upsert(as_bot, text)
        assert (sent_methods.count("GET"), sent_methods.count("PATCH")) == (requests, 1)
    assert reported(hub) == [("Audit: three", "open")]


def test_upsert__more_pages_than_the_limit__are_not_all_requested(
    hub: Hub, server: GitHubServer, sent_methods: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github_issues, "MOST_PAGES", 2)
    fill(hub, 21)
    sent_methods.clear()
    assert upsert(with_pages_of_10(signed_in(server)), "well", open_=False) == ""
    assert sent_methods.count("GET") == 2 + 1  # pages of the bot's issues, and one of everybody's


def with_pages_of_10(github: GitHub) -> GitHub:
    github.repository.requester.per_page = 10
    return github


def fill(hub: Hub, count: int) -> None:
    """Create issues as the workflow's bot, updated later than the present ones and earlier than all that follow."""
    hub.server.advance_clock(1)
    as_bot = hub.seen_by("workflow", permissions=JOB)
    for number in range(count):
        as_bot.create_issue(f"number {number}", "x")
    hub.server.advance_clock(1)


@pytest.fixture
def sent_methods(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods of all requests that PyGithub sends for issues."""
    methods: list[str] = []
    send = Requester.requestJsonAndCheck

    def recorded(self: Requester, verb: str, url: str, *rest: Any, **more: Any) -> Any:
        methods.extend([verb] if "/issues" in url else [])
        return send(self, verb, url, *rest, **more)

    monkeypatch.setattr(Requester, "requestJsonAndCheck", recorded)
    return methods


def test_upsert__refused__names_the_permission(server: GitHubServer) -> None:
    as_bot = signed_in(server, permissions={"contents": "read", "issues": "read"})
    with pytest.raises(GitHubError) as raised:
        upsert(as_bot, "x")
    assert f"GitHub refused the audit's issue of {FULL_NAME}: 403" in str(raised.value)
    assert "`issues: write`" in str(raised.value)
