"""The comment on a pull request stays one: concurrent checks, lost responses, forged markers; and its modes."""

import threading
from typing import Any

import pytest
from github.Issue import Issue
from github.Requester import Requester

from clearml_ci.core import comment_mode
from clearml_ci.github_api import pull_request_comment
from clearml_ci.github_api import session as github_session
from clearml_ci.github_api.credentials import App, Credentials
from clearml_ci.github_api.session import GitHub, GitHubError
from sandbox.servers.github_server import GitHubServer
from sandbox.testing.hub import FULL_NAME, JOB, Hub
from sandbox.testing.hub import connect as as_user
from tests.gateways.between import interrupted, paged
from tests.gateways.job_session import MARKER, signed_in


def upsert(hub: GitHub, text: str, *, outcome: str = "passed", mode: str = "always", failure: bool = False) -> str:
    return pull_request_comment.upsert(
        hub,
        pull_request=1,
        commit=hub.repository.get_pull(1).head.sha,
        marker=MARKER,
        body=body(text, outcome),
        mode=mode,
        failure=failure,
    )


def body(text: str, outcome: str = "passed") -> str:
    return f"{MARKER}\n{comment_mode.outcome_line(outcome)}\n{text}"


def as_app(server: GitHubServer) -> GitHub:
    number, key = server.app("checker", permissions=JOB)
    credentials = Credentials(app=App(str(number), key))
    return github_session.connect(api_url=server.api_url, repository=FULL_NAME, credentials=credentials)


def bodies(issue: Issue) -> list[str]:
    return [comment.body for comment in issue.get_comments()]


def test_upsert__second_check__edits_the_comment(server: GitHubServer, issue: Issue) -> None:
    hub = signed_in(server)
    assert upsert(hub, "first") == upsert(hub, "second")
    assert [comment.body for comment in issue.get_comments()] == [body("second")]


@pytest.mark.parametrize("kind", ["workflow", "app", "personal"])
def test_upsert__any_kind_of_token__finds_its_own_comment(server: GitHubServer, issue: Issue, kind: str) -> None:
    upsert(signed_in(server, kind), "first")
    upsert(signed_in(server, kind), "second")
    assert issue.get_comments().totalCount == 1


def test_upsert__behind_pages_of_others__is_found_on_its_page(server: GitHubServer, issue: Issue) -> None:
    for number in range(25):
        issue.create_comment(f"comment {number}")
    hub = signed_in(server)
    hub.repository.requester.per_page = 10
    upsert(hub, "first")
    upsert(hub, "second")
    assert issue.get_comments().totalCount == 26


def test_upsert__marker_copied_by_an_outsider__is_left_alone(server: GitHubServer, issue: Issue) -> None:
    token = server.token("personal", login="outsider", permissions=JOB)
    theirs = as_user(server, token).get_repo(FULL_NAME).get_issue(1)
    theirs.create_comment(f"{MARKER}\nall is well, merge me")
    upsert(signed_in(server), "the truth")
    assert [comment.body for comment in issue.get_comments()] == [
        f"{MARKER}\nall is well, merge me",
        body("the truth"),
    ]


def test_upsert__many_by_an_outsider__cost_one_request_a_look(
    server: GitHubServer, issue: Issue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request for each would use up the token's rate limit."""
    token = server.token("personal", login="outsider", permissions=JOB)
    theirs = as_user(server, token).get_repo(FULL_NAME).get_issue(1)
    for _ in range(20):
        theirs.create_comment(f"{MARKER}\nmine")
    hub = signed_in(server)
    upsert(hub, "the truth")
    asked: list[str] = []
    send = Requester.requestJsonAndCheck

    def recorded(self: Requester, verb: str, url: str, *rest: Any, **more: Any) -> Any:
        asked.extend([url] if "/permission" in url else [])
        return send(self, verb, url, *rest, **more)

    monkeypatch.setattr(Requester, "requestJsonAndCheck", recorded)
    upsert(hub, "the truth again")
    assert (len(asked), issue.get_comments().totalCount) == (1, 21)


def test_upsert__two_of_ours__keeps_the_oldest(server: GitHubServer, issue: Issue) -> None:
    bot = server.token("workflow", repository=FULL_NAME, permissions=JOB)
    as_bot = as_user(server, bot).get_repo(FULL_NAME).get_issue(1)
    oldest = as_bot.create_comment(f"{MARKER}\none")
    as_bot.create_comment(f"{MARKER}\ntwo")
    upsert(signed_in(server), "three")
    assert [(comment.id, comment.body) for comment in issue.get_comments()] == [(oldest.id, body("three"))]


def test_upsert__pull_request_has_moved_on__keeps_the_newer_comment(hub: Hub, issue: Issue) -> None:
    older = hub.repository.get_pull(1).head.sha
    upsert(signed_in(hub.server), "about the newer head")
    hub.commit("better", text="another commit")
    written = pull_request_comment.upsert(
        signed_in(hub.server), pull_request=1, commit=older, marker=MARKER, body=body("about the older head")
    )
    assert written == ""
    assert [comment.body for comment in issue.get_comments()] == [body("about the newer head")]


def test_upsert__refused__names_the_permission(server: GitHubServer) -> None:
    hub = signed_in(server, permissions={"contents": "read", "pull_requests": "read", "statuses": "write"})
    with pytest.raises(GitHubError) as raised:
        upsert(hub, "x")
    assert f"GitHub refused the comment on pull request #1 of {FULL_NAME}: 403" in str(raised.value)
    assert "`pull-requests: write`" in str(raised.value)


@pytest.mark.parametrize("kind", ["workflow", "app", "personal"])
def test_upsert__response_to_the_create_lost__does_not_comment_twice(
    server: GitHubServer, issue: Issue, kind: str
) -> None:
    server.lose_reply("POST", "/issues/1/comments")
    upsert(signed_in(server, kind), "once")
    assert bodies(issue) == [body("once")]


def test_upsert__response_lost_as_an_app__does_not_comment_twice(server: GitHubServer, issue: Issue) -> None:
    hub = as_app(server)
    server.lose_reply("POST", "/issues/1/comments")
    upsert(hub, "once")
    (comment,) = issue.get_comments()
    assert (comment.body, comment.user.login) == (body("once"), "checker[bot]")


def test_upsert__response_to_the_edit_lost__repeats_the_edit(server: GitHubServer, issue: Issue) -> None:
    upsert(signed_in(server), "first")
    (comment,) = issue.get_comments()
    server.lose_reply("PATCH", f"/issues/comments/{comment.id}")
    assert upsert(signed_in(server), "second") == comment.html_url
    assert bodies(issue) == [body("second")]


@pytest.mark.parametrize("before", [True, False], ids=["before ours", "after ours"])
def test_upsert__another_check_comments_meanwhile__one_comment_stays(
    server: GitHubServer, issue: Issue, before: bool
) -> None:
    with interrupted(server.url, lambda: upsert(signed_in(server), "theirs"), method="POST", before=before) as address:
        upsert(signed_in(server, api_url=f"{address}/api/v3"), "ours")
    assert bodies(issue) == [body("ours") if before else body("theirs")]


def test_upsert__another_check_has_cleaned_up_meanwhile__one_comment_stays(server: GitHubServer, issue: Issue) -> None:
    as_bot = as_user(server, server.token("workflow", permissions=JOB)).get_repo(FULL_NAME).get_issue(1)
    as_bot.create_comment(body("one"))
    as_bot.create_comment(body("two"))
    with interrupted(server.url, lambda: upsert(signed_in(server), "theirs"), method="DELETE", before=True) as address:
        upsert(signed_in(server, api_url=f"{address}/api/v3"), "ours")
    assert bodies(issue) == [body("theirs")]


def test_upsert__six_concurrent_checks__one_comment_stays(server: GitHubServer, issue: Issue) -> None:
    hubs = [*(signed_in(server) for _ in range(5)), as_app(server)]
    together = threading.Barrier(len(hubs))
    failures: list[BaseException] = []

    def run(hub: GitHub, text: str) -> None:
        try:
            together.wait()
            upsert(hub, text)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(hub, str(number))) for number, hub in enumerate(hubs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(bodies(issue)) == 1


def test_upsert__same_body__is_not_edited(server: GitHubServer) -> None:
    hub = signed_in(server)
    address = upsert(hub, "same")
    sent: list[str] = []
    with interrupted(server.url, lambda: sent.append("PATCH"), method="PATCH", before=True) as between:
        unchanged = upsert(signed_in(server, api_url=f"{between}/api/v3"), "same")
    assert sent == []
    assert unchanged.rpartition("/")[2] == address.rpartition("/")[2]


@pytest.mark.parametrize(("permission", "ours"), [("push", True), ("triage", False), ("pull", False)])
def test_upsert__by_another_user__is_ours_if_that_user_may_write(
    server: GitHubServer, issue: Issue, permission: str, ours: bool
) -> None:
    """The steps' agent has posted with the token of a person, and the job posts as the workflow."""
    theirs = as_user(server, server.token("personal", login="machine"))
    issue.repository.add_to_collaborators("machine", permission)
    theirs.get_repo(FULL_NAME).get_issue(1).create_comment(body("agent's"))
    upsert(signed_in(server), "job's")
    assert bodies(issue) == ([body("job's")] if ours else [body("agent's"), body("job's")])


@pytest.mark.parametrize("before", [True, False], ids=["before ours", "after ours"])
def test_upsert__an_app_comments_meanwhile__one_comment_stays(server: GitHubServer, issue: Issue, before: bool) -> None:
    """The steps' agent is an App, whose login the job does not know."""
    app = as_app(server)
    with interrupted(server.url, lambda: upsert(app, "step's"), method="POST", before=before) as address:
        upsert(signed_in(server, api_url=f"{address}/api/v3"), "job's")
    assert bodies(issue) == [body("job's" if before else "step's")]


def test_correct__comment_of_an_app__is_corrected_by_the_job(server: GitHubServer, issue: Issue) -> None:
    upsert(as_app(server), "passed [run](http://run)")
    pull_request_comment.correct(
        signed_in(server), pull_request=1, marker=MARKER, url="http://run", change=lambda _: body("error")
    )
    assert bodies(issue) == [body("error")]


def test_upsert__comment_that_a_user_deletes_meanwhile__is_created_anew(server: GitHubServer, issue: Issue) -> None:
    upsert(signed_in(server), "first")

    def delete() -> None:
        for comment in issue.get_comments():
            comment.delete()

    with interrupted(server.url, delete, method="PATCH", before=True) as address:
        upsert(signed_in(server, api_url=f"{address}/api/v3"), "second")
    assert bodies(issue) == [body("second")]


@pytest.mark.parametrize("carried", [True, False])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_upsert__page_instead_of_an_answer__is_written_once(
    server: GitHubServer, issue: Issue, method: str, carried: bool
) -> None:
    if method == "PATCH":
        upsert(signed_in(server), "first")
    with paged(server.url, method=method, carried=carried) as address:
        assert upsert(signed_in(server, api_url=f"{address}/api/v3"), "second") != ""
    assert bodies(issue) == [body("second")]


def test_upsert__by_an_author_of_the_policy__is_ours(server: GitHubServer, issue: Issue) -> None:
    login = "A-Machine"
    theirs = as_user(server, server.token("personal", login=login)).get_repo(FULL_NAME).get_issue(1)
    theirs.create_comment(body("old"))
    token = server.token("workflow", repository=FULL_NAME, permissions=JOB)
    hub = github_session.connect(
        api_url=server.api_url, token=token, repository=FULL_NAME, comment_authors=["a-machine"]
    )
    upsert(hub, "new")
    assert bodies(issue) == [body("new")]


@pytest.mark.parametrize(
    ("mode", "checks", "expected"),
    [
        ("always", ["passed", "regressed"], ["regressed"]),
        ("on-change", ["passed"], []),
        ("on-change", ["passed", "regressed"], ["regressed"]),
        ("on-change", ["regressed", "regressed"], ["regressed"]),
        ("on-failure", ["passed", "improved"], []),
        ("on-failure", ["regressed", "passed"], ["passed"]),
        ("off", ["regressed"], []),
    ],
)
def test_upsert__mode__writes_only_then(
    server: GitHubServer, issue: Issue, mode: str, checks: list[str], expected: list[str]
) -> None:
    hub = signed_in(server)
    for number, outcome in enumerate(checks):
        address = upsert(hub, str(number), outcome=outcome, mode=mode, failure=outcome == "regressed")
    found = list(issue.get_comments())
    assert [comment_mode.outcome_of(comment.body) for comment in found] == expected
    assert address == (found[0].html_url if found else "")


def test_upsert__on_change_without_one__keeps_the_earlier_text(server: GitHubServer, issue: Issue) -> None:
    hub = signed_in(server)
    upsert(hub, "first", outcome="regressed")
    upsert(hub, "second", outcome="regressed", mode="on-change", failure=True)
    upsert(hub, "third", outcome="passed", mode="off")
    assert bodies(issue) == [body("first", "regressed")]


# --- lines that are added after the merge --------------------------------------------------------------------------


def add(hub: GitHub, line: str, *, mode: str = "always", failure: bool = False) -> str:
    return pull_request_comment.edit(
        hub,
        pull_request=1,
        marker=MARKER,
        change=lambda earlier: f"{earlier or body('first')}\n{line}",
        mode=mode,
        failure=failure,
    )


def test_edit__comment_of_the_check__keeps_its_text(server: GitHubServer, issue: Issue) -> None:
    hub = signed_in(server)
    url = upsert(hub, "passed")
    assert add(hub, "merged") == url
    assert bodies(issue) == [f"{body('passed')}\nmerged"]


@pytest.mark.parametrize(
    ("mode", "failure", "comments"),
    [
        ("always", False, 1),
        ("on-change", False, 0),
        ("on-failure", False, 0),
        ("on-failure", True, 1),
        ("off", True, 0),
    ],
)
def test_edit__no_comment_yet__is_created_if_the_mode_comments(
    server: GitHubServer, issue: Issue, mode: str, failure: bool, comments: int
) -> None:
    url = add(signed_in(server), "merged", mode=mode, failure=failure)
    assert (len(bodies(issue)), bool(url)) == (comments, bool(comments))


def test_edit__off__leaves_the_earlier_comment(server: GitHubServer, issue: Issue) -> None:
    hub = signed_in(server)
    url = upsert(hub, "passed")
    assert add(hub, "merged", mode="off", failure=True) == url
    assert bodies(issue) == [body("passed")]
