"""`make bench`: print what a check and an audit cost, how often gates are red, and which drift is found.

The figures are written to build/bench.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tabulate import tabulate

from tools import bench_audit, bench_check, bench_drift, bench_noise, bench_performance, bench_step, noise_goals
from tools.bench_performance import Performance

Measurement = bench_check.Measurement | bench_audit.Measurement
OUTPUT = bench_step.ROOT / "build" / "bench.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table for each benchmark, and write the figures."""
    options = _options(arguments)
    check = bench_check.measure(bench_check.SMALLEST if options.small else bench_check.SIZES, progress=_print)
    audit = bench_audit.measure(bench_audit.SMALLEST if options.small else bench_audit.SIZES, progress=_print)
    _print(table(bench_check.STEPS, check))
    _print(table(bench_audit.STEPS, audit))
    noise = bench_noise.measure(bench_noise.SMALLEST if options.small else bench_noise.FULL)
    goals = noise_goals.measure(noise_goals.SMALLEST if options.small else noise_goals.FULL)
    _print(f"\nred checks, in percent\n{bench_noise.table(noise)}\n\n{noise_goals.table(goals)}")
    drift = bench_drift.measure(bench_drift.SMALLEST if options.small else bench_drift.FULL)
    _print(f"\ndrift that is found, in percent\n{bench_drift.table(drift)}")
    performance = bench_performance.measure(
        bench_performance.SMALLEST if options.small else bench_performance.FULL,
        find_compare_requests=max(row.requests for row in check),
        progress=_print,
    )
    _print(bench_performance.tables(performance))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(_document(check, audit, noise, drift, performance), indent=2) + "\n")
    _print(f"\nwritten to {options.output}")
    return 0


def _document(
    check: Sequence[bench_check.Measurement],
    audit: Sequence[bench_audit.Measurement],
    noise: Sequence[bench_noise.Row],
    drift: Sequence[bench_drift.Row],
    performance: Performance,
) -> dict[str, Any]:
    """Return the figures of the check by its number of tasks, the rows of audit, gates, drift, and the performance."""
    return {
        "requests": {str(row.tasks): row.requests for row in check},
        "seconds": {str(row.tasks): row.seconds for row in check},
        "audit": [asdict(row) for row in audit],
        "noise": [asdict(row) for row in noise],
        "drift": [asdict(row) for row in drift],
        "performance": performance.figures,
    }


def table(steps: Sequence[str], measured: Sequence[Measurement]) -> str:
    """Return one row for each size; each figure keeps its decimals, 3.0 too."""
    rows = [{name: f"{value:,}" for name, value in asdict(row).items()} for row in measured]
    aligned = ["right"] * len(rows[0])
    figures = tabulate(rows, headers="keys", tablefmt="github", colalign=aligned, disable_numparse=True)
    return f"\n{' and '.join(steps)}, together\n{figures}"


def _print(line: str) -> None:
    print(line, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--small", action="store_true", help="only the smallest size of each, which takes seconds")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="file of the figures (%(default)s)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
