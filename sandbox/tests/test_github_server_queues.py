"""Merge queues and comment events of the local GitHub, as its webhooks have them."""

import pytest
import requests
from github import GithubException

from sandbox.testing.hub import FULL_NAME, Hub


@pytest.mark.parametrize(
    ("method", "title"),
    [("merge", "Merge pull request #1 from octo-owner/better"), ("squash", "Try better (#1)")],
    ids=["merge", "squash"],
)
def test_merge_group__of_a_pull_request__is_a_commit_on_the_queues_branch(hub: Hub, method: str, title: str) -> None:
    base = hub.repository.get_branch("main").commit.sha
    event = hub.server.merge_group(FULL_NAME, 1, method=method)
    group = event["merge_group"]
    assert (event["action"], group["base_ref"], group["base_sha"]) == ("checks_requested", "refs/heads/main", base)
    assert group["head_ref"] == f"refs/heads/gh-readonly-queue/main/pr-1-{base}"
    assert hub.repository.get_branch(group["head_ref"].removeprefix("refs/heads/")).commit.sha == group["head_sha"]
    made = hub.repository.get_git_commit(group["head_sha"])
    assert (made.tree.sha, made.parents[0].sha) == (group["head_commit"]["tree_id"], base)
    assert made.message.splitlines()[0] == title
    assert hub.repository.get_branch("main").commit.sha == base


def test_merge_group__second_in_the_queue__stands_on_the_first(hub: Hub) -> None:
    hub.commit("second", file="second.py", onto="main")
    hub.repository.create_pull(title="Second", head="second", base="main", body="")
    first = hub.server.merge_group(FULL_NAME, 1)["merge_group"]
    second = hub.server.merge_group(FULL_NAME, 2, after=first["head_sha"])["merge_group"]
    assert second["base_sha"] == first["head_sha"]
    assert second["head_ref"].endswith(f"/pr-2-{first['head_sha']}")
    listed = hub.repository.get_contents("", ref=second["head_sha"])
    assert isinstance(listed, list)
    names = {entry.path for entry in listed}
    assert {"train.py", "second.py"} <= names


def test_end_merge_group__branch__is_gone_and_its_commit_is_not(hub: Hub) -> None:
    group = hub.server.merge_group(FULL_NAME, 1)["merge_group"]
    branch = group["head_ref"].removeprefix("refs/heads/")
    ended = hub.server.end_merge_group(FULL_NAME, branch, "invalidated")
    assert (ended["action"], ended["reason"], ended["merge_group"]) == ("destroyed", "invalidated", group)
    with pytest.raises(GithubException):
        hub.repository.get_branch(branch)
    assert hub.repository.get_commit(group["head_sha"]).create_status("success", context="late").state == "success"
    with pytest.raises(requests.HTTPError, match="404"):
        hub.server.end_merge_group(FULL_NAME, branch)


def test_comment_event__payload__names_pull_request_comment_and_sender(hub: Hub) -> None:
    written = hub.repository.get_issue(1).create_comment("Hello")
    query: dict[str, str | int] = {"repository": FULL_NAME, "number": 1, "comment": written.id}
    event = requests.get(f"{hub.server.url}/_sandbox/events/issue_comment", params=query, timeout=10).json()
    assert (event["action"], event["issue"]["number"], event["comment"]["html_url"]) == ("created", 1, written.html_url)
    assert "pull_request" in event["issue"]
    assert (event["comment"]["body"], event["sender"]["login"]) == ("Hello", "octo-owner")
    wrong = requests.get(f"{hub.server.url}/_sandbox/events/issue_comment", params={**query, "comment": 1}, timeout=10)
    assert wrong.status_code == 404
