"""Merge queues: what GitHub's event names, and which verdict is that of the commit that the queue has built."""

from dataclasses import replace
from typing import Any

import pytest

from clearml_ci.core.documents import VerdictDocument
from clearml_ci.core.errors import UsageError
from clearml_ci.decisions import merge_queue
from clearml_ci.decisions.merge_queue import Commit, Judged
from clearml_ci.job import merge_group, pull_request_event
from clearml_ci.parameters import check as check_parameters
from tests.unit.drawing import CHECK, as_read

# As GitHub's own example has it (octokit/webhooks, merge_group.checks_requested), cut to what is read.
EXAMPLE: dict[str, Any] = {
    "action": "checks_requested",
    "merge_group": {
        "head_sha": "2ffea6db159f6b6c47a24e778fb9ef40cf6b1c7d",
        "head_ref": "refs/heads/gh-readonly-queue/main/pr-104-929f8209d40f77f4abc622a499c93a83babdbe64",
        "base_ref": "refs/heads/main",
    },
    "repository": {
        "full_name": "octo-org/octo-repo",
        "clone_url": "https://github.com/octo-org/octo-repo.git",
        "default_branch": "main",
    },
    "sender": {"login": "Codertocat"},
}
HEAD = EXAMPLE["merge_group"]["head_sha"]


def test_of_event__checks_requested__is_a_pull_request_at_the_queues_commit() -> None:
    group = merge_group.of_event(EXAMPLE)
    assert group is not None
    assert (group.number, group.base, group.base_sha, group.head_sha) == (104, "main", "", HEAD)
    pull = pull_request_event.pull_request(group.event, github_api="https://api.github.com")
    assert (pull.number, pull.base, pull.is_fork, pull.head_url) == (
        104,
        "main",
        False,
        EXAMPLE["repository"]["clone_url"],
    )
    assert pull_request_event.head(group.event, expected="") == HEAD


@pytest.mark.parametrize("reason", ["merged", "invalidated", "dequeued"])
def test_of_event__destroyed__is_none(reason: str) -> None:
    assert merge_group.of_event({**EXAMPLE, "action": "destroyed", "reason": reason}) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"merge_group": None},
        {"merge_group": {"head_sha": HEAD}},
        {"merge_group": {**EXAMPLE["merge_group"], "head_ref": "refs/heads/feature"}},
    ],
    ids=["none", "no-branch", "no-queue"],
)
def test_of_event__no_queue__is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="names no commit of a merge queue"):
        merge_group.of_event({**EXAMPLE, **changes})


@pytest.mark.parametrize(
    ("branch", "number"),
    [
        ("gh-readonly-queue/main/pr-12-" + "a" * 40, 12),
        ("gh-readonly-queue/release/v1/pr-7-" + "a" * 40, 7),
        ("gh-readonly-queue/main/pr-0-" + "a" * 40, 0),
        ("gh-readonly-queue/main/pr-12-" + "a" * 39, 0),
        ("gh-readonly-queue/main/pr-" + "1" * 6000 + "-" + "a" * 40, 0),
        ("main", 0),
    ],
)
def test_number_of__branch__is_that_of_a_queue(branch: str, number: int) -> None:
    assert merge_queue.number_of(branch) == number


def test_numbers__commits_of_a_group__are_those_of_the_first_parents() -> None:
    commits = [
        Commit("1", "0", "Add a layer (#3)"),
        Commit("x", "0", "Merge pull request #99 from o/elsewhere"),
        Commit("2", "1", "Merge pull request #4 from o/name"),
        Commit("3", "2", "Nothing (#5) of this"),
        Commit("4", "3", "Smaller steps (#104)"),
    ]
    assert merge_queue.numbers(104, commits) == [104, 4, 3]
    assert merge_queue.numbers(104, []) == [104]


def judged(number: int, outcome: str | None, difference: str = "") -> Judged:
    exit_code = {"passed": 0, "accepted": 0, "regressed": 1, "inconclusive": 3, "error": 4}.get(str(outcome), 1)
    verdict: Any = {"outcome": outcome, "exit_code": exit_code, "exit_reason": "why"}
    document: VerdictDocument | None = as_read(verdict) if outcome else None
    return Judged(number, f"{number}" * 40, document, difference)


def test_same__of_several__is_the_first_with_a_verdict_and_the_same_files() -> None:
    found = [judged(1, None), judged(2, "passed", "train.py"), judged(3, "regressed"), judged(4, "passed")]
    same = merge_queue.same(found)
    assert same is not None
    assert same.number == 3
    assert merge_queue.same(found[:2]) is None


@pytest.mark.parametrize(
    ("outcomes", "decides"),
    [
        (["passed", "accepted"], "accepted"),
        (["passed", "regressed", "inconclusive"], "regressed"),
        (["passed", "error"], "error"),
        (["passed", None], None),
        ([], None),
    ],
)
def test_worst__of_the_pull_requests__decides(outcomes: list[str | None], decides: str | None) -> None:
    found, reason = merge_queue.worst([judged(number, outcome) for number, outcome in enumerate(outcomes, 1)])
    assert (found.verdict["outcome"] if found and found.verdict else None) == decides
    assert reason.startswith("carried over from #1 at 1111111111, #2" if decides else "no verdict on ")


def test_check__of_a_group__comes_back_from_the_arguments() -> None:
    group = check_parameters.from_arguments(CHECK.to_arguments())
    assert group.group == ()
    check = replace(CHECK, group=(12, 13), group_branch="gh-readonly-queue/main/pr-12-" + "a" * 40)
    assert check_parameters.from_arguments(check.to_arguments()) == check
