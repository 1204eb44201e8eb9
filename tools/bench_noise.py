"""The noise part of `make bench`: how often each rule is red, by simulation and on real seeds of the sample repository.

    python -m tools.bench_noise [--small]

Losses are in standard deviations over seeds. The simulation draws a normal accuracy of 0.95 with the deviation of the
real seeds, so that a tolerance in percent means the same in both. No gate allows a loss, but for `plain_3` of 3 %.
"""

import argparse
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tabulate import tabulate

from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions.noise_rule import Rule
from tools import digits_seeds, noise_simulation
from tools.noise_simulation import Draw, Repository

MERGES = (0, 5, 10, 50)


FULL, SMALLEST = 2000, 20  # repositories that are simulated


CHECKS = {0: 10, 1: 2, 2: 4, 3: 2, 4: 2}  # of each repository, for each number of merges, by the loss


@dataclass(frozen=True)
class Row:
    """The share of red checks, and the mean number of trainings beyond the first."""

    rule: str
    source: str
    merges: int
    loss_sigma: int
    red: float
    trainings: float = 0.0


@dataclass(frozen=True)
class Source:
    """A name, one more training of unchanged code, and its standard deviation."""

    name: str
    draw: Draw
    sigma: float


PLAIN: dict[str, Callable[..., bool]] = {
    "predecessor": lambda *, percent=0.0, **of: noise_simulation.best_ever(percent=percent, **of),
    "plain_3": lambda **of: noise_simulation.best_ever(percent=3.0, **of),
    "bencher_t": noise_simulation.bencher_t,
}


OURS = {"ours": Rule(repeats=4), "ours_one_run": Rule()}


def sources(seed: int = 1) -> list[Source]:
    """The simulation, and the real seeds."""
    random_ = random.Random(seed)  # noqa: S311
    real = digits_seeds.read()
    sigma = statistics.stdev(real)
    return [
        Source("simulation", lambda: random_.gauss(0.95, sigma), sigma),
        Source("digits", lambda: random_.choice(real), sigma),
    ]


def measure(repositories: int) -> list[Row]:
    """All rows, from so many simulated repositories."""
    return [
        row
        for source in sources()
        for rows in (
            *(_plain(source, name, rule, repositories) for name, rule in PLAIN.items()),
            *(_ours(source, name, rule, repositories) for name, rule in OURS.items()),
        )
        for row in rows
    ]


def _plain(source: Source, name: str, rule: Callable[..., bool], repositories: int) -> Iterator[Row]:
    for merges in MERGES:
        for loss, of_each in CHECKS.items():
            checks = repositories * of_each
            red = sum(rule(draw=source.draw, merges=merges, loss=loss * source.sigma) for _ in range(checks))
            yield Row(name, source.name, merges, loss, red / checks)


def _ours(source: Source, name: str, rule: Rule, repositories: int) -> Iterator[Row]:
    checks: dict[tuple[int, int], list[tuple[bool, int]]] = {(merges, loss): [] for merges in MERGES for loss in CHECKS}
    for _ in range(repositories):
        repository = Repository(source.draw, rule)
        for merges in range(max(MERGES) + 1):
            if merges:
                repository.merge()
            if merges in MERGES:
                for loss, of_each in CHECKS.items():
                    checks[merges, loss] += [_check(repository, loss * source.sigma) for _ in range(of_each)]
    for (merges, loss), found in checks.items():
        red, trainings = (statistics.fmean(column) for column in zip(*found, strict=True))
        yield Row(name, source.name, merges, loss, red, trainings)


def _check(repository: Repository, loss: float) -> tuple[bool, int]:
    values, judged = repository.check(loss)
    return judged.outcome == Outcome.REGRESSED, len(values) - 1


def table(rows: Sequence[Row]) -> str:
    """The shares of red checks in percent, one line for each rule, source and number of merges."""
    lines: dict[tuple[str, str, int], dict[str, str]] = {}
    for row in rows:
        line = lines.setdefault((row.source, row.rule, row.merges), {})
        line[f"{row.loss_sigma} sigma"] = f"{100 * row.red:.1f}"
        if not row.loss_sigma:
            line["trainings"] = f"{row.trainings:.2f}"
    head = ("source", "rule", "merges")
    return tabulate([dict(zip(head, key, strict=True)) | line for key, line in lines.items()], "keys", "github")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench_noise", description=__doc__)
    parser.add_argument("--small", action="store_true", help="few repositories: seconds instead of minutes")
    options = parser.parse_args(arguments)
    print(table(measure(SMALLEST if options.small else FULL)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
