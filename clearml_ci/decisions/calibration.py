"""The losses that each gate sees through its noise, for the user who chooses `max_regression`."""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from clearml_ci.core import gate as plain
from clearml_ci.core import student
from clearml_ci.core.gate import Gate
from clearml_ci.core.noise import Noise
from clearml_ci.decisions import best_ever, gate_noise, noise_rule
from clearml_ci.decisions.noise_rule import Case, Judgement, Rule
from clearml_ci.parameters.catalogue import BEST_EVER

RUNS = (1, 3, 5)  # of a commit, each with a smallest visible loss of its own


@dataclass(frozen=True)
class Figures:
    """The figures of one gate, in the metric's unit; no loss is `visible` while the noise is unknown.

    `visible`: for each number of RUNS, the smallest loss that is found in 80 % of cases. `sensible`: the smallest
    `max_regression` that is not below the noise, or "". `alarms`: the share of changes that do nothing and would be
    red, at most, and `seen`: the smallest loss that the policy finds in 80 % of cases, with all runs that it allows;
    both are None if they are unknown. `notes` are what a reader has to know.
    """

    gate: Gate
    runs: int
    mean: float
    noise: Noise
    visible: tuple[float, ...] = ()
    sensible: str = ""
    notes: tuple[str, ...] = ()
    alarms: float | None = None
    seen: float | None = None


def of_gates(cases: Sequence[Case], *, by: str, repeats: int, branch: str) -> list[Figures]:
    """The figures of the gates of one model, for commits that are as good as the reference: no case needs values.

    `by` is the policy's rule, and `repeats` are those that it allows.
    """
    as_good = [_as_good(case) for case in cases]
    visible = [_visible(as_good, Rule(repeats=runs - 1)) for runs in RUNS]
    judged = noise_rule.judge(as_good, Rule(repeats=repeats, branch=branch))
    smallest = [_smallest_tolerance(*found, by) for found in zip(as_good, judged, strict=True)]
    return [
        Figures(
            case.gate,
            len(case.reference),
            statistics.fmean(case.reference) if case.reference else math.nan,
            case.noise,
            seen if tolerance is not None else (),
            "" if tolerance is None else gate_noise.rounded_up(case.gate, tolerance),
            tuple(_notes(case, judgement, by, branch)),
            None if tolerance is None else _alarms(case, judgement, by, Rule(repeats=repeats)),
            None if tolerance is None else _seen(case, judgement, by),
        )
        for case, judgement, seen, tolerance in zip(as_good, judged, zip(*visible, strict=True), smallest, strict=True)
    ]


def _as_good(case: Case) -> Case:
    """The case of a commit with one run, whose value is the reference's mean."""
    finite = noise_rule.finite(case.reference)
    return replace(case, values=[statistics.fmean(finite)] if finite else [], reference=finite)


def _visible(cases: Sequence[Case], rule: Rule) -> list[float]:
    return [judged.visible or 0.0 for judged in noise_rule.judge(cases, rule)]


def _smallest_tolerance(case: Case, judged: Judgement, by: str) -> float | None:
    """The smallest tolerance that is not below the noise, in the unit of the gate's own; None for unknown noise."""
    if judged.difference is None or by != BEST_EVER:
        return gate_noise.smallest_tolerance(judged)
    baseline = case.by_tolerance.baseline
    best = judged.difference.reference if baseline is None else baseline
    return best_ever.tolerance_that_holds(case.gate, best, case.reference, case.noise)


def _alarms(case: Case, judged: Judgement, by: str, rule: Rule) -> float | None:
    """The share of changes that do nothing and would be red: the sum over the looks at their runs, so at most."""
    baseline = case.by_tolerance.baseline
    if by == BEST_EVER:
        return None if baseline is None else best_ever.false_alarms(case.gate, baseline, case.reference, case.noise)
    if judged.difference is None:
        return None
    mean = judged.difference.reference
    allowed = abs(mean - plain.limit(case.gate, mean))
    rule = rule if case.gate.required else Rule()
    looks = range(1, rule.most + 1)
    errors = (case.noise.standard_error(runs, len(case.reference)) for runs in looks)
    beyond = [student.cdf(-allowed / error, case.noise.df) if error else 0.0 for error in errors]
    return sum(min(rule.level(runs), share) for runs, share in zip(looks, beyond, strict=True))


def _seen(case: Case, judged: Judgement, by: str) -> float | None:
    baseline = case.by_tolerance.baseline
    if by != BEST_EVER:
        return judged.visible
    return None if baseline is None else best_ever.visible(case.gate, baseline, case.reference, case.noise)


def _notes(case: Case, judged: Judgement, by: str, branch: str) -> Iterator[str]:
    """The note on the noise if it is unknown, if it does not decide, and if the tolerance lies below it."""
    yield from filter(None, [gate_noise.note(case, judged, by, branch), judged.caveat])
