import json
from typing import Any

import pytest

from tools.faults import digest
from tools.faults.truth import World

TASK = {"id": "a" * 32, "type": "training", "name": "train", "status": "completed", "files": {}}


def world(*, task: dict[str, Any] | None = None, body: str = "text", statuses: tuple[str, ...] = ("success",)) -> World:
    commit = {"statuses": [{"state": state, "description": "passed"} for state in statuses], "check_runs": []}
    pull = {"comments": [{"body": body}]}
    return World(({**TASK, **(task or {})},), {"c" * 40: commit}, (pull,))


@pytest.mark.parametrize(
    "other",
    [
        world(body="task bbbbbbbbbb of 2026-01-01T00:00:00Z at http://127.0.0.1:5/x, after 2.5 s"),
        world(body="task aaaaaaaaaa of 2026-02-02T00:00:00Z at http://127.0.0.1:9/x, after 9 s"),
    ],
)
def test_digest__ids_times_and_addresses__make_no_difference(other: World) -> None:
    clean = world(body="task 0123456789 of 2026-03-03T00:00:00Z at http://127.0.0.1:1/x, after 1 s")
    assert list(digest.differences(digest.of(clean), digest.of(other))) == []


def test_digest__earlier_statuses__make_no_difference() -> None:
    once, twice = world(), world(statuses=("success", "success", "pending"))
    assert list(digest.differences(digest.of(once), digest.of(twice))) == []


def test_digest__measured_numbers_of_a_verdict__make_no_difference() -> None:
    verdicts = [{"outcome": "passed", "clearml_requests": {"report": n}, "remote_run": {"seconds": n}} for n in (1, 2)]
    one, other = (digest.of(world(task={"files": {"verdict": json.dumps(verdict)}})) for verdict in verdicts)
    assert list(digest.differences(one, other)) == []


@pytest.mark.parametrize(
    ("other", "part"),
    [
        (world(body="another text"), "comments"),
        (world(statuses=("failure",)), "statuses"),
        (world(task={"tags": ["Best Performance"]}), "tasks"),
        (world(task={"system_tags": ["archived"]}), "tasks"),
        (world(task={"configuration": {"ledger": {"value": "{}"}}}), "ledger"),
    ],
    ids=["comment", "status", "tag", "archived", "ledger"],
)
def test_digest__another_state__differs_in_one_part(other: World, part: str) -> None:
    (found,) = digest.differences(digest.of(world()), digest.of(other))
    assert found.startswith(f"{part} differ: ")


def test_digest__of_jobs__tasks_are_not_compared() -> None:
    other = digest.of(world(task={"tags": ["x"]}))
    assert list(digest.differences(digest.of(world()), other, digest.OF_JOBS)) == []
