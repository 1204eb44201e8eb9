"""The local GitHub, as PyGithub and git see it: shapes, pages, and the refusals of the real one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import github
import pytest
import requests

from sandbox.servers import github_server
from sandbox.testing import hub as hubs
from sandbox.testing.hub import Hub, git

ALL = {"contents": "read", "pull_requests": "write", "issues": "write", "statuses": "write", "checks": "write"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A repository with `main` and the branch `feature`, and a pull request of it."""
    server = github_server.start(tmp_path / "github")
    made = hubs.cloned(server, tmp_path)
    made.commit("feature", file="b.txt", text="b.txt")
    made.repository.create_pull(title="A feature", head="feature", base="main", body="Why not?")
    yield made
    server.stop()


def refused(act: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(github.GithubException) as raised:
        act()
    return raised.value.status, raised.value.data["message"]


def test_pull__pushed_to__has_the_new_head_and_keeps_its_ref(hub: Hub) -> None:
    pull = hub.repository.get_pull(1)
    assert (pull.head.sha, pull.base.ref) == (git(hub.clone, "rev-parse", "feature"), "main")
    assert pull.head.repo.clone_url == hub.repository.clone_url
    pushed = hub.commit("feature", file="c.txt")
    assert hub.repository.get_pull(1).head.sha == pushed
    assert git(hub.clone, "ls-remote", "origin", "refs/pull/1/head").split()[0] == pushed


def test_pull__from_a_fork_that_is_deleted__has_no_head_repository(hub: Hub) -> None:
    token = hub.server.token("personal", login="outsider")
    fork = hub.client(token).get_repo(hub.repository.full_name).create_fork()
    assert (fork.full_name, fork.fork) == ("outsider/digits", True)
    pull = hub.repository.create_pull(title="From outside", head="outsider:feature", base="main")
    assert pull.head.repo.full_name == "outsider/digits"
    head = pull.head.sha
    hub.client(token).get_repo("outsider/digits").delete()
    after = hub.repository.get_pull(pull.number)
    assert after.raw_data["head"]["repo"] is None
    assert after.head.sha == head


def test_pull__branch_that_does_not_exist__is_422(hub: Hub) -> None:
    status, message = refused(lambda: hub.repository.create_pull(title="x", head="nowhere", base="main"))
    assert (status, message) == (422, "Validation Failed")


def test_comments__more_than_one_page__are_all_listed(hub: Hub) -> None:
    issue = hub.repository.get_issue(1)
    for number in range(35):
        issue.create_comment(f"comment {number}")
    assert [comment.body for comment in issue.get_comments()] == [f"comment {number}" for number in range(35)]
    token = {"Authorization": f"token {hub.server.owner_token}"}
    first = requests.get(f"{issue.url}/comments", headers=token, timeout=10)
    assert len(first.json()) == 30
    assert set(first.links) == {"next", "last"}


def test_comment__edited_and_deleted__is_changed_in_place(hub: Hub) -> None:
    issue = hub.repository.get_issue(1)
    comment = issue.create_comment("old")
    comment.edit("new")
    assert [listed.body for listed in issue.get_comments()] == ["new"]
    comment.delete()
    assert issue.get_comments().totalCount == 0


def test_comment__by_a_workflow__is_the_bots(hub: Hub) -> None:
    hub.seen_by("workflow", permissions=ALL).get_issue(1).create_comment("hello")
    (comment,) = hub.repository.get_issue(1).get_comments()
    assert (comment.user.login, comment.user.type) == ("github-actions[bot]", "Bot")


@pytest.mark.parametrize(("length", "status"), [(65_536, 201), (65_537, 422)])
def test_comment__length__is_limited(hub: Hub, length: int, status: int) -> None:
    token = {"Authorization": f"token {hub.server.owner_token}"}
    url = f"{hub.repository.url}/issues/1/comments"
    assert requests.post(url, json={"body": "x" * length}, headers=token, timeout=10).status_code == status


def test_comment__of_somebody_else__cannot_be_edited_without_write_access(hub: Hub) -> None:
    comment = hub.repository.get_issue(1).create_comment("mine")
    token = hub.server.token("personal", login="outsider", permissions=ALL)
    theirs = hub.client(token).get_repo(hub.repository.full_name).get_issue(1).get_comment(comment.id)
    assert refused(lambda: theirs.edit("yours"))[0] == 403


@pytest.mark.parametrize("kind", ["workflow", "app"])
def test_user__token_that_is_no_users__is_403(hub: Hub, kind: str) -> None:
    client = hub.client(hub.server.token(kind, repository=hub.repository.full_name))
    assert refused(lambda: client.get_user().login) == (403, "Resource not accessible by integration")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("workflow", "Resource not accessible by integration"),
        ("personal", "Resource not accessible by personal access token"),
    ],
)
def test_permission__missing__is_403_in_the_kinds_own_words(hub: Hub, kind: str, message: str) -> None:
    repository = hub.seen_by(kind, permissions={"contents": "read", "issues": "read"})
    sha = hub.repository.get_pull(1).head.sha
    assert refused(lambda: repository.get_issue(1).create_comment("x")) == (403, message)
    assert refused(lambda: repository.get_commit(sha).create_status("success")) == (403, message)


def test_token__unknown_or_none__is_401(hub: Hub) -> None:
    assert refused(lambda: hub.client("ghp_wrong").get_repo("octo-owner/digits")) == (401, "Bad credentials")
    assert requests.get(hub.repository.url, timeout=10).status_code == 401


def test_token__of_another_repository__does_not_see_this_one(hub: Hub) -> None:
    hub.repository.edit(private=True)
    client = hub.client(hub.server.token("workflow", repository="octo-owner/other"))
    assert refused(lambda: client.get_repo(hub.repository.full_name)) == (404, "Not Found")


def test_status__set_twice__the_newest_of_a_context_counts(hub: Hub) -> None:
    commit = hub.repository.get_commit(hub.repository.get_pull(1).head.sha)
    assert commit.get_combined_status().state == "pending"
    commit.create_status("pending", context="ClearML CI")
    commit.create_status("success", "https://clearml", "fine", "ClearML CI")
    combined = commit.get_combined_status()
    assert (combined.state, [(status.context, status.description) for status in combined.statuses]) == (
        "success",
        [("ClearML CI", "fine")],
    )
    assert commit.get_statuses().totalCount == 2


def test_status__unknown_commit_or_state__is_422(hub: Hub) -> None:
    token = {"Authorization": f"token {hub.server.owner_token}"}
    url = f"{hub.repository.url}/statuses/"
    sha = hub.repository.get_pull(1).head.sha
    unknown = requests.post(url + "0" * 40, json={"state": "success"}, headers=token, timeout=10)
    assert (unknown.status_code, unknown.json()["message"]) == (422, f"No commit found for SHA: {'0' * 40}")
    assert requests.post(url + sha, json={"state": "green"}, headers=token, timeout=10).status_code == 422
    assert requests.post(url + sha, data="{", headers=token, timeout=10).status_code == 400


def test_check_run__workflow_token__is_created_and_concluded(hub: Hub) -> None:
    repository, sha = hub.seen_by("workflow", permissions=ALL), hub.repository.get_pull(1).head.sha
    run = repository.create_check_run("ClearML CI", sha, status="in_progress")
    run.edit(conclusion="success", output={"title": "passed", "summary": "all good"})
    (found,) = repository.get_commit(sha).get_check_runs()
    assert (found.status, found.conclusion, found.output.summary) == ("completed", "success", "all good")


def test_check_run__personal_token__is_403(hub: Hub) -> None:
    sha = hub.repository.get_pull(1).head.sha
    status, message = refused(lambda: hub.repository.create_check_run("ClearML CI", sha))
    assert (status, message) == (403, "You must authenticate via a GitHub App.")


def test_contents__at_a_ref__are_the_files_of_that_ref(hub: Hub) -> None:
    found = hub.repository.get_contents("b.txt", ref="feature")
    assert not isinstance(found, list)
    assert found.decoded_content == b"b.txt"
    assert refused(lambda: hub.repository.get_contents("b.txt", ref="main"))[0] == 404
    listed = hub.repository.get_contents("", ref="feature")
    assert isinstance(listed, list)
    assert [entry.path for entry in listed] == ["b.txt", "train.py"]


def test_compare__branch_ahead__lists_its_commits_and_files(hub: Hub) -> None:
    compared = hub.repository.compare("main", "feature")
    assert (compared.status, compared.ahead_by, compared.behind_by) == ("ahead", 1, 0)
    assert [(file.filename, file.status) for file in compared.files] == [("b.txt", "added")]
    assert compared.merge_base_commit.sha == git(hub.clone, "rev-parse", "main")


def test_issues__opened_labelled_and_closed__are_found_by_state_and_label(hub: Hub) -> None:
    issue = hub.repository.create_issue("Audit", body="findings", labels=["clearml-ci"])
    assert [found.number for found in hub.repository.get_issues(labels=["clearml-ci"])] == [issue.number]
    issue.add_to_labels("extra")
    issue.remove_from_labels("clearml-ci")
    assert [label.name for label in issue.get_labels()] == ["extra"]
    issue.edit(state="closed")
    assert [found.number for found in hub.repository.get_issues(state="closed")] == [issue.number]


def test_page__pull_request__shows_comment_chart_and_status_and_runs_nothing_foreign(hub: Hub) -> None:
    issue = hub.repository.get_issue(1)
    issue.create_comment(
        "| a | b |\n|:--|--:|\n| 1 | 2 |\n\n> [!WARNING]\n> careful\n\n```mermaid\nxychart-beta\n```\n\n"
        "<details>\n<summary>more</summary>\n\nfolded\n\n</details>\n\n<script>alert(1)</script>"
        '<img src="x" onerror="alert(1)">'
    )
    sha = hub.repository.get_pull(1).head.sha
    hub.repository.get_commit(sha).create_status("failure", "https://clearml.example", "worse", "ClearML CI")
    page = requests.get(f"{hub.server.url}/octo-owner/digits/pull/1", timeout=10).text
    assert '<td align="right">2</td>' in page
    assert 'class="markdown-alert markdown-alert-warning"' in page
    assert '<pre class="mermaid">xychart-beta' in page
    assert "<summary>more</summary>" in page
    assert "alert(1)" not in page
    assert 'href="https://clearml.example"' in page
    assert sha[:7] in page
    assert "not GitHub" in page
    script = requests.get(f"{hub.server.url}/assets/mermaid.js", timeout=10)
    assert script.ok
    assert "xychart-beta" in script.text


@pytest.mark.parametrize("path", ["/octo-owner/digits/pull/9", "/octo-owner/none/pull/1", "/nothing"])
def test_page__that_does_not_exist__is_404(hub: Hub, path: str) -> None:
    assert requests.get(hub.server.url + path, timeout=10).status_code == 404
