"""The gate: a pure function from a candidate's and the best's values to an outcome. `docs/gates.md` is its table."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from clearml_ci.core.documents import GateRow
from clearml_ci.core.outcome import HOLDS, Outcome

SINGLE_VALUES = "Summary"  # the title under which ClearML keeps `Logger.report_single_value`


DOUBT = (
    "has 0 as its {which} value, which is also how ClearML records NaN and infinity: "
    "set `Logger.set_reporting_nan_value` to another number, or report the metric only where it is defined"
)


_MOST_NAMED = 3  # reasons in one sentence


@dataclass(frozen=True)
class Gate:
    """What one metric must hold against the best model, and on its own. A single value has the title `Summary`."""

    title: str
    series: str
    goal: str = "maximize"  # or "minimize"
    value: str = "best"  # the curve's best in the goal's direction, or "last"
    tolerance: float = 0.0  # how much worse than the baseline is allowed, >= 0
    relative: bool = True  # the tolerance is in percent of |baseline|; False: in the metric's own unit
    minimum: float | None = None  # whatever the baseline is
    maximum: float | None = None
    required: bool = True  # False: advisory, shown without turning the verdict

    @property
    def name(self) -> str:
        return f"{self.title}/{self.series}"


@dataclass(frozen=True)
class Summary:
    """One scalar series as ClearML's `last_metrics` sums it up, over all its iterations."""

    title: str
    series: str
    last: float
    minimum: float
    maximum: float


Reported = Mapping[Gate, Summary | None]  # what one task reported for each gate


@dataclass(frozen=True)
class Judgement:
    """`outcome` is one of the verdict's; numbers are None where they do not exist.

    `absolute` is True where a minimum or maximum was missed: that holds without any baseline.
    """

    outcome: Outcome
    reason: str
    value: float | None = None
    baseline: float | None = None
    limit: float | None = None
    baseline_id: str | None = None
    last: float | None = None
    absolute: bool = False
    warning: str = ""

    @property
    def difference(self) -> float | None:
        return None if self.value is None or self.baseline is None else self.value - self.baseline


def judge(gate: Gate, candidate: Mapping[str, Summary | None], baseline: Mapping[str, Summary | None]) -> Judgement:
    """Compare the candidate's runs with the baseline's (each: task id → its summary, or None where it has none).

    Of several candidate's runs the median counts, of several baselines the best one. A value that is missing, not
    finite or a doubtful zero on either side is `inconclusive`, no baseline at all `no_baseline`; but a missed minimum
    or maximum is `regressed` in any case.
    """
    runs = list(candidate.values())
    for objection in (_objection(gate, run) for run in runs or [None]):
        if objection:
            return Judgement(Outcome.INCONCLUSIVE, objection)
    known = [run for run in runs if run is not None]
    value = statistics.median(value_of(gate, run) for run in known)
    judged = replace(_compare(gate, value, baseline), last=statistics.median(run.last for run in known))
    if judged.outcome == Outcome.IMPROVED and value == 0 and all((run.minimum, run.maximum) == (0, 0) for run in known):
        # A curve that is 0 throughout may be one that was NaN throughout; only against another 0 it proves nothing new.
        doubt = f"{gate.name} of this commit {DOUBT.format(which=gate.value)}"
        return replace(judged, outcome=Outcome.INCONCLUSIVE, reason=doubt)
    missed = _missed_bound(gate, value)
    if missed:
        return replace(judged, outcome=Outcome.REGRESSED, reason=missed, absolute=True)
    return replace(judged, warning=_ended_worse(gate, judged))


def void(judged: Judgement, reason: str) -> Judgement:
    """The same judgement where its comparison means nothing; what was missed without a baseline stays missed."""
    if judged.baseline is None or judged.absolute:
        return judged
    return replace(judged, outcome=Outcome.INCONCLUSIVE, reason=reason, warning="")


def decide(judged: Sequence[tuple[Gate, Judgement]]) -> tuple[Outcome, str]:
    """One outcome of many gates, and a sentence that names those that decided. Advisory gates do not count."""
    required = [(gate, one) for gate, one in judged if gate.required]
    outcomes = {one.outcome for _, one in required}
    for outcome in (Outcome.ERROR, Outcome.REGRESSED, Outcome.INCONCLUSIVE):
        if outcome in outcomes:
            return outcome, _reasons(one.reason for _, one in required if one.outcome == outcome)
    if not required:
        return Outcome.PASSED, "no gate is required; the advisory ones are shown only"
    if outcomes == {Outcome.NO_BASELINE}:
        return Outcome.NO_BASELINE, required[0][1].reason
    if Outcome.IMPROVED in outcomes:
        better = [one.reason for _, one in required if one.outcome == Outcome.IMPROVED]
        return Outcome.IMPROVED, _reasons(better) + _others(len(required) - len(better))
    if len(required) == 1:
        return Outcome.PASSED, required[0][1].reason
    return Outcome.PASSED, f"all {len(required)} required gates hold: {_listed([gate.name for gate, _ in required])}"


def as_row(gate: Gate, judged: Judgement, *, main: float | None = None) -> GateRow:
    """The gate and its judgement as results and verdicts carry them; `main` is the value of main's own task.

    JSON knows no NaN: such a number becomes None.
    """
    return {
        "metric": gate.name,
        "goal": gate.goal,
        "which": gate.value,
        "threshold_percent": gate.tolerance if gate.relative else None,
        "tolerance": gate.tolerance,
        "relative": gate.relative,
        "minimum": gate.minimum,
        "maximum": gate.maximum,
        "required": gate.required,
        "outcome": judged.outcome,
        "reason": judged.reason,
        "baseline_task": judged.baseline_id,
        "value": finite(judged.value),
        "baseline": finite(judged.baseline),
        "difference": finite(judged.difference),
        "limit": finite(judged.limit),
        "last": finite(judged.last),
        "main": finite(main),
    }


def finite(number: float | None) -> float | None:
    """The number, or None where JSON has no word for it."""
    return number if number is not None and math.isfinite(number) else None


def value_of(gate: Gate, summary: Summary) -> float:
    """The value that counts: the curve's best in the goal's direction, its last, or the single value itself."""
    if gate.value == "last" or gate.title == SINGLE_VALUES:  # a single value that is reported again is replaced
        return summary.last
    return summary.maximum if gate.goal == "maximize" else summary.minimum


def doubtful_zero(gate: Gate, summary: Summary) -> bool:
    """Is the value that counts exactly 0, while the curve is not 0 throughout?

    The SDK records NaN and infinities as 0 (`Logger.set_reporting_nan_value`), so a loss that diverged has a best of
    0, better than any other. A true 0 looks the same, and cannot be told from it.
    """
    return value_of(gate, summary) == 0 and (summary.minimum, summary.maximum) != (0, 0)


def limit(gate: Gate, baseline: float) -> float:
    """The worst value that still holds. The tolerance is on the losing side of the baseline, whatever its sign."""
    tolerance = abs(baseline) * gate.tolerance / 100 if gate.relative else gate.tolerance
    return baseline - tolerance if gate.goal == "maximize" else baseline + tolerance


def tolerance_text(gate: Gate) -> str:
    """`3 %`, or `0.02` in the metric's own unit."""
    return f"{gate.tolerance:g} %" if gate.relative else f"{gate.tolerance:g}"


def _objection(gate: Gate, summary: Summary | None) -> str:
    """Why this commit's value cannot be judged, or nothing."""
    if summary is None:
        return f"the task of this commit reported no {gate.name}"
    value = value_of(gate, summary)
    if not math.isfinite(value):
        return f"{gate.name} of this commit is {value}, which is no finite number"
    if doubtful_zero(gate, summary):
        return f"{gate.name} of this commit {DOUBT.format(which=gate.value)}"
    return ""


def _compare(gate: Gate, value: float, baseline: Mapping[str, Summary | None]) -> Judgement:
    if not baseline:
        return Judgement(Outcome.NO_BASELINE, "there is no best model yet to compare with", value)
    known = {
        task: value_of(gate, summary)
        for task, summary in baseline.items()
        if summary is not None and not _objection(gate, summary)
    }
    if not known:
        return Judgement(Outcome.INCONCLUSIVE, f"the best task has no finite {gate.name} that can be trusted", value)
    pick = max if gate.goal == "maximize" else min
    task = pick(known, key=lambda name: known[name])
    outcome, reason = _outcome(gate, value, known[task])
    return Judgement(outcome, reason, value, known[task], limit(gate, known[task]), task)


def _outcome(gate: Gate, value: float, baseline: float) -> tuple[Outcome, str]:
    if _better(gate, value, baseline):
        return Outcome.IMPROVED, f"{gate.name} is better than the best"
    if _holds(gate, value, baseline):
        within = f"holds within {tolerance_text(gate)} of" if gate.tolerance else "is as good as"
        return Outcome.PASSED, f"{gate.name} {within} the best"
    by = f" by more than {tolerance_text(gate)}" if gate.tolerance else ""
    return Outcome.REGRESSED, f"{gate.name} is worse than the best{by}"


def _better(gate: Gate, value: float, than: float) -> bool:
    return value > than if gate.goal == "maximize" else value < than


def _holds(gate: Gate, value: float, baseline: float) -> bool:
    """Not worse than the limit, but for the rounding of `limit` itself."""
    allowed = limit(gate, baseline)
    return not _better(gate, allowed, value) or _same(value, allowed, scale=baseline)


def _same(value: float, bound: float, *, scale: float) -> bool:
    return math.isclose(value, bound, rel_tol=1e-9, abs_tol=1e-12 * abs(scale))


def _missed_bound(gate: Gate, value: float) -> str:
    if gate.minimum is not None and value < gate.minimum and not _same(value, gate.minimum, scale=0):
        return f"{gate.name} is {value:.6g}, below the minimum of {gate.minimum:g}"
    if gate.maximum is not None and value > gate.maximum and not _same(value, gate.maximum, scale=0):
        return f"{gate.name} is {value:.6g}, above the maximum of {gate.maximum:g}"
    return ""


def _ended_worse(gate: Gate, judged: Judgement) -> str:
    """A warning where the curve's best meets what its last value would miss."""
    last, value = judged.last, judged.value
    if gate.value == "last" or gate.title == SINGLE_VALUES or last is None or value is None:
        return ""
    if judged.outcome not in HOLDS:
        return ""
    misses = bool(_missed_bound(gate, last)) or (
        judged.baseline is not None and not _holds(gate, last, judged.baseline)
    )
    if math.isfinite(last) and not misses:
        return ""
    return f"{gate.name} was {value:.6g} at its best, but ended at {last:.6g}, which would not hold"


def _reasons(reasons: Iterable[str]) -> str:
    return _listed(list(dict.fromkeys(reasons)), separator="; ")


def _listed(texts: Sequence[str], *, separator: str = ", ") -> str:
    more = f"{separator}and {len(texts) - _MOST_NAMED} more" if len(texts) > _MOST_NAMED else ""
    return separator.join(texts[:_MOST_NAMED]) + more


def _others(count: int) -> str:
    if not count:
        return ""
    return "; the other required gate holds" if count == 1 else f"; the other {count} required gates hold"
