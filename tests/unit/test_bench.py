"""The tables and the counts of the benchmarks."""

from typing import Any

import pytest

from sandbox.scenarios.job import Job
from tools import bench, bench_performance, profile_check
from tools.bench_check import Measurement
from tools.profile_check import EXECUTES
from tools.request_log import Request


def test_table__whole_seconds__keep_their_decimal() -> None:
    printed = bench.table(["find_task", "compare"], [Measurement(tasks=1000, requests=12, seconds=3.0)])
    assert printed.splitlines()[-1].replace("|", " ").split() == ["1,000", "12", "3.0"]


def job(outcome: str, exit_code: int = 0) -> Job:
    return Job(exit_code, 5.0, 1.0, {"outcome": outcome} if outcome else {}, summary="", log="")


def test_without_verdict__job_that_failed_or_raised_or_said_nothing__is_lost() -> None:
    lost: list[Job | Exception] = [job("error", 1), job(""), job("passed", 1), OSError("no such program")]
    assert bench_performance.without_verdict([job("passed"), *lost, job("improved")]) == lost


def test_is_look__request_of_the_benchmark__is_told_from_the_sdk_s() -> None:
    looks = [bench_performance.LOOK, {"only_fields": ["status", "status_message", "id"], "search_hidden": False}]
    requests = [Request(1.0, "tasks.get_all", "", {"id": ["run"], **body}) for body in looks]
    assert [bench_performance.is_look(request) for request in requests] == [True, False]


Row = tuple[float, str, str, dict[str, Any]]


def requests(*rows: Row) -> list[Request]:
    return [Request(at, endpoint, task, body) for at, endpoint, task, body in rows]


RUN: tuple[Row, ...] = (
    (11.0, "pipelines.start_pipeline", "run", {}),
    (11.5, "tasks.started", "run", {"status_message": "pulled by agent"}),
    (13.0, "tasks.started", "run", {"status_reason": EXECUTES}),
)
STORED: dict[str, Any] = {"configuration": {"result": {"value": "{}"}}}
END: tuple[Row, ...] = (
    (18.0, "tasks.edit", "run", {"configuration": {"Pipeline": {}}}),
    (20.0, "tasks.completed", "run", {}),
    (20.5, "tasks.edit", "run", {}),  # the job's
)


def test_phases__steps_that_are_processes__follow_one_another_from_begin_to_end() -> None:
    steps: tuple[Row, ...] = (
        (13.5, "tasks.edit", "one", {"name": "find_task"}),
        (14.0, "tasks.started", "one", {}),
        (14.25, "tasks.edit", "one", STORED),
        (14.5, "tasks.completed", "one", {}),
        (14.75, "tasks.edit", "two", {"name": "report"}),
        (15.0, "tasks.started", "two", {}),
        (15.25, "tasks.edit", "two", STORED),
        (16.0, "tasks.edit", "two", STORED),
    )
    found = profile_check.phases(requests(*RUN, *steps, *END), "run", began=10.0, ended=21.0)
    assert [(phase.task, phase.what, phase.seconds) for phase in found] == [
        ("job", "until the run is enqueued", 1.0),
        ("controller", "queue", 0.5),
        ("controller", "clone and environment", 1.5),
        ("controller", "until find_task is started", 1.0),
        ("find_task", "until its result is stored", 0.25),
        ("controller", "until report is started", 0.75),
        ("report", "until its result is stored", 1.0),
        ("controller", "until its last change", 2.0),
        ("controller", "close", 2.0),
        ("job", "until it ends", 1.0),
    ]


def test_phases__step_on_a_queue__waits_for_an_agent_and_its_environment() -> None:
    step: tuple[Row, ...] = (
        (13.5, "tasks.edit", "one", {"name": "find_task"}),
        (14.0, "tasks.enqueue", "one", {}),
        (14.5, "tasks.started", "one", {"status_message": "pulled by agent"}),
        (15.5, "tasks.started", "one", {"status_reason": EXECUTES}),
        (17.5, "tasks.edit", "one", STORED),
    )
    found = profile_check.phases(requests(*RUN, *step, *END), "run", began=10.0, ended=21.0)
    assert [(phase.task, phase.what, phase.seconds) for phase in found[3:7]] == [
        ("controller", "until find_task is enqueued", 1.0),
        ("find_task", "queue", 0.5),
        ("find_task", "clone and environment", 1.0),
        ("find_task", "until its result is stored", 2.0),
    ]


@pytest.mark.parametrize("told", range(len(RUN) + len(END)))
def test_phases__requests_that_are_missing__leave_no_second_out(told: int) -> None:
    found = profile_check.phases(requests(*(*RUN, *END)[:told]), "run", began=10.0, ended=21.0)
    assert sum(phase.seconds for phase in found) == pytest.approx(11.0)
    assert all(phase.seconds >= 0 for phase in found)
