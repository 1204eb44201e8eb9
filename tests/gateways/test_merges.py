"""Which merges a job is about, as its event and a GitHub tell it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.job import event_context
from sandbox.testing.hub import FULL_NAME, JOB, Hub, git, proposed

Told = tuple[list[int], list[str]]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """Two pull requests, of two files."""
    hub = proposed(tmp_path)
    hub.commit("second", file="second.py", onto="main")
    hub.repository.create_pull(title="Second", head="second", base="main", body="")
    yield hub
    hub.server.stop()


@pytest.fixture
def told(hub: Hub, tmp_path: Path) -> Callable[..., Told]:
    """`told(**event)`: the numbers of the pull requests that a push merged, and what is said beside them."""
    environ = {
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_API_URL": hub.server.api_url,
        "GITHUB_TOKEN": hub.server.token("workflow", repository=FULL_NAME, permissions=JOB),
    }

    def tell(name: str = "push", **event: Any) -> Told:
        home = {"full_name": FULL_NAME, "default_branch": "main"}
        (tmp_path / "event.json").write_text(json.dumps({"ref": "refs/heads/main", "repository": home, **event}))
        found, said = event_context.merges({**environ, "GITHUB_EVENT_NAME": name})
        assert all((one["action"], one["pull_request"]["merged"]) == ("closed", True) for one in found)
        return [one["pull_request"]["number"] for one in found], said

    return tell


def merge(hub: Hub, *numbers: int, method: str = "merge") -> tuple[str, list[str]]:
    """What main was before, and what the merges made of it."""
    before = git(hub.clone, "rev-parse", "main")
    return before, [hub.repository.get_pull(number).merge(merge_method=method).sha for number in numbers]


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_merges__push_of_several__are_told_oldest_first(hub: Hub, told: Callable[..., Told], method: str) -> None:
    before, made = merge(hub, 2, 1, method=method)
    listed = [{"id": git(hub.clone, "rev-parse", "better")}, *({"id": sha} for sha in made)]
    assert told(before=before, after=made[-1], commits=listed) == ([2, 1], [])


@pytest.mark.parametrize("commits", [[], None, [{"id": "the first of many"}]], ids=["empty", "none", "cut-off"])
def test_merges__event_that_does_not_list_the_newest__asks_github(
    hub: Hub, told: Callable[..., Told], commits: object
) -> None:
    before, made = merge(hub, 1, 2)
    assert told(before=before, after=made[-1], commits=commits) == ([1, 2], [])


def test_merges__branch_that_is_new__is_its_head_alone(hub: Hub, told: Callable[..., Told]) -> None:
    _, made = merge(hub, 1, 2)
    assert told(before="0" * 40, after=made[-1]) == ([2], [])


def test_merges__more_commits_than_are_looked_at__says_what_is_left_out(
    hub: Hub, told: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_context, "MOST_COMMITS", 2)
    before, made = merge(hub, 1, 2)
    numbers, said = told(before=before, after=made[-1])
    assert numbers == [2]
    assert said == [f"the push of {made[-1][:10]} to main brought 4 commits: only the last 2 were looked at for merges"]


def test_merges__push_that_merged_none__says_so(hub: Hub, told: Callable[..., Told]) -> None:
    after = git(hub.clone, "rev-parse", "main")
    assert told(before="0" * 40, after=after) == (
        [],
        [f"the push of {after[:10]} to main merged no pull request: nothing is promoted"],
    )


def test_merges__other_branch_than_the_default_one__are_none(hub: Hub, told: Callable[..., Told]) -> None:
    _, made = merge(hub, 1)
    numbers, said = told(ref="refs/heads/release", after=made[-1], commits=[{"id": made[-1]}])
    assert (numbers, "only what is merged into 'main' is promoted" in said[0]) == ([], True)
    pull = {"number": 1, "merged": True, "base": {"ref": "release"}}
    numbers, said = told("pull_request", action="closed", pull_request=pull)
    assert (numbers, "was merged into 'release'" in said[0]) == ([], True)
