"""Pull requests of the local GitHub: state, comments, and the one that a merge commit came from."""

import pytest

from clearml_ci.github_api import pull_requests
from clearml_ci.github_api.session import GitHub, GitHubError
from sandbox.testing.hub import Hub, git
from tests.gateways.job_session import signed_in


@pytest.fixture
def job(hub: Hub) -> GitHub:
    return signed_in(hub.server)


def test_read__open__has_its_head(hub: Hub, job: GitHub) -> None:
    head = git(hub.clone, "rev-parse", "better")
    pull = pull_requests.read(job, 1)
    assert (pull.number, pull.state, pull.merged, pull.head_sha, pull.base_ref) == (1, "open", False, head, "main")


def test_read__of_a_deleted_fork__still_has_its_head(hub: Hub, job: GitHub) -> None:
    pull = hub.pull_from_fork()
    hub.user("contributor").get_repo("contributor/digits").delete()
    assert pull_requests.read(job, pull.number).head_sha == pull.head.sha


def test_read__merged__is_closed(hub: Hub, job: GitHub) -> None:
    merge = hub.repository.get_pull(1).merge(merge_method="squash")
    pull = pull_requests.read(job, 1)
    assert (pull.state, pull.merged, pull.merge_commit_sha) == ("closed", True, merge.sha)


def test_read__unknown__is_reported_as_perhaps_unreadable(job: GitHub) -> None:
    with pytest.raises(GitHubError) as raised:
        pull_requests.read(job, 99)
    assert str(raised.value) == (
        "GitHub refused pull request #99 of octo-owner/digits: 404 Not Found; it does not exist, or the token cannot "
        "read it: the token needs `pull-requests: read` on this repository"
    )


def test_read__permission_missing__is_named(hub: Hub) -> None:
    hub.repository.edit(private=True)
    with pytest.raises(GitHubError, match=r"403 .*; the token needs `pull-requests: read` on this repository"):
        pull_requests.read(signed_in(hub.server, permissions={"contents": "read"}), 1)


def test_comments__several_pages__are_all_read_in_order(hub: Hub, job: GitHub) -> None:
    issue = hub.repository.get_issue(1)
    texts = [f"comment {number}" for number in range(25)]
    job.repository.requester.per_page = 10
    for text in texts:
        issue.create_comment(text)
    found = [(comment.login, comment.body, comment.by_program) for comment in pull_requests.comments(job, 1)]
    assert found == [("octo-owner", text, False) for text in texts]


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_merge_of__commit_that_a_merge_made__is_the_pull_request_as_events_have_it(
    hub: Hub, job: GitHub, method: str
) -> None:
    head = git(hub.clone, "rev-parse", "better")
    made = hub.repository.get_pull(1).merge(merge_method=method).sha
    found = pull_requests.merge_of(job, made)
    assert found is not None
    assert (found["number"], found["merged"], found["merge_commit_sha"]) == (1, True, made)
    assert (found["head"]["sha"], found["base"]["ref"]) == (head, "main")
    assert found["head"]["repo"]["clone_url"] == hub.repository.clone_url


def test_merge_of__commit_that_a_user_pushed__is_none(hub: Hub, job: GitHub) -> None:
    assert pull_requests.merge_of(job, git(hub.clone, "rev-parse", "main")) is None
    hub.repository.get_pull(1).merge(merge_method="merge")
    assert pull_requests.merge_of(job, git(hub.clone, "rev-parse", "better")) is None
