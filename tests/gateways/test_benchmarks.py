"""The benchmarks of `make bench` at their smallest sizes, with the real steps against the local servers."""

import contextlib
import io
import json
from dataclasses import dataclass
from typing import Any

import pytest

from tools import bench, bench_audit, bench_check


@dataclass(frozen=True)
class Ran:
    """The tables and the file that `python -m tools.bench --small` leaves."""

    printed: str
    figures: dict[str, Any]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    output = tmp_path_factory.mktemp("bench") / "build" / "bench.json"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert bench.main(["--small", "--output", str(output)]) == 0
    return Ran(printed.getvalue(), json.loads(output.read_text()))


def split_row(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_bench__of_a_check__has_requests_and_seconds_of_each_size(ran: Ran) -> None:
    sizes = [str(size) for size in bench_check.SMALLEST]
    assert [*ran.figures["requests"]] == [*ran.figures["seconds"]] == sizes
    assert all(isinstance(requests, int) and requests > 0 for requests in ran.figures["requests"].values())
    assert all(0 < seconds < 60 for seconds in ran.figures["seconds"].values())


def test_bench__of_an_audit__has_requests_and_seconds_of_each_size(ran: Ran) -> None:
    assert [(row["projects"], row["tasks"]) for row in ran.figures["audit"]] == [*bench_audit.SMALLEST]
    for row in ran.figures["audit"]:
        assert {*row} == {"projects", "tasks", "requests", "seconds"}
        assert isinstance(row["requests"], int)
        assert row["requests"] > 0
        assert 0 < row["seconds"] < 60


def test_bench__tables__are_the_figures_of_the_file(ran: Ran) -> None:
    tables = [split_row(line) for line in ran.printed.splitlines() if line.startswith("|")]
    (size,) = ran.figures["requests"]
    (audit,) = ran.figures["audit"]
    assert [row for row in tables if "---" not in row[0]] == [
        ["tasks", "requests", "seconds"],
        [size, str(ran.figures["requests"][size]), str(ran.figures["seconds"][size])],
        ["projects", "tasks", "requests", "seconds"],
        [str(value) for value in audit.values()],
    ]
