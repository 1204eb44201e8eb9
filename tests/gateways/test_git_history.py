"""The git history of the local GitHub: changed files and recent commits."""

import pytest

from clearml_ci.core.merge import Merge
from clearml_ci.github_api import git_history, merge_history
from clearml_ci.github_api.session import GitHub, GitHubError
from sandbox.testing.hub import FULL_NAME, Hub, git
from tests.gateways.job_session import signed_in


@pytest.fixture
def job(hub: Hub) -> GitHub:
    return signed_in(hub.server)


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


@pytest.mark.parametrize(("count", "listed"), [(299, True), (300, False)])
def test_changed_files__as_many_as_github_lists__is_none(hub: Hub, job: GitHub, count: int, listed: bool) -> None:
    git(hub.clone, "checkout", "-q", "-b", "many", "main")
    for number in range(count - 1):
        (hub.clone / f"{number}.txt").write_text(str(number))
    head = hub.commit("many")
    found = git_history.changed_files(job, base=git(hub.clone, "rev-parse", "main"), head=head)
    assert (found is not None and len(found) == count) is listed


def test_changed_files__unknown_commit__is_reported(hub: Hub, job: GitHub) -> None:
    head = git(hub.clone, "rev-parse", "main")
    with pytest.raises(GitHubError, match=f"the comparison of 0000000000 with {head[:10]} of {FULL_NAME}: 404"):
        git_history.changed_files(job, base="0" * 40, head=head)


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_recent__of_main__hold_the_heads_that_were_merged(hub: Hub, method: str) -> None:
    pull = hub.pull("improved")
    other = hub.commit("lonely")
    pull.merge(merge_method=method)
    recent = merge_history.recent(signed_in(hub.server), "main").commits
    assert pull.head.sha in recent and other not in recent
    assert recent[0] == hub.repository.get_branch("main").commit.sha


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_recent__merges_of_main__are_in_their_order_each_with_its_pull_request(hub: Hub, method: str) -> None:
    first = git(hub.clone, "rev-parse", "main")
    pull = hub.pull("improved")
    hub.commit("later", file="README.md")
    later = hub.repository.create_pull(title="Later", head="later", base="main", body="")
    later_made = later.merge(merge_method=method).sha
    made = pull.merge(merge_method=method).sha
    pushed = hub.push_on_main(commits=1)
    assert merge_history.recent(signed_in(hub.server), "main").merges == (
        Merge(pushed),
        Merge(made, pull.head.sha, pull.number),
        Merge(later_made, later.head.sha, later.number),
        Merge(first),
    )


def test_recent__hundred_commits_since_a_merge__is_older_than_they_are(hub: Hub) -> None:
    pull = hub.pull("improved")
    made = pull.merge(merge_method="squash").sha
    hub.push_on_main(commits=101)
    merges = merge_history.recent(signed_in(hub.server), "main").merges
    assert (len(merges), merges[-1]) == (101, Merge(made, pull.head.sha, pull.number))
