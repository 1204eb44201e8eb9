"""Judge gates by their noise if it is known, and by their tolerance otherwise; both with what a reader has to know."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from clearml_ci.core import gate as plain
from clearml_ci.core import student
from clearml_ci.core.documents import NoiseDocument
from clearml_ci.core.formatting import count, listed
from clearml_ci.core.gate import Gate, tolerance_text
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import best_ever, difference, noise_rule, reference
from clearml_ci.decisions.noise_rule import Case, Rule
from clearml_ci.decisions.reference import Reference
from clearml_ci.decisions.samples import Sample
from clearml_ci.parameters.catalogue import BEST_EVER
from clearml_ci.parameters.check import Check

_NO_COMPARISON = (Outcome.ERROR, Outcome.NO_BASELINE)


@dataclass(frozen=True)
class Judged:
    """The judgement of one gate, as rows carry it; `by_noise` is None if the plain tolerance decided."""

    gate: Gate
    judgement: plain.Judgement
    by_noise: noise_rule.Judgement | None = None
    note: str = ""

    @property
    def document(self) -> NoiseDocument | None:
        """The figures of a gate that was judged by its noise."""
        return None if self.by_noise is None else _document(self.by_noise)


def judge(
    check: Check, judged: plain.Judgements, sample: Sample, known: Reference, *, repeats: int = 0
) -> list[Judged]:
    """The judgements of the gates of one commit, of which `judged` are those by the tolerance around the baseline.

    So many `repeats` may be asked for.
    """
    comparable = _comparable(check, sample, known)
    cases = reference.cases(judged, sample.runs, comparable, seed=check.seed)
    if check.rule == BEST_EVER:
        return [Judged(case.gate, case.by_tolerance, note=_note_best_ever(case)) for case in cases]
    branch = check.pull_request.base or check.pull_request.default_branch or "main"
    rule = Rule(repeats=repeats, undecided=Outcome(check.undecided), branch=branch)
    found = noise_rule.judge(cases, rule)
    return [_judged(case, judgement, branch) for case, judgement in zip(cases, found, strict=True)]


def _comparable(check: Check, sample: Sample, known: Reference) -> Reference:
    """The part of the reference that the sample can be compared with: none if the policy calls its inputs different."""
    if check.alike.difference == "warn" or not sample.runs:
        return known
    of_sample = sample.runs[0].inputs
    if known.in_force and reference.why_different(known.in_force[0], of_sample, check.alike):
        return Reference()
    return reference.alike(known, of_sample, check.alike)


def warnings(judged: Iterable[Judged], sample: Sample) -> list[str]:
    """A warning if the noise decided, and clean runs of the commit do not count."""
    if not sample.others or not any(judgement.by_noise for judgement in judged):
        return []
    why = listed(list(dict.fromkeys(reason for _, reason in sample.others)))
    others = "run of this commit does" if len(sample.others) == 1 else "runs of this commit do"
    return [f"{len(sample.others)} other {others} not count: {why}."]


def note(case: Case, found: noise_rule.Judgement, rule: str, branch: str) -> str:
    """The note on the noise of this gate that a reader needs, or ""; `found` is its judgement by the noise."""
    if not case.noise.known or not case.reference:
        return _note_unknown(case, branch)
    return _note_best_ever(case) if rule == BEST_EVER else _note_known(case, found)


def smallest_tolerance(found: noise_rule.Judgement) -> float | None:
    """The smallest tolerance that does not lie below the noise, in the unit of the gate's own; None if it is unknown.

    In percent, it is infinite if the reference is 0.
    """
    if found.difference is None or found.credible is None:
        return None
    reference = found.difference.reference
    if not found.difference.gate.relative:
        return found.credible
    return 100 * found.credible / abs(reference) if reference else math.inf


def _judged(case: Case, found: noise_rule.Judgement, branch: str) -> Judged:
    by_tolerance = case.by_tolerance
    if by_tolerance.outcome in _NO_COMPARISON and not (by_tolerance.new and found.difference):
        return Judged(case.gate, by_tolerance)
    if found.difference is None:
        return Judged(case.gate, by_tolerance, note=_note_unknown(case, branch))
    warning = by_tolerance.warning if by_tolerance.outcome == found.outcome else ""
    judgement = replace(by_tolerance, outcome=found.outcome, reason=found.reason, warning=warning)
    return Judged(case.gate, judgement, found, _note_known(case, found))


def _note_unknown(case: Case, branch: str) -> str:
    missing = case.noise.missing + (not case.reference)
    if not missing:
        return ""
    runs = f"until {branch} has {count(missing, 'more run')}, which `calibrate` makes"
    return f"the noise is unknown {runs}: the tolerance around the baseline decides"


def _note_known(case: Case, found: noise_rule.Judgement) -> str:
    """The note if the tolerance lies below the noise, which decides instead."""
    smallest = smallest_tolerance(found)
    if smallest is None or case.gate.tolerance >= smallest:
        return ""
    below = f"the tolerance of {tolerance_text(case.gate)} lies below the noise, which decides instead"
    alarms = _false_alarms(case)
    of_nothing = "of changes that do nothing would be red"
    red = "" if alarms is None else f"; with `rule: best-ever`, {_percent(alarms)} {of_nothing}"
    return f"{below}: {rounded_up(case.gate, smallest)} would hold{red}"


def _note_best_ever(case: Case) -> str:
    """The note on the rate of false alarms of the plain tolerance."""
    alarms = _false_alarms(case)
    if alarms is None:
        return ""
    held = f"; {_holds(case)} would hold" if alarms > best_ever.HELD else ""
    return f"with `rule: best-ever`, {_percent(alarms)} of changes that do nothing are red{held}"


def _false_alarms(case: Case) -> float | None:
    values = noise_rule.finite(case.reference)
    if case.by_tolerance.baseline is None or not values or not case.noise.known:
        return None
    return best_ever.false_alarms(case.gate, case.by_tolerance.baseline, values, case.noise)


def _holds(case: Case) -> str:
    baseline = case.by_tolerance.baseline
    smallest = best_ever.tolerance_that_holds(case.gate, baseline or 0.0, noise_rule.finite(case.reference), case.noise)
    return rounded_up(case.gate, smallest)


def rounded_up(gate: Gate, tolerance: float) -> str:
    """`3.4 %`: a tolerance in the unit of the gate's own, rounded up to two digits, so that it holds."""
    if not math.isfinite(tolerance) or tolerance <= 0:
        return "an absolute tolerance"
    step = 10.0 ** (math.floor(math.log10(tolerance)) - 1)
    return tolerance_text(replace(gate, tolerance=float(f"{math.ceil(tolerance / step - 1e-9) * step:.2g}")))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= best_ever.HELD else "less than 1 %"


def _document(found: noise_rule.Judgement) -> NoiseDocument | None:
    measured = found.difference
    if measured is None or found.visible is None:
        return None
    sign = 1 if measured.gate.goal == "maximize" else -1
    low, high = sorted(sign * end for end in measured.interval)
    reach = student.quantile(difference.CONFIDENCE, measured.noise.df) * measured.noise.sd
    return {
        "value": measured.value,
        "value_margin": reach / math.sqrt(measured.runs),
        "runs": measured.runs,
        "reference": measured.reference,
        "reference_margin": reach / math.sqrt(measured.reference_runs),
        "reference_runs": measured.reference_runs,
        "difference": measured.value - measured.reference,
        "low": low,
        "high": high,
        "limit": plain.limit(measured.gate, measured.reference),
        "visible": found.visible,
        "sd": measured.noise.sd,
        "degrees_of_freedom": measured.noise.df,
        "words": found.words,
        "better": found.better,
        "renews": found.renews,
        "caveat": found.caveat,
    }
