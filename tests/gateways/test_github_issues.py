"""The audit's one issue, against the local GitHub: updated, closed, opened again; strangers, races, lost replies."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from github.Issue import Issue
from github.Requester import Requester

from clearml_ci.github_api import git_history
from clearml_ci.github_api import issues as github_issues
from clearml_ci.github_api.session import GitHub, GitHubError
from sandbox.servers import github_server
from sandbox.servers.github_server import GitHubServer
from sandbox.testing.hub import FULL_NAME, JOB, Hub, cloned
from sandbox.testing.hub import connect as as_user
from tests.gateways.between import interrupted
from tests.gateways.job_session import signed_in

MARKER = f"<!-- clearml-ci audit: {FULL_NAME} -->"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = cloned(github_server.start(tmp_path / "github"), tmp_path)
    yield made
    made.server.stop()


def upsert(hub: GitHub, text: str, *, open_: bool = True) -> str:
    return github_issues.upsert(hub, marker=MARKER, title=f"Audit: {text}", body=f"{MARKER}\n{text}", open_=open_)


def issues(hub: Hub) -> list[Issue]:
    return sorted(hub.repository.get_issues(state="all"), key=lambda one: one.number)


def told(hub: Hub) -> list[tuple[str, str]]:
    return [(one.title, one.state) for one in issues(hub) if one.body.startswith(MARKER)]


def test_upsert__findings_come_change_go_and_come_back__is_one_issue(hub: Hub) -> None:
    as_bot = signed_in(hub.server)
    urls, states = [], []
    for text, open_ in (("one", True), ("two", True), ("well", False), ("well", False), ("three", True)):
        urls.append(upsert(as_bot, text, open_=open_))
        states += told(hub)
    assert states == [(f"Audit: {text}", state) for text, state in STORY]
    assert len(set(urls)) == 1


STORY = [("one", "open"), ("two", "open"), ("well", "closed"), ("well", "closed"), ("three", "open")]


def test_upsert__all_is_well_and_nothing_was_told__opens_nothing(hub: Hub) -> None:
    assert upsert(signed_in(hub.server), "well", open_=False) == ""
    assert issues(hub) == []


@pytest.mark.parametrize("kind", ["workflow", "app", "personal"])
def test_upsert__any_kind_of_token__finds_its_own_issue(hub: Hub, kind: str) -> None:
    for text in ("one", "two"):
        upsert(signed_in(hub.server, kind), text)
    assert told(hub) == [("Audit: two", "open")]


def test_upsert__marker_copied_by_a_stranger_or_a_pull_request__is_left_alone(hub: Hub, server: GitHubServer) -> None:
    token = server.token("personal", login="stranger", permissions=JOB)
    as_user(server, token).get_repo(FULL_NAME).create_issue("mine", f"{MARKER}\nall is well")
    as_bot = as_user(server, server.token("workflow", repository=FULL_NAME, permissions={**JOB, "contents": "write"}))
    hub.commit("better")
    as_bot.get_repo(FULL_NAME).create_pull(title="pull", head="better", base="main", body=f"{MARKER}\nx")
    upsert(signed_in(server), "the truth")
    assert [(one.title, one.body) for one in issues(hub)][:2] == [
        ("mine", f"{MARKER}\nall is well"),
        ("pull", f"{MARKER}\nx"),
    ]
    assert issues(hub)[2].title == "Audit: the truth"


def test_upsert__reply_to_the_create_lost__opens_one(hub: Hub, server: GitHubServer) -> None:
    server.lose_reply("POST", f"/repos/{FULL_NAME}/issues")
    upsert(signed_in(server), "once")
    assert told(hub) == [("Audit: once", "open")]


@pytest.mark.parametrize("before", [True, False], ids=["before ours", "after ours"])
def test_upsert__another_audit_opens_one_meanwhile__the_oldest_stays(
    hub: Hub, server: GitHubServer, before: bool
) -> None:
    with interrupted(server.url, lambda: upsert(signed_in(server), "theirs"), method="POST", before=before) as address:
        upsert(signed_in(server, api_url=f"{address}/api/v3"), "ours")
    assert told(hub) == [("Audit: ours" if before else "Audit: theirs", "open")]
    assert [one.state for one in issues(hub) if not one.body.startswith(MARKER)] == ["closed"] * before


def test_upsert__hundreds_of_newer_issues_by_the_same_bot__finds_its_own_and_then_at_once(
    hub: Hub, server: GitHubServer, asked: list[str]
) -> None:
    as_bot = signed_in(server)
    upsert(as_bot, "one")
    fill(hub, 210)
    for text, requests in (("two", 3 + 1), ("three", 1 + 1)):  # pages, and the issue itself
        asked.clear()
        upsert(as_bot, text)
        assert (asked.count("GET"), asked.count("PATCH")) == (requests, 1)
    assert told(hub) == [("Audit: three", "open")]


def test_upsert__more_issues_than_are_worth_asking_for__are_not_all_listed(
    hub: Hub, server: GitHubServer, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github_issues, "MOST_PAGES", 2)
    fill(hub, 210)
    asked.clear()
    assert upsert(signed_in(server), "well", open_=False) == ""
    assert asked.count("GET") == 2


def fill(hub: Hub, number: int) -> None:
    """So many issues of the workflow's bot, which changed after those that are there and before all that comes."""
    time.sleep(1.1)  # GitHub tells seconds
    for one in range(number):
        hub.seen_by("workflow", permissions=JOB).create_issue(f"number {one}", "x")
    time.sleep(1.1)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods of all requests that PyGithub sends for issues."""
    sent: list[str] = []
    send = Requester.requestJsonAndCheck

    def noted(self: Requester, verb: str, url: str, *rest: Any, **more: Any) -> Any:
        sent.extend([verb] if "/issues" in url else [])
        return send(self, verb, url, *rest, **more)

    monkeypatch.setattr(Requester, "requestJsonAndCheck", noted)
    return sent


def test_upsert__refused__names_the_permission(server: GitHubServer) -> None:
    as_bot = signed_in(server, permissions={"contents": "read", "issues": "read"})
    with pytest.raises(GitHubError) as raised:
        upsert(as_bot, "x")
    assert f"GitHub refused the audit's issue of {FULL_NAME}: 403" in str(raised.value)
    assert "`issues: write`" in str(raised.value)


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_recent_commits__of_main__hold_the_heads_that_were_merged(hub: Hub, method: str) -> None:
    pull = hub.pull("better")
    other = hub.commit("lonely")
    pull.merge(merge_method=method)
    recent = git_history.recent_commits(signed_in(hub.server), "main")
    assert pull.head.sha in recent and other not in recent
    assert recent[0] == hub.repository.get_branch("main").commit.sha
