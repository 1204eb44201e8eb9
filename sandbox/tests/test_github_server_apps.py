"""GitHub Apps on the local GitHub: who may sign in, what an installation's token may do, and for how long."""

import calendar
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import github
import jwt
import pytest
import requests

from sandbox.servers import github_server
from sandbox.testing import hub as hubs
from sandbox.testing.hub import FULL_NAME, JOB, Hub


@dataclass(frozen=True)
class App:
    id: int
    key: str


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    directory = tmp_path_factory.mktemp("hub")
    server = github_server.start(directory / "github")
    made = hubs.cloned(server, directory)
    made.pull()
    yield made
    server.stop()


@pytest.fixture(scope="module")
def app(hub: Hub) -> App:
    return App(*hub.server.app("checker", permissions=JOB))


def signed(app: App, **changed: Any) -> str:
    """A web token of the App; a claim that is None is left out."""
    now = int(time.time())
    claims = {"iat": now - 60, "exp": now + 300, "iss": str(app.id), **changed}
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, app.key, algorithm="RS256")


def ask(hub: Hub, method: str, path: str, token: str, data: Any = None) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.request(method, hub.server.api_url + path, headers=headers, json=data, timeout=30)


def installation(hub: Hub, app: App) -> int:
    answer = ask(hub, "GET", f"/repos/{FULL_NAME}/installation", signed(app))
    assert answer.status_code == 200
    number: int = answer.json()["id"]
    return number


def minted(hub: Hub, app: App, data: Any = None) -> requests.Response:
    return ask(hub, "POST", f"/app/installations/{installation(hub, app)}/access_tokens", signed(app), data)


def test_app__signed_in__tells_who_it_is(hub: Hub, app: App) -> None:
    found = ask(hub, "GET", "/app", signed(app)).json()
    assert (found["id"], found["slug"], found["permissions"]) == (app.id, "checker", {**JOB, "metadata": "read"})
    assert ask(hub, "GET", "/app", signed(app, iss=found["client_id"])).json()["id"] == app.id
    (listed,) = ask(hub, "GET", "/app/installations", signed(app)).json()
    assert (listed["app_slug"], listed["account"]["login"]) == ("checker", "octo-owner")
    assert ask(hub, "GET", f"/app/installations/{listed['id']}", signed(app)).json()["app_id"] == app.id


@pytest.mark.parametrize(
    ("changed", "status", "message"),
    [
        ({"exp": 601 + 60}, 401, "'Expiration time' claim ('exp') is too far in the future"),
        ({"exp": -1}, 401, "'Expiration time' claim ('exp') must be a numeric value"),
        ({"exp": None}, 401, "'Expiration time' claim ('exp') must be a numeric value"),
        ({"iat": 120}, 401, "'Issued at' claim ('iat') must be an Integer"),
        ({"iat": None}, 401, "'Issued at' claim ('iat') must be an Integer"),
        ({"iss": None}, 401, "'Issuer' claim ('iss') must be an Integer"),
        ({"iss": "1"}, 404, "Integration not found"),
    ],
    ids=["11 minutes", "expired", "no end", "issued tomorrow", "no beginning", "no issuer", "unknown App"],
)
def test_app__claims_that_github_refuses__are_refused_in_its_words(
    hub: Hub, app: App, changed: dict[str, Any], status: int, message: str
) -> None:
    now = int(time.time())
    claims = {name: now + value if isinstance(value, int) else value for name, value in changed.items()}
    answer = ask(hub, "GET", "/app", signed(app, **claims))
    assert (answer.status_code, answer.json()["message"][: len(message)]) == (status, message)


def test_app__signed_with_another_key__cannot_be_decoded(hub: Hub, app: App) -> None:
    other = App(*hub.server.app("other"))
    for token in (
        signed(App(app.id, other.key)),
        jwt.encode({"iss": str(app.id)}, "a secret of thirty-two characters", algorithm="HS256"),
        hub.server.owner_token,
        "",
    ):
        answer = ask(hub, "GET", "/app", token)
        assert (answer.status_code, answer.json()["message"]) == (401, "A JSON web token could not be decoded")


def test_installation__repository_that_the_app_is_not_on__is_404(hub: Hub) -> None:
    elsewhere = App(*hub.server.app("elsewhere", repository="octo-owner/other"))
    assert ask(hub, "GET", f"/repos/{FULL_NAME}/installation", signed(elsewhere)).status_code == 404
    fork = hub.user("contributor").get_repo(FULL_NAME).create_fork()
    everywhere = App(*hub.server.app("everywhere"))
    assert ask(hub, "GET", f"/repos/{fork.full_name}/installation", signed(everywhere)).status_code == 404
    assert ask(hub, "POST", "/app/installations/1/access_tokens", signed(everywhere)).status_code == 404


def test_token__of_an_installation__acts_as_the_bot_and_is_no_user(hub: Hub, app: App) -> None:
    answer = minted(hub, app)
    answered = answer.json()
    assert (answer.status_code, answered["token"][:4], answered["repository_selection"]) == (201, "ghs_", "all")
    client = hub.client(answered["token"])
    comment = client.get_repo(FULL_NAME).get_issue(1).create_comment("hello")
    assert (comment.user.login, comment.user.type) == ("checker[bot]", "Bot")
    assert comment.raw_data["performed_via_github_app"]["id"] == app.id
    with pytest.raises(github.GithubException) as raised:
        client.get_user().login  # noqa: B018  PyGithub asks only now
    assert (raised.value.status, raised.value.message) == (403, "Resource not accessible by integration")


def test_token__through_pygithubs_own_app_client__works(hub: Hub, app: App) -> None:
    auth = github.Auth.AppAuth(app.id, app.key)
    integration = github.GithubIntegration(auth=auth, base_url=hub.server.api_url)
    found = integration.get_repo_installation("octo-owner", "digits")
    issue = integration.get_github_for_installation(found.id).get_repo(FULL_NAME).get_issue(1)
    assert issue.create_comment("hello").user.login == f"{integration.get_app().slug}[bot]"


def test_token__lifetime_over__is_refused(hub: Hub) -> None:
    brief = App(*hub.server.app("brief", token_lifetime=0))
    token = minted(hub, brief).json()["token"]
    answer = ask(hub, "GET", f"/repos/{FULL_NAME}", token)
    assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")


def test_token__lifetime__is_an_hour_unless_told_otherwise(hub: Hub, app: App) -> None:
    expires = time.strptime(minted(hub, app).json()["expires_at"], "%Y-%m-%dT%H:%M:%SZ")
    assert 3000 < calendar.timegm(expires) - time.time() <= 3600


@pytest.mark.parametrize(
    ("requested", "status"),
    [
        ({"permissions": {"statuses": "write"}}, 201),
        ({"permissions": {"contents": "write"}}, 422),
        ({"permissions": {"administration": "read"}}, 422),
        ({"repositories": ["digits"]}, 201),
        ({"repositories": ["nothing"]}, 422),
    ],
    ids=["less", "more", "another", "one repository", "unknown repository"],
)
def test_token__asked_for_less_or_more_than_the_app_has__less_only(
    hub: Hub, app: App, requested: dict[str, Any], status: int
) -> None:
    assert minted(hub, app, requested).status_code == status


def test_token__asked_for_less__may_less(hub: Hub, app: App) -> None:
    token = minted(hub, app, {"permissions": {"statuses": "write"}}).json()["token"]
    answer = ask(hub, "POST", f"/repos/{FULL_NAME}/issues/1/comments", token, {"body": "x"})
    assert (answer.status_code, answer.json()["message"]) == (403, "Resource not accessible by integration")


def test_check_run__of_an_app__is_changed_by_no_other(hub: Hub, app: App) -> None:
    sha = hub.repository.get_pull(1).head.sha
    run = hub.client(minted(hub, app).json()["token"]).get_repo(FULL_NAME).create_check_run("a check", sha)
    assert run.app.id == app.id
    run.edit(status="completed", conclusion="neutral", output={"title": "t", "summary": "s"})
    theirs = hub.seen_by("workflow", permissions=JOB).get_check_run(run.id)
    assert (theirs.status, theirs.conclusion) == ("completed", "neutral")
    with pytest.raises(github.GithubException) as raised:
        theirs.edit(conclusion="success")
    assert raised.value.status == 403


@pytest.mark.parametrize(
    ("summary", "message"),
    [
        ("x" * 65_536, "Invalid request.\n\nOnly 65535 characters are allowed; 65536 were supplied."),
        ("é" * 32_768, "Validation Failed"),
    ],
    ids=["characters", "bytes"],
)
def test_check_run__summary_too_long__is_422(hub: Hub, summary: str, message: str) -> None:
    sha = hub.repository.get_pull(1).head.sha
    output: dict[str, Any] = {"title": "t", "summary": summary}
    with pytest.raises(github.GithubException) as raised:
        hub.seen_by("workflow", permissions=JOB).create_check_run("a check", sha, output=output)
    assert (raised.value.status, raised.value.message) == (422, message)


def test_apps__asked_for_over_http__only_the_owner_gets_one_and_a_name_is_taken_once(hub: Hub) -> None:
    def register(slug: str, token: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return requests.post(f"{hub.server.url}/_sandbox/apps", json={"slug": slug}, headers=headers, timeout=30)

    created = register("by-http", hub.server.owner_token).json()
    assert ask(hub, "GET", "/app", signed(App(created["app_id"], created["private_key"]))).json()["slug"] == "by-http"
    assert register("by-http", hub.server.owner_token).status_code == 422
    assert register("another", hub.server.token("pat", login="outsider")).status_code == 403


def test_fault__lost_reply__is_carried_out_once_and_the_next_one_is_answered(hub: Hub) -> None:
    issue = hub.repository.create_issue("faults")
    hub.server.lose_reply("POST", f"/issues/{issue.number}/comments")
    with pytest.raises(requests.ConnectionError):
        issue.create_comment("lost")
    issue.create_comment("answered")
    assert [comment.body for comment in issue.get_comments()] == ["lost", "answered"]
