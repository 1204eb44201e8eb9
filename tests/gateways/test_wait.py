"""How a job waits for a run on a ClearML server, by a clock on which waiting takes no time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core.poll import Clock
from clearml_ci.job import wait
from sandbox.runtime.clearml_access import Client
from tests.clock import fast_clock
from tests.gateways.conftest import Project


@dataclass
class Unreachable(ClearML):
    """A session whose next requests get no answer."""

    refused: int = 0

    def call(self, endpoint: str, **request: Any) -> dict[str, Any]:
        self.refused -= 1
        if self.refused >= 0:
            raise ClearMLError(f"{endpoint}: no answer")
        return super().call(endpoint, **request)


@pytest.fixture
def run(client: Client, project: Project) -> Iterator[str]:
    """A run in progress."""
    created = client.call("tasks.create", name="pr_check #1", type="controller", project=project.id)["id"]
    client.call("tasks.started", task=created)
    yield str(created)
    client.call("tasks.stopped", task=created, force=True)


def acting(*actions: Callable[[], object]) -> Clock:
    """A clock that does one of these during each sleep."""
    left = iter(actions)
    return fast_clock(on_sleep=lambda: next(left, lambda: None)())


def test_until_ended__statuses_that_change__are_reported_once(
    clearml: ClearML, client: Client, project: Project, run: str
) -> None:
    step, reports = project.step(run, "find_task"), list[str]()
    clock = acting(
        lambda: client.call("tasks.started", task=step),
        lambda: None,
        lambda: client.call("tasks.completed", task=step),
        lambda: client.call("tasks.completed", task=run),
    )
    ended, steps = wait.until_ended(clearml, run, clock=clock, timeout=60, report=reports.append)
    assert (ended.status, steps["find_task"].status) == ("completed", "completed")
    assert reports == [
        *("run: in_progress", "find_task: created"),
        *("find_task: in_progress", "find_task: completed", "run: completed"),
    ]


def test_until_ended__no_end_in_time__reminds_and_raises_with_the_last_statuses(clearml: ClearML, run: str) -> None:
    reports: list[str] = []
    with pytest.raises(wait.DeadlineError, match=r"^not ended in time \(run in_progress\)$"):
        wait.until_ended(clearml, run, clock=fast_clock(), timeout=40, report=reports.append)
    assert reports == ["run: in_progress", *["still waiting: run in_progress"] * 2]


def test_until_ended__run_that_was_taken_off_its_queue__has_ended(
    clearml: ClearML, client: Client, project: Project
) -> None:
    draft = client.call("tasks.create", name="pr_check #2", type="controller", project=project.id)["id"]
    ended, _ = wait.until_ended(clearml, draft, clock=fast_clock(), timeout=60, report=print)
    assert ended.status == "created"


@pytest.mark.parametrize(("requests", "goes_on"), [(90, True), (10_000, False)], ids=["a-restart", "for-good"])
def test_until_ended__server_that_does_not_answer__is_waited_for_with_a_line_while_it_lasts(
    clearml: ClearML, client: Client, run: str, requests: int, goes_on: bool
) -> None:
    client.call("tasks.completed", task=run)
    silent, reports = Unreachable(clearml.host, clearml.authorization, refused=requests), list[str]()
    if goes_on:
        ended, _ = wait.until_ended(silent, run, clock=fast_clock(), timeout=600, report=reports.append)
        assert (ended.status, reports[-1]) == ("completed", "run: completed")
    else:
        with pytest.raises(ClearMLError, match="no answer"):
            wait.until_ended(silent, run, clock=fast_clock(), timeout=600, report=reports.append)
    waits = [int(line.split()[5]) for line in reports if line.startswith("waiting for an answer for ")]
    assert waits[0] <= 16
    assert max(waits) > (100 if goes_on else 160)
    assert reports[0].endswith(" s, at most 180 s: tasks.get_all_ex: no answer")
