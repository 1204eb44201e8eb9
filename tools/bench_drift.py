"""The drift part of `make bench`: how often constant noise looks like drift, and which drift is found, by simulation.

    python -m tools.bench_drift [--small]

A series has one run of each merge. Losses are in standard deviations over seeds.
"""

import argparse
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tabulate import tabulate

from clearml_ci.decisions import change_points
from clearml_ci.decisions.change_points import Change
from tools import digits_seeds

FULL, SMALLEST = 4_000, 50  # series that are simulated


BEFORE = 30  # runs before the loss


CONSTANT = (10, 30, 100)  # runs of a series in which nothing changes


LOSSES = ((1, 5), (1, 20), (2, 3), (2, 5), (2, 10), (3, 3), (3, 5))  # in sigma, and the runs since it


@dataclass(frozen=True)
class Row:
    """The share of series with a loss that is found; of those, the share whose merge lies in the interval, its size."""

    source: str
    runs: int
    loss_sigma: int
    since: int
    found: float
    covered: float = 0.0
    merges: float = 0.0


def measure(series: int, *, seed: int = 1) -> list[Row]:
    """All rows, each from so many series: of normal noise, and of real seeds of the sample repository."""
    random_ = random.Random(seed)  # noqa: S311
    real = digits_seeds.read()
    sigma = statistics.stdev(real)
    sources: dict[str, Callable[[], float]] = {
        "simulation": lambda: random_.gauss(0.95, sigma),
        "digits": lambda: random_.choice(real),
    }
    return [
        row
        for name, draw in sources.items()
        for row in (
            *(_constant(name, draw, runs, series) for runs in CONSTANT),
            *(_loss(name, draw, loss, since, series, sigma) for loss, since in LOSSES),
        )
    ]


def _constant(source: str, draw: Callable[[], float], runs: int, series: int) -> Row:
    found = sum(_last_loss([draw() for _ in range(runs)]) is not None for _ in range(series))
    return Row(source, runs, 0, 0, found / series)


def _loss(source: str, draw: Callable[[], float], loss: int, since: int, series: int, sigma: float) -> Row:
    values = ([draw() - (loss * sigma if run >= BEFORE else 0) for run in range(BEFORE + since)] for _ in range(series))
    found = [change for change in map(_last_loss, values) if change]
    covered = statistics.fmean(change.first <= BEFORE <= change.last for change in found)
    merges = statistics.fmean(change.last - change.first + 1 for change in found)
    return Row(source, BEFORE + since, loss, since, len(found) / series, covered, merges)


def _last_loss(values: Sequence[float]) -> Change | None:
    """The last change for the worse that lasts, as an audit reports it."""
    changes = change_points.find([[value] for value in values])
    lasting = (change for change in reversed(changes) if change_points.lasts(change, changes[-1].after))
    return next((change for change in lasting if change.difference < 0), None)


def table(rows: Sequence[Row]) -> str:
    """The shares in percent."""
    lines = [
        {
            "source": row.source,
            "runs": row.runs,
            "loss": f"{row.loss_sigma} sigma, {row.since} runs ago" if row.loss_sigma else "none",
            "found": f"{100 * row.found:.1f}",
            "merge in the interval": f"{100 * row.covered:.1f}" if row.loss_sigma else "",
            "merges in it": f"{row.merges:.1f}" if row.loss_sigma else "",
        }
        for row in rows
    ]
    return tabulate(lines, "keys", "github")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench_drift", description=__doc__)
    parser.add_argument("--small", action="store_true", help="few series: seconds instead of minutes")
    options = parser.parse_args(arguments)
    print(table(measure(SMALLEST if options.small else FULL)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
