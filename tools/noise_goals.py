"""The figures that the rule for known noise has to reach, each by a simulation of its own.

python -m tools.noise_goals [--small]
"""

import argparse
import math
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from tabulate import tabulate

from clearml_ci.core.gate import Gate
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import noise_rule
from clearml_ci.decisions.noise_rule import Case, Rule
from tools.noise_simulation import GATE, UNUSED, Draw, Repository, calibrated, judge

REPEATS, ONE_RUN = Rule(repeats=4), Rule()


GATES = [replace(GATE, series=f"{number}") for number in range(10)]
SLICES = [replace(gate, slice_of="accuracy/*") for gate in GATES]


FULL, SMALLEST = 4_000, 100  # simulated checks, each of a repository of its own


@dataclass(frozen=True)
class Goal:
    """A figure in percent, or in trainings, that must lie between two limits."""

    name: str
    lowest: float
    highest: float
    reached: float


def measure(checks: int, *, seed: int = 1) -> list[Goal]:
    """All goals, each from so many checks."""
    random_ = random.Random(seed)  # noqa: S311

    def draw() -> float:
        return random_.gauss(0, 1)

    def heavy() -> float:
        """Student's t with 5 degrees of freedom, scaled to a standard deviation of 1."""
        return random_.gauss(0, 1) * math.sqrt(3 / random_.gammavariate(2.5, 2))

    def near_the_end() -> float:
        """The accuracy on 719 images of a model that is wrong in one of a thousand."""
        return 1 - sum(random_.random() < 0.001 for _ in range(719)) / 719

    def percent(check: Callable[[], bool]) -> float:
        return 100 * statistics.fmean(check() for _ in range(checks))

    def red(rule: Rule, loss: float, of: Draw = draw) -> float:
        return percent(lambda: Repository(of, rule).check(loss)[1].outcome == Outcome.REGRESSED)

    return [
        Goal("nothing changed, repeats allowed: red, %", 0, 1.0, red(REPEATS, 0)),
        Goal("nothing changed, one run: red, %", 0, 1.0, red(ONE_RUN, 0)),
        Goal("loss of 2 sigma, repeats allowed: red, %", 73, 100, red(REPEATS, 2)),
        Goal("loss of 3 sigma, repeats allowed: red, %", 95, 100, red(REPEATS, 3)),
        Goal("nothing changed: more trainings", 0, 0.6, statistics.fmean(_trainings(draw) for _ in range(checks))),
        Goal(
            "loss that the report calls visible, repeats allowed: red, %", 78, 82, percent(lambda: _seen(draw, REPEATS))
        ),
        Goal("loss that the report calls visible, one run: red, %", 78, 82, percent(lambda: _seen(draw, ONE_RUN))),
        Goal("the same in one of ten gates: red, %", 77, 83, percent(lambda: _many(draw, None, GATES))),
        Goal("truth better than the interval, repeats allowed, %", 0, 2, percent(lambda: _misses(draw, REPEATS))),
        Goal("loss of 3 sigma, red, then retried until green: still red, %", 98, 100, _retried(draw, checks)),
        Goal("ten gates, none loses: red, %", 0, 2, percent(lambda: _many(draw, 0, GATES))),
        Goal("ten gates, one loses 3 sigma: red, %", 85, 100, percent(lambda: _many(draw, 3, GATES))),
        Goal("ten slices, none loses: red, %", 0, 2, percent(lambda: _many(draw, 0, SLICES))),
        Goal("ten slices, one loses 3 sigma: red, %", 85, 100, percent(lambda: _many(draw, 3, SLICES))),
        Goal("ten slices, four lose 2 sigma: red, %", 85, 100, percent(lambda: _many(draw, 2, SLICES, losing=4))),
        Goal("heavy tails, nothing changed, repeats allowed: red, %", 0, 2, red(REPEATS, 0, heavy)),
        Goal("heavy tails, nothing changed, one run: red, %", 0, 2, red(ONE_RUN, 0, heavy)),
        Goal("accuracy of 0.999, nothing changed, repeats allowed: red, %", 0, 2, red(REPEATS, 0, near_the_end)),
        Goal("accuracy of 0.999, nothing changed, one run: red, %", 0, 2, red(ONE_RUN, 0, near_the_end)),
    ]


def _trainings(draw: Draw) -> int:
    return len(Repository(draw, REPEATS).check(0)[0]) - 1


def _seen(draw: Draw, rule: Rule) -> bool:
    """True if a loss as large as the report of an unchanged commit calls visible is red."""
    repository = Repository(draw, rule)
    visible = judge([draw()], repository.values, repository.noise, rule).visible or 0.0
    return repository.check(visible)[1].outcome == Outcome.REGRESSED


def _misses(draw: Draw, rule: Rule) -> bool:
    """True if the interval of an unchanged commit lies above the truth, a difference of 0."""
    judged = Repository(draw, rule).check(0)[1]
    return judged.difference is not None and judged.difference.interval[1] < 0


def _retried(draw: Draw, checks: int) -> float:
    """The share of red changes that lose 3 sigma and stay red, although the user trains up to five times more."""
    red = stayed = 0
    for _ in range(checks):
        repository = Repository(draw, REPEATS)
        values, judged = repository.check(3)
        if judged.outcome != Outcome.REGRESSED:
            continue
        red += 1
        for _ in range(5):
            values.append(draw() - 3)
            judged = judge(values, repository.values, repository.noise, REPEATS)
            if judged.outcome in (Outcome.PASSED, Outcome.IMPROVED):
                break
        else:
            stayed += 1
    return 100 * stayed / red


def _many(draw: Draw, loss: float | None, gates: Sequence[Gate], *, losing: int = 1) -> bool:
    """True if one of the gates is red, of which `losing` lose so much; None: as much as the report calls visible."""
    rule = Rule(repeats=4)
    main = [calibrated(draw) for _ in gates]
    if loss is None:
        unchanged = [Case(gate, UNUSED, [draw()], *known) for gate, known in zip(gates, main, strict=True)]
        loss = noise_rule.judge(unchanged, rule)[0].visible or 0.0
    values: list[list[float]] = [[] for _ in main]
    more = 1
    while more:
        for number, of_gate in enumerate(values):
            of_gate += [draw() - (loss if number < losing else 0) for _ in range(more)]
        cases = [Case(gate, UNUSED, found, *known) for gate, found, known in zip(gates, values, main, strict=True)]
        judged = noise_rule.judge(cases, rule)
        more = noise_rule.trainings(judged)
    return any(judgement.outcome == Outcome.REGRESSED for judgement in judged)


def table(goals: Sequence[Goal]) -> str:
    """The goals, one a line."""
    return tabulate([asdict(goal) for goal in goals], "keys", "github", floatfmt=".2f")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the goals; exit code 1 if one is missed."""
    parser = argparse.ArgumentParser(prog="python -m tools.noise_goals", description=__doc__)
    parser.add_argument("--small", action="store_true", help="few checks: seconds instead of a minute")
    goals = measure(SMALLEST if parser.parse_args(arguments).small else FULL)
    print(table(goals))
    return any(not goal.lowest <= goal.reached <= goal.highest for goal in goals)


if __name__ == "__main__":
    sys.exit(main())
