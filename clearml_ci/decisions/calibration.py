"""The losses that each gate sees through its noise, for the user who chooses `max_regression`."""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
    `max_regression` that is not below the noise, or "". `notes` are what a reader has to know.
    """

    gate: Gate
    runs: int
    mean: float
    noise: Noise
    visible: tuple[float, ...] = ()
    sensible: str = ""
    notes: tuple[str, ...] = ()


def of_gates(cases: Sequence[Case], *, by: str, repeats: int, branch: str) -> list[Figures]:
    """The figures of the gates of one model, for commits that are as good as the reference: no case needs values.

    `by` is the policy's rule, and `repeats` are those that it allows.
    """
    as_good = [_as_good(case) for case in cases]
    visible = [_visible(as_good, Rule(repeats=runs - 1)) for runs in RUNS]
    rule = Rule(repeats=repeats, branch=branch)
    judged = noise_rule.judge(as_good, rule)
    tests = sum(case.gate.required and found.difference is not None for case, found in zip(cases, judged, strict=True))
    smallest = [_smallest_tolerance(*found, by, rule, tests) for found in zip(as_good, judged, strict=True)]
    return [
        Figures(
            case.gate,
            len(case.reference),
            statistics.fmean(case.reference) if case.reference else math.nan,
            case.noise,
            seen if tolerance is not None else (),
            "" if tolerance is None else gate_noise.rounded_up(case.gate, tolerance),
            tuple(_notes(case, judgement, by, branch, tolerance)),
        )
        for case, judgement, seen, tolerance in zip(as_good, judged, zip(*visible, strict=True), smallest, strict=True)
    ]


def _as_good(case: Case) -> Case:
    """The case of a commit with one run, whose value is the reference's mean."""
    finite = [value for value in case.reference if math.isfinite(value)]
    return replace(case, values=[statistics.fmean(finite)] if finite else [], reference=finite)


def _visible(cases: Sequence[Case], rule: Rule) -> list[float]:
    return [judged.visible or 0.0 for judged in noise_rule.judge(cases, rule)]


def _smallest_tolerance(case: Case, judged: Judgement, by: str, rule: Rule, tests: int) -> float | None:
    """The smallest tolerance that is not below the noise, in the unit of the gate's own; None for unknown noise."""
    found = judged.difference
    if found is None:
        return None
    if by == BEST_EVER:
        best = found.reference if case.by_tolerance.baseline is None else case.by_tolerance.baseline
        return best_ever.tolerance_that_holds(case.gate, best, case.reference, case.noise)
    rule, tests = (rule, tests) if case.gate.required else (Rule(), 1)
    credible = found.credible(most=rule.most, level=rule.level(rule.most), tests=tests)
    if not case.gate.relative:
        return credible
    return 100 * credible / abs(found.reference) if found.reference else math.inf


def _notes(case: Case, judged: Judgement, by: str, branch: str, smallest: float | None) -> Iterator[str]:
    """The note on the noise if it is unknown, if it does not decide, and if the tolerance lies below it."""
    if smallest is None or by == BEST_EVER or case.gate.tolerance < smallest:
        yield from filter(None, [gate_noise.note(case, by, branch)])
    if judged.caveat:
        yield judged.caveat
