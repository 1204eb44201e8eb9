import json
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.core.errors import UsageError
from clearml_ci.job import events

PULL: dict[str, Any] = {"number": 7, "merged": True, "base": {"ref": "main"}}
HOME = {"full_name": "o/n", "default_branch": "main"}
SHA = "a" * 40


def environ(tmp_path: Path, name: str, event: object) -> dict[str, str]:
    (tmp_path / "event.json").write_text(json.dumps(event))
    return {"GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": str(tmp_path / "event.json")}


@pytest.mark.parametrize(
    ("name", "event", "command"),
    [
        ("pull_request", {"action": "opened"}, "pr"),
        ("pull_request", {"action": "closed"}, "promote"),
        ("pull_request_target", {"action": "closed"}, "promote"),
        ("push", {}, "promote"),
        ("schedule", {}, "audit"),
        ("workflow_dispatch", {}, "pr"),
        ("", {"action": "opened"}, "pr"),
    ],
)
def test_command__event__decides(tmp_path: Path, name: str, event: object, command: str) -> None:
    assert events.command(environ(tmp_path, name, event)) == command


def test_command__outside_of_a_workflow__is_the_check_which_then_says_what_is_missing() -> None:
    assert events.command({}) == "pr"
    with pytest.raises(UsageError, match="GITHUB_EVENT_PATH is not set"):
        events.pull_request({})


@pytest.mark.parametrize("home", [HOME, {}], ids=["into-the-default-branch", "default-branch-unknown"])
def test_nothing_to_promote__merged__is_nothing(home: dict[str, str]) -> None:
    assert events.nothing_to_promote({"action": "closed", "pull_request": PULL, "repository": home}) is None


def test_nothing_to_promote__closed_without_a_merge__says_so() -> None:
    reason = events.nothing_to_promote(
        {"action": "closed", "pull_request": {**PULL, "merged": False}, "repository": HOME}
    )
    assert reason == "pull request #7 was closed without a merge: nothing is promoted"


def test_nothing_to_promote__merged_into_another_branch__says_so() -> None:
    pull = {**PULL, "base": {"ref": "release"}}
    reason = events.nothing_to_promote({"action": "closed", "pull_request": pull, "repository": HOME})
    assert reason == (
        "pull request #7 was merged into 'release', and only what is merged into 'main' is promoted: nothing is done"
    )


def test_nothing_to_promote__open__is_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"#7 is not merged: the baseline's tag moves after the merge"):
        events.nothing_to_promote({"action": "opened", "pull_request": {**PULL, "merged": False}})


def test_pushed__branch__is_named_with_its_commits(tmp_path: Path) -> None:
    event = {
        "ref": "refs/heads/release/1",
        "before": "b" * 40,
        "after": SHA,
        "commits": [{"id": "c" * 40}, {"id": SHA}],
    }
    push = events.pushed(environ(tmp_path, "push", event), event)
    assert push == events.Push("release/1", "b" * 40, SHA, ("c" * 40, SHA))
    assert events.pushed({"GITHUB_EVENT_NAME": "pull_request"}, event) is None


@pytest.mark.parametrize("commits", [None, [], "none", [7, {}]])
def test_pushed__event_without_commits__has_none(tmp_path: Path, commits: object) -> None:
    event = {"ref": "refs/heads/main", "after": SHA, "commits": commits}
    assert events.pushed(environ(tmp_path, "push", event), event) == events.Push("main", "", SHA, ())


@pytest.mark.parametrize(
    "event", [{"ref": "refs/tags/v1", "after": SHA}, {"ref": "refs/heads/x", "after": "0" * 40}, {}]
)
def test_pushed__no_branch__is_refused(tmp_path: Path, event: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="moves no branch"):
        events.pushed(environ(tmp_path, "push", event), event)


@pytest.mark.parametrize(
    ("pull", "branch", "merged"), [(PULL, "main", True), (PULL, "release", False), (None, "main", False)]
)
def test_of_merge__push__is_the_pull_requests_event_where_it_merged_one(
    pull: dict[str, Any] | None, branch: str, merged: bool
) -> None:
    event = events.of_merge({"repository": {"full_name": "o/n"}}, pull, branch=branch)
    expected = {"action": "closed", "pull_request": PULL, "repository": {"full_name": "o/n"}}
    assert event == (expected if merged else None)
