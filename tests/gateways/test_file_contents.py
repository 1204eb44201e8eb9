"""Files of the local GitHub at a commit, and the errors about those that cannot be read."""

import pytest

from clearml_ci.core.errors import UsageError
from clearml_ci.github_api import file_contents
from clearml_ci.github_api import session as github_session
from clearml_ci.github_api.session import GitHub, GitHubError
from sandbox.testing.hub import FULL_NAME, JOB, Hub, git
from tests.gateways.job_session import signed_in

POLICY = ".github/clearml-ci.yml"


@pytest.fixture
def job(hub: Hub) -> GitHub:
    return signed_in(hub.server)


def test_read__commit_by_commit__is_the_file_of_that_commit(hub: Hub, job: GitHub) -> None:
    without = git(hub.clone, "rev-parse", "main")
    first = hub.commit("main", file=POLICY, text="version: 1\n")
    second = hub.commit("main", file=POLICY, text="version: 1\nproject: Ziffern ✓\n")
    assert file_contents.read(job, path=POLICY, commit=without) is None
    assert file_contents.read(job, path=POLICY, commit=first) == "version: 1\n"
    assert file_contents.read(job, path=POLICY, commit=second) == "version: 1\nproject: Ziffern ✓\n"


def test_read__head_of_a_fork__is_read_through_the_base(hub: Hub, job: GitHub) -> None:
    sha = hub.pull_from_fork().head.sha
    assert file_contents.read(job, path="new.py", commit=sha) == "new\n"


def test_read__unknown_commit__is_an_error_and_not_a_missing_file(job: GitHub) -> None:
    with pytest.raises(GitHubError, match=f"{POLICY} at 0000000000 of {FULL_NAME}: 404 .*`contents: read`"):
        file_contents.read(job, path=POLICY, commit="0" * 40)


def test_read__repository_that_the_token_cannot_read__is_an_error_and_not_a_missing_file(hub: Hub) -> None:
    hub.repository.edit(private=True)
    token = hub.server.token("workflow", repository="octo-owner/other", permissions=JOB)
    blind = github_session.connect(api_url=hub.server.api_url, token=token, repository=FULL_NAME)
    with pytest.raises(GitHubError, match="404 Not Found; it does not exist, or the token cannot read it"):
        file_contents.read(blind, path=POLICY, commit=git(hub.clone, "rev-parse", "main"))


def test_read__no_commit__is_refused_before_github_answers_for_its_default_branch(job: GitHub) -> None:
    with pytest.raises(ValueError, match="no commit is given"):
        file_contents.read(job, path="train.py", commit="")


@pytest.mark.parametrize(
    ("path", "content", "requested", "message"),
    [
        ("large.yml", b"#" * (2**20 + 1), "large.yml", "has 1,048,577 bytes: make it smaller than 1,048,576"),
        ("latin.yml", "Größe".encode("latin-1"), "latin.yml", r"is not text \(byte 2\): save it as UTF-8"),
        ("folder/a.yml", b"", "folder", "is not a file: replace it by a file"),
    ],
    ids=["too large", "not UTF-8", "directory"],
)
def test_read__path_that_is_no_text_file__is_reported(
    hub: Hub, job: GitHub, path: str, content: bytes, requested: str, message: str
) -> None:
    git(hub.clone, "checkout", "-q", "main")
    (hub.clone / path).parent.mkdir(exist_ok=True)
    (hub.clone / path).write_bytes(content)
    sha = hub.commit("main", file="other.txt")
    with pytest.raises(UsageError, match=f"{FULL_NAME}: {requested} at {sha[:10]} {message}"):
        file_contents.read(job, path=requested, commit=sha)
