"""What is read from the local GitHub, and what is told where it cannot be read."""

import pytest

from clearml_ci.core.errors import UsageError
from clearml_ci.github_api import file_contents, git_history, pull_requests, repository_info
from clearml_ci.github_api import session as github_session
from clearml_ci.github_api.session import GitHub, GitHubError
from sandbox.testing.hub import FULL_NAME, JOB, Hub, git
from tests.gateways.job_session import signed_in

POLICY = ".github/clearml-ci.yml"


@pytest.fixture
def job(hub: Hub) -> GitHub:
    return signed_in(hub.server)


def forked(hub: Hub) -> tuple[int, str]:
    """A pull request of a fork that adds `new.py`: its number and its head."""
    fork = hub.user("contributor").get_repo(FULL_NAME).create_fork()
    git(hub.clone, "checkout", "-q", "-b", "outside", "main")
    (hub.clone / "new.py").write_text("new\n")
    git(hub.clone, "add", ".")
    git(hub.clone, "commit", "-q", "-m", "From outside")
    git(hub.clone, "push", "-q", fork.clone_url, "outside")
    seen = hub.user("contributor").get_repo(FULL_NAME)
    pull = seen.create_pull(title="Outside", head="contributor:outside", base="main", body="", draft=True)
    return pull.number, pull.head.sha


# --- pull requests ---------------------------------------------------------------------------------------------


def test_pull__open__has_its_head(hub: Hub, job: GitHub) -> None:
    head = git(hub.clone, "rev-parse", "better")
    one = pull_requests.read(job, 1)
    assert (one.number, one.state, one.merged, one.head_sha, one.base_ref) == (1, "open", False, head, "main")


def test_pull__of_a_deleted_fork__still_has_its_head(hub: Hub, job: GitHub) -> None:
    number, head = forked(hub)
    hub.user("contributor").get_repo("contributor/digits").delete()
    assert pull_requests.read(job, number).head_sha == head


def test_pull__merged__is_closed(hub: Hub, job: GitHub) -> None:
    merge = hub.repository.get_pull(1).merge(merge_method="squash")
    one = pull_requests.read(job, 1)
    assert (one.state, one.merged, one.merge_commit_sha) == ("closed", True, merge.sha)


def test_pull__unknown__says_that_it_may_not_be_seen(job: GitHub) -> None:
    with pytest.raises(GitHubError) as raised:
        pull_requests.read(job, 99)
    assert str(raised.value) == (
        "GitHub refused pull request #99 of octo-owner/digits: 404 Not Found; it does not exist, or the token cannot "
        "read it: the token needs `pull-requests: read` on this repository"
    )


def test_pull__permission_missing__is_named(hub: Hub) -> None:
    hub.repository.edit(private=True)
    with pytest.raises(GitHubError, match=r"403 .*; the token needs `pull-requests: read` on this repository"):
        pull_requests.read(signed_in(hub.server, permissions={"contents": "read"}), 1)


# --- comments and permissions ----------------------------------------------------------------------------------


def test_comments__120_of_them__all_in_order(hub: Hub, job: GitHub) -> None:
    issue = hub.repository.get_issue(1)
    texts = [f"comment {number}" for number in range(120)]
    for text in texts:
        issue.create_comment(text)
    assert pull_requests.comments(job, 1) == [("octo-owner", text) for text in texts]


@pytest.mark.parametrize(
    ("login", "given", "expected"),
    [
        ("octo-owner", None, "admin"),
        ("writer", "push", "write"),
        ("keeper", "maintain", "write"),
        ("sorter", "triage", "read"),
        ("passer-by", None, "read"),
        ("nobody-at-all", None, "none"),
    ],
)
def test_permission__login__is_one_of_four(hub: Hub, job: GitHub, login: str, given: str | None, expected: str) -> None:
    if login != "nobody-at-all":
        hub.server.token("pat", login=login)
    if given:
        hub.repository.add_to_collaborators(login, given)
    assert repository_info.permission(job, login) == expected


def test_permission__stranger_on_a_private_repository__is_none(hub: Hub, job: GitHub) -> None:
    hub.repository.edit(private=True)
    hub.server.token("pat", login="stranger")
    assert repository_info.permission(job, "stranger") == "none"


def test_permission__token_without_push_access__is_told(hub: Hub) -> None:
    token = hub.server.token("personal", login="reader")
    reader = github_session.connect(api_url=hub.server.api_url, token=token, repository=FULL_NAME)
    with pytest.raises(GitHubError, match=r"the permission of octo-owner .*: 403 Must have push access"):
        repository_info.permission(reader, "octo-owner")


# --- files and changes -----------------------------------------------------------------------------------------


def test_file_at__commit_by_commit__is_the_file_of_that_commit(hub: Hub, job: GitHub) -> None:
    without = git(hub.clone, "rev-parse", "main")
    first = hub.commit("main", file=POLICY, text="version: 1\n")
    second = hub.commit("main", file=POLICY, text="version: 1\nproject: Ziffern ✓\n")
    assert file_contents.read(job, path=POLICY, commit=without) is None
    assert file_contents.read(job, path=POLICY, commit=first) == "version: 1\n"
    assert file_contents.read(job, path=POLICY, commit=second) == "version: 1\nproject: Ziffern ✓\n"


def test_file_at__head_of_a_fork__is_read_through_the_base(hub: Hub, job: GitHub) -> None:
    _, sha = forked(hub)
    assert file_contents.read(job, path="new.py", commit=sha) == "new\n"


def test_file_at__unknown_commit__is_told_and_not_taken_for_a_missing_file(job: GitHub) -> None:
    with pytest.raises(GitHubError, match=f"{POLICY} at 0000000000 of {FULL_NAME}: 404 .*`contents: read`"):
        file_contents.read(job, path=POLICY, commit="0" * 40)


def test_file_at__repository_that_the_token_does_not_see__is_told_and_not_taken_for_a_missing_file(hub: Hub) -> None:
    hub.repository.edit(private=True)
    token = hub.server.token("workflow", repository="octo-owner/other", permissions=JOB)
    blind = github_session.connect(api_url=hub.server.api_url, token=token, repository=FULL_NAME)
    with pytest.raises(GitHubError, match="404 Not Found; it does not exist, or the token cannot read it"):
        file_contents.read(blind, path=POLICY, commit=git(hub.clone, "rev-parse", "main"))


def test_file_at__no_commit__is_refused_before_github_answers_for_its_default_branch(job: GitHub) -> None:
    with pytest.raises(ValueError, match="no commit is given"):
        file_contents.read(job, path="train.py", commit="")


@pytest.mark.parametrize(
    ("path", "content", "asked", "says"),
    [
        ("large.yml", b"#" * (2**20 + 1), "large.yml", "has 1,048,577 bytes: make it smaller than 1,048,576"),
        ("latin.yml", "Größe".encode("latin-1"), "latin.yml", r"is not text \(byte 2\): save it as UTF-8"),
        ("folder/a.yml", b"", "folder", "is not a file: replace it by a file"),
    ],
    ids=["too large", "not UTF-8", "directory"],
)
def test_file_at__what_is_no_text_file__is_told(
    hub: Hub, job: GitHub, path: str, content: bytes, asked: str, says: str
) -> None:
    git(hub.clone, "checkout", "-q", "main")
    (hub.clone / path).parent.mkdir(exist_ok=True)
    (hub.clone / path).write_bytes(content)
    sha = hub.commit("main", file="other.txt")
    with pytest.raises(UsageError, match=f"{FULL_NAME}: {asked} at {sha[:10]} {says}"):
        file_contents.read(job, path=asked, commit=sha)


def test_changed_files__ahead__names_old_and_new_paths(hub: Hub, job: GitHub) -> None:
    base = hub.commit("topic", file="docs/old.md", text="some words\n" * 20)
    git(hub.clone, "mv", "docs/old.md", "docs/new.md")
    head = hub.commit("topic", file="README.md")
    assert git_history.changed_files(job, base=base, head=head) == ["README.md", "docs/new.md", "docs/old.md"]
    assert git_history.changed_files(job, base=head, head=head) == []
    assert git_history.changed_files(job, base=head, head=base) == ["README.md", "docs/new.md", "docs/old.md"]


def test_changed_files__head_was_forced__names_also_what_only_the_base_had(hub: Hub, job: GitHub) -> None:
    """GitHub itself compares with the merge base, and would name the documentation alone."""
    base = hub.commit("first", file="train.py", text="better\n")
    head = hub.commit("second", file="README.md", onto="main")
    assert git_history.changed_files(job, base=base, head=head) == ["README.md", "train.py"]


@pytest.mark.parametrize(("count", "told"), [(299, True), (300, False)])
def test_changed_files__as_many_as_github_tells__is_none(hub: Hub, job: GitHub, count: int, told: bool) -> None:
    git(hub.clone, "checkout", "-q", "-b", "many", "main")
    for number in range(count - 1):
        (hub.clone / f"{number}.txt").write_text(str(number))
    head = hub.commit("many")
    found = git_history.changed_files(job, base=git(hub.clone, "rev-parse", "main"), head=head)
    assert (found is not None and len(found) == count) is told


def test_changed_files__unknown_commit__is_told(hub: Hub, job: GitHub) -> None:
    head = git(hub.clone, "rev-parse", "main")
    with pytest.raises(GitHubError, match=f"the comparison of 0000000000 with {head[:10]} of {FULL_NAME}: 404"):
        git_history.changed_files(job, base="0" * 40, head=head)


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_merged_pull__commit_that_a_merge_made__is_the_pull_request_as_events_have_it(
    hub: Hub, job: GitHub, method: str
) -> None:
    head = git(hub.clone, "rev-parse", "better")
    made = hub.repository.get_pull(1).merge(merge_method=method).sha
    found = pull_requests.merge_of(job, made)
    assert found is not None
    assert (found["number"], found["merged"], found["merge_commit_sha"]) == (1, True, made)
    assert (found["head"]["sha"], found["base"]["ref"]) == (head, "main")
    assert found["head"]["repo"]["clone_url"] == hub.repository.clone_url


def test_merged_pull__commit_that_somebody_pushed__is_none(hub: Hub, job: GitHub) -> None:
    assert pull_requests.merge_of(job, git(hub.clone, "rev-parse", "main")) is None
    hub.repository.get_pull(1).merge(merge_method="merge")
    assert pull_requests.merge_of(job, git(hub.clone, "rev-parse", "better")) is None
