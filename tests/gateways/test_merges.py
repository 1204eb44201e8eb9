"""The merges that a job is about, by its event and a GitHub."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.job import event_context
from sandbox.testing.hub import FULL_NAME, JOB, Hub, git, proposed

Merged = tuple[list[int], list[str]]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """Two pull requests, of two files."""
    hub = proposed(tmp_path)
    hub.commit("second", file="second.py", onto="main")
    hub.repository.create_pull(title="Second", head="second", base="main", body="")
    yield hub
    hub.server.stop()


@pytest.fixture
def merged(hub: Hub, tmp_path: Path) -> Callable[..., Merged]:
    """`merged(**event)`: the numbers of the pull requests that a push merged, and the notes."""
    environ = {
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_API_URL": hub.server.api_url,
        "GITHUB_TOKEN": hub.server.token("workflow", repository=FULL_NAME, permissions=JOB),
    }

    def merged_by(name: str = "push", **event: Any) -> Merged:
        home = {"full_name": FULL_NAME, "default_branch": "main"}
        (tmp_path / "event.json").write_text(json.dumps({"ref": "refs/heads/main", "repository": home, **event}))
        found, notes = event_context.merges({**environ, "GITHUB_EVENT_NAME": name})
        assert all((event["action"], event["pull_request"]["merged"]) == ("closed", True) for event in found)
        return [event["pull_request"]["number"] for event in found], notes

    return merged_by


def merge(hub: Hub, *numbers: int, method: str = "merge") -> tuple[str, list[str]]:
    """The head of main before these merges, and the merge commits."""
    before = git(hub.clone, "rev-parse", "main")
    return before, [hub.repository.get_pull(number).merge(merge_method=method).sha for number in numbers]


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_merges__push_of_several__are_told_oldest_first(hub: Hub, merged: Callable[..., Merged], method: str) -> None:
    before, made = merge(hub, 2, 1, method=method)
    listed = [{"id": git(hub.clone, "rev-parse", "better")}, *({"id": sha} for sha in made)]
    assert merged(before=before, after=made[-1], commits=listed) == ([2, 1], [])


@pytest.mark.parametrize("commits", [[], None, [{"id": "the first of many"}]], ids=["empty", "none", "cut-off"])
def test_merges__event_that_does_not_list_the_newest__asks_github(
    hub: Hub, merged: Callable[..., Merged], commits: object
) -> None:
    before, made = merge(hub, 1, 2)
    assert merged(before=before, after=made[-1], commits=commits) == ([1, 2], [])


def test_merges__branch_that_is_new__is_its_head_alone(hub: Hub, merged: Callable[..., Merged]) -> None:
    _, made = merge(hub, 1, 2)
    assert merged(before="0" * 40, after=made[-1]) == ([2], [])


def test_merges__more_commits_than_are_looked_at__says_what_is_left_out(
    hub: Hub, merged: Callable[..., Merged], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_context, "MOST_COMMITS", 2)
    before, made = merge(hub, 1, 2)
    numbers, notes = merged(before=before, after=made[-1])
    assert numbers == [2]
    push = f"the push of {made[-1][:10]} to main"
    assert notes == [f"{push} brought 4 commits: only the last 2 were looked at for merges"]


def test_merges__push_that_merged_none__says_so(hub: Hub, merged: Callable[..., Merged]) -> None:
    after = git(hub.clone, "rev-parse", "main")
    assert merged(before="0" * 40, after=after) == (
        [],
        [f"the push of {after[:10]} to main merged no pull request: nothing is promoted"],
    )


def test_merges__other_branch_than_the_default_one__are_none(hub: Hub, merged: Callable[..., Merged]) -> None:
    _, made = merge(hub, 1)
    numbers, notes = merged(ref="refs/heads/release", after=made[-1], commits=[{"id": made[-1]}])
    assert (numbers, "only what is merged into 'main' is promoted" in notes[0]) == ([], True)
    pull = {"number": 1, "merged": True, "base": {"ref": "release"}}
    numbers, notes = merged("pull_request", action="closed", pull_request=pull)
    assert (numbers, "was merged into 'release'" in notes[0]) == ([], True)
