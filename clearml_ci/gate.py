"""The gate: a pure function from a candidate's and the best's values to an outcome."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clearml_ci.check import Metric


@dataclass(frozen=True)
class Gate:
    title: str
    series: str  # a single value: title "Summary", series its name
    goal: str = "maximize"  # "maximize" | "minimize"
    value: str = "best"  # "best" of the curve in the goal's direction, or "last"
    tolerance: float = 0.0  # how much worse than the baseline is allowed, >= 0
    relative: bool = True  # True: tolerance is in percent of |baseline|; False: absolute, in the metric's unit
    minimum: float | None = None  # absolute floor
    maximum: float | None = None  # absolute ceiling
    required: bool = True  # False: advisory: shown, does not turn the verdict

    @property
    def name(self) -> str:
        return f"{self.title}/{self.series}"


DOUBT = (
    "has 0 as its best value, which is also how ClearML records NaN and infinity: "
    "set `Logger.set_reporting_nan_value` to another number, or report the metric only where it is defined"
)


@dataclass(frozen=True)
class Summary:
    """One scalar series as ClearML's `last_metrics` sums it up, over all its iterations."""

    title: str
    series: str
    last: float
    minimum: float
    maximum: float


@dataclass(frozen=True)
class Judgement:
    """`outcome` is one of the verdict's; numbers are None where they do not exist."""

    outcome: str
    reason: str
    value: float | None = None
    baseline: float | None = None
    limit: float | None = None
    baseline_id: str | None = None

    @property
    def difference(self) -> float | None:
        return None if self.value is None or self.baseline is None else self.value - self.baseline


def as_document(metric: Metric, judged: Judgement) -> dict[str, Any]:
    """The gate's numbers as results and verdicts carry them. JSON knows no NaN: such a number becomes None."""
    numbers = {
        "value": judged.value,
        "baseline": judged.baseline,
        "difference": judged.difference,
        "limit": judged.limit,
    }
    return {
        "metric": metric.name,
        "goal": metric.goal,
        "threshold_percent": metric.threshold_percent,
        "outcome": judged.outcome,
        **{name: number if number is not None and math.isfinite(number) else None for name, number in numbers.items()},
    }


def best_of_curve(metric: Metric, summary: Summary) -> float:
    """The curve's best value in the goal's direction."""
    return summary.maximum if metric.goal == "maximize" else summary.minimum


def doubtful_zero(metric: Metric, summary: Summary) -> bool:
    """Is the curve's best exactly 0, while the curve is not 0 throughout?

    The SDK records NaN and infinities as 0 (`Logger.set_reporting_nan_value`), so a loss that diverged has a best of
    0, better than any other. A true 0 looks the same, and cannot be told from it.
    """
    return best_of_curve(metric, summary) == 0 and (summary.minimum, summary.maximum) != (0, 0)


def limit(metric: Metric, baseline: float) -> float:
    """The worst value that still holds: the tolerance is a percentage of |baseline|, on the losing side of it."""
    tolerance = abs(baseline) * metric.threshold_percent / 100
    return baseline - tolerance if metric.goal == "maximize" else baseline + tolerance


def judge(metric: Metric, candidate: Summary | None, bests: Mapping[str, Summary | None]) -> Judgement:
    """Compare the candidate with the best of the tagged tasks (`bests`: task id → its summary, or None).

    Several tagged tasks: the best of them counts. No tagged task: `no_baseline`. A value that is missing, not finite
    or a doubtful zero on either side: `inconclusive`, never a pass.
    """
    if candidate is None:
        return Judgement("inconclusive", f"the task of this commit reported no {metric.name}")
    value = best_of_curve(metric, candidate)
    if not math.isfinite(value):
        return Judgement("inconclusive", f"{metric.name} of this commit is {value}, which is no finite number")
    if doubtful_zero(metric, candidate):
        return Judgement("inconclusive", f"{metric.name} of this commit {DOUBT}", value=value)
    if not bests:
        return Judgement("no_baseline", "there is no best model yet to compare with", value=value)
    return _compare(metric, value, bests)


def _compare(metric: Metric, value: float, bests: Mapping[str, Summary | None]) -> Judgement:
    known = {
        task: best_of_curve(metric, summary)
        for task, summary in bests.items()
        if summary is not None and math.isfinite(best_of_curve(metric, summary)) and not doubtful_zero(metric, summary)
    }
    if not known:
        return Judgement("inconclusive", f"the best task has no finite {metric.name} that can be trusted", value=value)
    pick = max if metric.goal == "maximize" else min
    task = pick(known, key=lambda name: known[name])
    outcome, reason = _outcome(metric, value, known[task])
    return Judgement(outcome, reason, value, known[task], limit(metric, known[task]), task)


def _outcome(metric: Metric, value: float, baseline: float) -> tuple[str, str]:
    sign = 1 if metric.goal == "maximize" else -1
    if sign * value > sign * baseline:
        return "improved", f"{metric.name} is better than the best"
    allowed = limit(metric, baseline)
    if sign * value >= sign * allowed or math.isclose(value, allowed, rel_tol=1e-9):
        return "passed", f"{metric.name} holds within {metric.threshold_percent:g} % of the best"
    return "regressed", f"{metric.name} is worse than the best by more than {metric.threshold_percent:g} %"
