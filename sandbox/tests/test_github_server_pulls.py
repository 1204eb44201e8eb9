"""Pull requests, code, labels and events of the local GitHub, through the real PyGithub and real git."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from github import GithubException

from sandbox.testing import hub as hubs
from sandbox.testing.hub import FULL_NAME, JOB, Hub, git


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = hubs.fresh(tmp_path)
    yield made
    made.server.stop()


def test_pull__pushed_again__head_and_its_ref_follow(hub: Hub) -> None:
    first = hub.commit("better", text="one\n")
    pull = hub.repository.create_pull(title="Better", head="better", base="main", body="Why")
    second = hub.commit("better", text="two\n")
    updated = hub.repository.get_pull(pull.number)
    assert (pull.head.sha, updated.head.sha) == (first, second)
    assert hub.repository.get_git_ref(f"pull/{pull.number}/head").object.sha == second
    assert (updated.base.ref, updated.body, updated.user.login, updated.draft, updated.merged) == (
        "main",
        "Why",
        "octo-owner",
        False,
        False,
    )
    assert updated.mergeable is True
    assert updated.raw_data["author_association"] == "OWNER"


def test_pull__fork_deleted__head_repository_is_null_and_commit_stays(hub: Hub) -> None:
    fork = hub.user("contributor").get_repo(FULL_NAME).create_fork()
    git(hub.clone, "checkout", "-q", "-b", "outside")
    (hub.clone / "new.py").write_text("new\n")
    git(hub.clone, "add", ".")
    git(hub.clone, "commit", "-q", "-m", "From outside")
    git(hub.clone, "push", "-q", fork.clone_url, "outside")
    sha = git(hub.clone, "rev-parse", "HEAD")
    seen = hub.user("contributor").get_repo(FULL_NAME)
    pull = seen.create_pull(title="Outside", head="contributor:outside", base="main", body="")
    assert (pull.head.label, pull.head.repo.full_name, pull.head.repo.parent.full_name) == (
        "contributor:outside",
        "contributor/digits",
        FULL_NAME,
    )
    assert pull.raw_data["author_association"] == "NONE"
    fork.delete()
    after = hub.repository.get_pull(pull.number)
    assert (after.raw_data["head"]["repo"], after.head.sha, after.head.user.login) == (None, sha, "contributor")
    assert [file.filename for file in after.get_files()] == ["new.py"]


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_merge__each_method__main_moves_and_both_commits_find_the_pull_request(hub: Hub, method: str) -> None:
    pull = hub.pull()
    hub.commit("main", file="other.py")
    merged = pull.merge(merge_method=method)
    after = hub.repository.get_pull(pull.number)
    main = hub.repository.get_branch("main").commit
    assert (merged.merged, after.merged, after.state) == (True, True, "closed")
    assert after.merge_commit_sha == merged.sha == main.sha
    assert after.merged_at is not None
    assert len(main.commit.parents) == (2 if method == "merge" else 1)
    for sha in (pull.head.sha, main.sha):
        assert [found.number for found in hub.repository.get_commit(sha).get_pulls()] == [pull.number]
    assert [event.event for event in after.get_issue_events()] == ["merged", "closed"]
    assert after.commits == 1


def test_merge__conflict__refused_and_told_before(hub: Hub) -> None:
    pull = hub.pull()
    hub.commit("main", text="otherwise\n")
    assert hub.repository.get_pull(pull.number).mergeable is False
    with pytest.raises(GithubException, match="not mergeable") as refusal:
        pull.merge()
    assert refusal.value.status == 405


def test_merge__head_moved_since__conflict(hub: Hub) -> None:
    pull = hub.pull()
    hub.commit("better", text="again\n")
    with pytest.raises(GithubException, match="Head branch was modified") as refusal:
        pull.merge(sha=pull.head.sha)
    assert refusal.value.status == 409


def test_closed_pull__branch_moves_on__head_stays(hub: Hub) -> None:
    pull = hub.pull()
    pull.edit(state="closed", title="Not now")
    hub.commit("better", text="later\n")
    after = hub.repository.get_pull(pull.number)
    assert (after.state, after.title, after.head.sha) == ("closed", "Not now", pull.head.sha)
    after.edit(state="open")
    assert hub.repository.get_pull(pull.number).head.sha != pull.head.sha


def test_list_pulls__filters__only_those(hub: Hub) -> None:
    numbers = [hub.pull(name).number for name in ("one", "two", "three")]
    hub.repository.get_pull(numbers[0]).edit(state="closed")
    assert [found.number for found in hub.repository.get_pulls()] == [numbers[2], numbers[1]]
    assert [found.number for found in hub.repository.get_pulls(state="all", head="octo-owner:one")] == [numbers[0]]
    assert [found.number for found in hub.repository.get_pulls(state="closed")] == [numbers[0]]


def test_comments__more_than_a_page__all_of_them_in_order(hub: Hub) -> None:
    issue = hub.repository.get_issue(hub.pull().number)
    for number in range(31):
        issue.create_comment(f"comment {number}")
    assert [comment.body for comment in issue.get_comments()] == [f"comment {number}" for number in range(31)]
    headers = {"Authorization": f"Bearer {hub.server.owner_token}"}
    answer = requests.get(f"{issue.url}/comments?per_page=10&page=2", headers=headers, timeout=30)
    assert {rel: link["url"][-1] for rel, link in ((rel, answer.links[rel]) for rel in answer.links)} == {
        "prev": "1",
        "first": "1",
        "next": "3",
        "last": "4",
    }


def test_statuses__two_contexts__combined_is_the_worst_of_the_newest(hub: Hub) -> None:
    commit = hub.repository.get_commit(hub.pull().head.sha)
    assert commit.get_combined_status().state == "pending"
    for context, state in (("ci", "failure"), ("ci", "success"), ("lint", "success")):
        commit.create_status(state=state, context=context, description="judged", target_url="http://127.0.0.1/run")
    combined = commit.get_combined_status()
    assert (combined.state, combined.total_count) == ("success", 2)
    assert [status.state for status in commit.get_statuses()] == ["success", "success", "failure"]
    commit.create_status(state="error", context="lint")
    assert commit.get_combined_status().state == "failure"


def test_check_run__workflow_token__created_completed_and_listed(hub: Hub) -> None:
    repository = hub.seen_by("workflow", permissions=JOB)
    head = hub.pull().head.sha
    run = repository.create_check_run("ClearML CI", head, status="in_progress", details_url="http://127.0.0.1/run")
    run.edit(status="completed", conclusion="success", output={"title": "passed", "summary": "| a |\n|--|"})
    [found] = repository.get_commit(head).get_check_runs(check_name="ClearML CI")
    assert (found.status, found.conclusion, found.output.title) == ("completed", "success", "passed")
    assert (found.app.slug, found.completed_at is not None) == ("github-actions", True)


def test_labels__added_and_removed__events_tell(hub: Hub) -> None:
    pull = hub.pull()
    pull.add_to_labels("approved", "bug")
    pull.remove_from_labels("bug")
    assert [label.name for label in hub.repository.get_pull(pull.number).labels] == ["approved"]
    events = [(event.event, event.label and event.label.name) for event in pull.as_issue().get_events()]
    assert events == [("labeled", "approved"), ("labeled", "bug"), ("unlabeled", "bug")]
    assert hub.repository.get_label("approved").color == "ededed"


def test_issues__filters_and_order__by_label_state_creator_and_change(hub: Hub) -> None:
    audit = hub.repository.create_issue("Audit", body="- [ ] one", labels=["audit"])
    hub.user("visitor").get_repo(FULL_NAME).create_issue("Question")
    assert [found.title for found in hub.repository.get_issues(labels=["audit"])] == ["Audit"]
    assert [found.title for found in hub.repository.get_issues(creator=hub.repository.get_issue(2).user)] == [
        "Question"
    ]
    assert [found.title for found in hub.repository.get_issues()] == ["Question", "Audit"]
    hub.server.advance_clock(1)
    audit.edit(state="closed")
    assert [found.title for found in hub.repository.get_issues(state="closed")] == ["Audit"]
    assert [found.title for found in hub.repository.get_issues(state="all", sort="updated")] == ["Audit", "Question"]
    assert audit.closed_by is not None
    assert audit.closed_by.login == "octo-owner"


def test_contents__at_a_ref__file_directory_or_missing(hub: Hub) -> None:
    sha = hub.commit("policy", file=".github/clearml-ci.yml", text="gates: []\n")
    file = hub.repository.get_contents(".github/clearml-ci.yml", ref=sha)
    assert not isinstance(file, list)
    assert file.decoded_content == b"gates: []\n"
    listed = hub.repository.get_contents("", ref="policy")
    assert isinstance(listed, list)
    assert {entry.path: entry.type for entry in listed} == {".github": "dir", "train.py": "file"}
    for path, ref in ((".github/clearml-ci.yml", "main"), ("train.py", "nowhere")):
        with pytest.raises(GithubException) as refusal:  # an UnknownObjectException only with the text "Not Found"
            hub.repository.get_contents(path, ref=ref)
        assert refusal.value.status == 404


def test_compare__diverged__counts_merge_base_and_files(hub: Hub) -> None:
    start = hub.repository.get_branch("main").commit.sha
    hub.commit("better", text="one\ntwo\n")
    hub.commit("main", file="other.py")
    found = hub.repository.compare("main", "better")
    assert (found.status, found.ahead_by, found.behind_by, found.merge_base_commit.sha) == ("diverged", 1, 1, start)
    [file] = found.files
    assert (file.filename, file.status, file.additions, file.deletions) == ("train.py", "modified", 2, 1)
    assert file.patch.startswith("@@")
    assert found.commits[0].author.login == "developer"


def test_files__renamed_added_removed__named_as_github_does(hub: Hub) -> None:
    git(hub.clone, "checkout", "-q", "-b", "moved")
    git(hub.clone, "mv", "train.py", "trän file.py")
    hub.commit("moved", file="new.bin", text="diff --git a b\n")
    pull = hub.repository.create_pull(title="Moved", head="moved", base="main", body="")
    files = {file.filename: (file.status, file.previous_filename) for file in pull.get_files()}
    assert files == {"new.bin": ("added", None), "trän file.py": ("renamed", "train.py")}
    assert (pull.commits, pull.changed_files) == (1, 2)


def test_collaborators__roles__permission_of_each(hub: Hub) -> None:
    hub.user("maintainer"), hub.user("visitor")
    hub.repository.add_to_collaborators("maintainer", "push")
    roles = {name: hub.repository.get_collaborator_permission(name) for name in ("octo-owner", "maintainer", "visitor")}
    assert roles == {"octo-owner": "admin", "maintainer": "write", "visitor": "read"}


def test_event__labeled__payload_as_a_workflow_reads_it(hub: Hub) -> None:
    hub.user("maintainer")
    hub.repository.add_to_collaborators("maintainer", "push")
    pull = hub.pull()
    hub.user("maintainer").get_repo(FULL_NAME).get_pull(pull.number).add_to_labels("run on agents")
    payload = hub.server.event(FULL_NAME, pull.number, "labeled")
    assert (payload["action"], payload["number"], payload["label"]["name"]) == ("labeled", pull.number, "run on agents")
    assert (payload["sender"]["login"], payload["repository"]["full_name"]) == ("maintainer", FULL_NAME)
    assert payload["pull_request"]["head"]["sha"] == pull.head.sha


def test_event__synchronize__before_and_after(hub: Hub) -> None:
    pull = hub.pull()
    after = hub.commit("better", text="again\n")
    payload = hub.server.event(FULL_NAME, pull.number, "synchronize")
    assert (payload["before"], payload["after"], payload["pull_request"]["head"]["sha"]) == (
        pull.head.sha,
        after,
        after,
    )


def test_tokens__asked_for_over_http__work_and_only_the_owner_gets_them(hub: Hub) -> None:
    request = {"kind": "workflow", "repository": FULL_NAME, "permissions": {"pull-requests": "write"}}
    address = f"{hub.server.url}/_sandbox/tokens"
    owner = {"Authorization": f"token {hub.server.owner_token}"}
    token = requests.post(address, json=request, headers=owner, timeout=30).json()["token"]
    comment = hub.client(token).get_repo(FULL_NAME).get_issue(hub.pull().number).create_comment("ok")
    assert comment.user.login == "github-actions[bot]"
    others = {"Authorization": f"token {token}"}
    assert requests.post(address, json=request, headers=others, timeout=30).status_code == 403


def test_addresses__server_asked_as_localhost__answers_stay_there(hub: Hub) -> None:
    token = {"Authorization": f"token {hub.server.owner_token}"}
    address = hub.server.api_url.replace("127.0.0.1", "localhost")
    found = requests.get(f"{address}/repos/{FULL_NAME}", headers=token, timeout=30).json()
    assert found["url"] == f"{address}/repos/{FULL_NAME}"
    assert found["clone_url"] == hub.repository.clone_url


def test_page__pull_request__shows_conversation_and_checks(hub: Hub) -> None:
    pull = hub.pull(body="Because `x`")
    pull.create_issue_comment("| a | b |\n|:--|--:|\n| 1 | 2 |\n\n<script>alert(1)</script>")
    hub.repository.get_commit(pull.head.sha).create_status(
        state="failure", context="ClearML CI", description="regressed"
    )
    page = requests.get(pull.html_url, timeout=30)
    assert page.status_code == 200
    for part in (
        '<td align="right">2</td>',
        "ClearML CI",
        "regressed",
        "not GitHub",
        "Some checks were not successful",
    ):
        assert part in page.text
    assert "alert(1)" not in page.text
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]
    for path in ("/", "/assets/mermaid.js", f"/{FULL_NAME}/commit/{pull.head.sha}", f"/{FULL_NAME}"):
        assert requests.get(hub.server.url + path, timeout=30).status_code == 200
    assert requests.get(f"{hub.server.url}/{FULL_NAME}/pull/99", timeout=30).status_code == 404


def test_commit__of_a_fork__is_read_through_the_base_by_its_hash(hub: Hub) -> None:
    """Also without a pull request that proposes it; by its branch's name it is not found."""
    fork = hub.user("contributor").get_repo(FULL_NAME).create_fork()
    git(hub.clone, "checkout", "-q", "-b", "outside")
    (hub.clone / "new.py").write_text("new\n")
    git(hub.clone, "add", ".")
    git(hub.clone, "commit", "-q", "-m", "From outside")
    git(hub.clone, "push", "-q", fork.clone_url, "outside")
    sha = git(hub.clone, "rev-parse", "HEAD")
    found = hub.repository.get_contents("new.py", ref=sha)
    assert not isinstance(found, list)
    assert found.decoded_content == b"new\n"
    assert [file.filename for file in hub.repository.compare("main", sha).files] == ["new.py"]
    assert hub.repository.get_commit(sha).get_pulls().totalCount == 0
    with pytest.raises(GithubException) as raised:
        hub.repository.get_contents("new.py", ref="outside")
    assert raised.value.status == 404


def test_contents__beyond_a_mebibyte__come_without_their_content(hub: Hub) -> None:
    sha = hub.commit("large", file="large.txt", text="x" * (2**20 + 1))
    found = hub.repository.get_contents("large.txt", ref=sha)
    assert not isinstance(found, list)
    assert (found.size, found.encoding, found.content) == (2**20 + 1, "none", "")


def test_compare__more_than_300_files__the_rest_is_left_out(hub: Hub) -> None:
    git(hub.clone, "checkout", "-q", "-b", "many")
    for number in range(301):
        (hub.clone / f"{number}.txt").write_text(str(number))
    sha = hub.commit("many")
    assert len(hub.repository.compare("main", sha).files) == 300


def test_copy__of_a_local_github__has_its_content_and_changes_apart(hub: Hub, tmp_path: Path) -> None:
    pull = hub.pull("better", body="first")
    head = pull.head.sha
    other = hub.copy(tmp_path / "copy")
    pull.edit(body="second")
    hub.commit("better", text="third")
    copied = other.repository.get_pull(pull.number)
    assert (copied.body, copied.head.sha, other.server.owner_token) == ("first", head, hub.server.owner_token)
    other.commit("better", text="fourth")
    assert len({head, other.repository.get_pull(1).head.sha, hub.repository.get_pull(1).head.sha}) == 3
    other.server.stop()
