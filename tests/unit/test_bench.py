"""The table of a benchmark."""

from tools import bench
from tools.bench_check import Measurement


def test_table__whole_seconds__keep_their_decimal() -> None:
    printed = bench.table(["find_task", "compare"], [Measurement(tasks=1000, requests=12, seconds=3.0)])
    assert printed.splitlines()[-1].replace("|", " ").split() == ["1,000", "12", "3.0"]
