"""The gate: an outcome from the values of candidate and baseline. `docs/gates.md` is its table."""

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from clearml_ci.core.documents import GateRow, NoiseDocument
from clearml_ci.core.formatting import apart, count, listed, shorten
from clearml_ci.core.outcome import HOLDS, Outcome

SINGLE_VALUES = "Summary"  # the title under which ClearML keeps `Logger.report_single_value`


OWN = ("", "own")  # values of `at`: each metric is read at its own best or last iteration


DOUBT = (
    "has 0 as its {which} value, which is also how ClearML records NaN and infinity: "
    "set `allow_zero: true` in the policy's gate if the metric is never NaN, or report it only while it is a number"
)


@dataclass(frozen=True)
class Gate:
    """The limits of one metric, against the baseline and on its own. A single value has the title `Summary`."""

    title: str
    series: str
    goal: str = "maximize"  # or "minimize"
    value: str = "best"  # the curve's best in the goal's direction, or "last"
    tolerance: float = 0.0  # how much worse than the baseline is allowed, >= 0
    relative: bool = True  # the tolerance is in percent of |baseline|; False: in the metric's own unit
    minimum: float | None = None  # whatever the baseline is
    maximum: float | None = None
    required: bool = True  # False: advisory, shown without turning the verdict
    allow_zero: bool = False  # 0 is a value of this metric, never NaN
    at: str = ""  # the checkpoint at which it is read: `own`, `last` or `best of title/series`; "": that of the check
    slice_of: str = ""  # the pattern that this gate is a slice of

    @property
    def name(self) -> str:
        """Title and series; a slice's are those of a task, and become one line of 200 characters at most."""
        name = f"{self.title}/{self.series}"
        return shorten(" ".join(name.split()), 200) if self.slice_of else name

    @property
    def is_pattern(self) -> bool:
        """True if it stands for a gate of each series that matches, until those are known."""
        return "*" in self.name and not self.slice_of


@dataclass(frozen=True)
class Summary:
    """One scalar series over all its iterations, as ClearML's `last_metrics` has it.

    `points` is the number of its values, if the server counts them. `at` is the value at the run's checkpoint, if the
    gate is read there; it is NaN if `missing` names the reason why there is none.
    """

    title: str
    series: str
    last: float
    minimum: float
    maximum: float
    points: int | None = field(default=None, compare=False, repr=False)
    at: float | None = None
    missing: str = ""


Reported = Mapping[Gate, Summary | None]  # what one task reported for each gate


@dataclass(frozen=True)
class Judgement:
    """The judgement of one gate; a number that does not exist is None.

    `absolute`: a minimum or maximum was missed, which needs no baseline. `new`: a slice that no baseline has.
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
    new: bool = False

    @property
    def difference(self) -> float | None:
        return None if self.value is None or self.baseline is None else self.value - self.baseline


Judgements = Sequence[tuple[Gate, Judgement]]


def judge(gate: Gate, candidate: Mapping[str, Summary | None], baseline: Mapping[str, Summary | None]) -> Judgement:
    """Compare runs of the candidate with the baselines (each: task id → its summary, None if it did not report one).

    The median of several runs counts, and the best of several baselines. A value that is missing, not finite or a
    doubtful zero on either side is `inconclusive`, no baseline at all `no_baseline`. A missed minimum or maximum is
    `regressed` in any case. A zero throughout may have been NaN throughout: it does not hold, and is no baseline,
    unless the gate allows zeros.
    """
    runs = list(candidate.values())
    for objection in (_objection(gate, run) for run in runs or [None]):
        if objection:
            return Judgement(Outcome.INCONCLUSIVE, objection)
    known = [run for run in runs if run is not None]
    value = statistics.median(value_of(gate, run) for run in known)
    judged = replace(_compare(gate, value, baseline), last=statistics.median(run.last for run in known))
    missed = missed_bound(gate, value)
    if missed:
        return replace(judged, outcome=Outcome.REGRESSED, reason=missed, absolute=True)
    if judged.outcome in HOLDS and any(_may_be_nan(gate, value_of(gate, run)) for run in known):
        doubt = f"{gate.name} of this commit {DOUBT.format(which=gate.value)}"
        return replace(judged, outcome=Outcome.INCONCLUSIVE, reason=doubt)
    return replace(judged, warning=_ended_worse(gate, judged))


def without_comparison(judged: Judgement, reason: str) -> Judgement:
    """The judgement if its comparison is meaningless for this reason; a missed minimum or maximum stays missed."""
    if judged.baseline is None or judged.absolute:
        return judged
    return replace(judged, outcome=Outcome.INCONCLUSIVE, reason=reason, warning="")


def doubted(judged: Judgement, doubt: str) -> Judgement:
    """The judgement if there is a `doubt` about the candidate's value, which may not be that of its commit."""
    if not doubt or judged.outcome not in HOLDS:
        return judged
    return replace(judged, outcome=Outcome.INCONCLUSIVE, reason=doubt, warning="")


def decide(judged: Judgements) -> tuple[Outcome, str]:
    """One outcome of many gates, and a reason that names the deciding ones. Advisory gates do not count."""
    required = [(gate, judgement) for gate, judgement in judged if gate.required]
    outcomes = {judgement.outcome for _, judgement in required}
    if failed := outcomes - HOLDS:
        worst = min(failed, key=lambda outcome: outcome.rank)
        return worst, _reasons(required, worst)
    if not required:
        return Outcome.PASSED, "no gate is required: the advisory gates are only shown"
    if Outcome.ACCEPTED in outcomes:
        return Outcome.ACCEPTED, _reasons(required, Outcome.ACCEPTED)
    if outcomes == {Outcome.NO_BASELINE}:
        return Outcome.NO_BASELINE, required[0][1].reason
    better = [(gate, found) for gate, found in required if found.outcome == Outcome.IMPROVED and not gate.slice_of]
    if better:  # of many slices, some are better by chance
        return Outcome.IMPROVED, _reasons(better, Outcome.IMPROVED) + _others(len(required) - len(better))
    if len(required) == 1:
        return Outcome.PASSED, required[0][1].reason
    names = Counter(gate.slice_of or gate.name for gate, _ in required)
    texts = [f"{name} ({count(number, 'slice')})" if "*" in name else name for name, number in names.items()]
    return Outcome.PASSED, f"all {len(required)} required gates hold: {listed(texts, separator=', ')}"


def as_row(
    gate: Gate,
    judged: Judgement,
    *,
    main: float | None = None,
    noise: NoiseDocument | None = None,
    note: str = "",
) -> GateRow:
    """The gate and its judgement as results and verdicts carry them; `main` is the value of the base branch's own task.

    JSON has no NaN: such a number becomes None.
    """
    return {
        "metric": gate.name,
        "title": gate.title,
        "series": gate.series,
        "slice_of": gate.slice_of,
        "at": gate.at,
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
        "value": _finite(judged.value),
        "baseline": _finite(judged.baseline),
        "difference": _finite(judged.difference),
        "limit": _finite(judged.limit),
        "last": _finite(judged.last),
        "main": _finite(main),
        "noise": noise,
        "note": note,
    }


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None


def value_of(gate: Gate, summary: Summary) -> float:
    """The value that counts: that at the checkpoint, the best or the last of the curve, or the single value itself."""
    if summary.at is not None:
        return summary.at
    if gate.value == "last" or gate.title == SINGLE_VALUES:  # a single value that is reported again is replaced
        return summary.last
    return summary.maximum if gate.goal == "maximize" else summary.minimum


def can_be_trusted(gate: Gate, summary: Summary) -> bool:
    """True if the value that counts is finite and not NaN that was recorded as 0."""
    value = value_of(gate, summary)
    return math.isfinite(value) and not _may_be_nan(gate, value)


def _may_be_nan(gate: Gate, value: float) -> bool:
    """True if the value is exactly 0 and the gate does not allow zeros.

    The SDK records NaN and infinities as 0 (`Logger.set_reporting_nan_value`): a loss that diverged has a best of 0,
    better than any other. Nothing on the server distinguishes it from a true 0; the SDK prints a line about it, but
    with a level that is hidden by default.
    """
    return value == 0 and not gate.allow_zero


def limit(gate: Gate, baseline: float) -> float:
    """The worst value that still holds; the tolerance is on the worse side of the baseline, whatever its sign."""
    tolerance = abs(baseline) * gate.tolerance / 100 if gate.relative else gate.tolerance
    return baseline - tolerance if gate.goal == "maximize" else baseline + tolerance


def tolerance_text(gate: Gate) -> str:
    """`3 %`, or `0.02` in the metric's own unit."""
    return f"{gate.tolerance:g} %" if gate.relative else f"{gate.tolerance:g}"


def _objection(gate: Gate, summary: Summary | None) -> str:
    """The reason why this commit's value cannot be judged, or ""."""
    if summary is None:
        of = f", a slice of {gate.slice_of} that the default branch has" if gate.slice_of else ""
        return f"the task of this commit reported no {gate.name}{of}"
    if summary.missing:
        return f"{gate.name} of this commit cannot be read: {summary.missing}"
    value = value_of(gate, summary)
    if not math.isfinite(value):
        return f"{gate.name} of this commit is {value}, which is not a finite number"
    if _may_be_nan(gate, value) and (summary.minimum, summary.maximum) != (0, 0):
        return f"{gate.name} of this commit {DOUBT.format(which=gate.value)}"
    return ""


def _compare(gate: Gate, value: float, baseline: Mapping[str, Summary | None]) -> Judgement:
    if not baseline:
        return Judgement(Outcome.NO_BASELINE, "there is no baseline yet", value)
    known = {
        task: value_of(gate, summary)
        for task, summary in baseline.items()
        if summary is not None and can_be_trusted(gate, summary)
    }
    if gate.slice_of and not any(baseline.values()):
        return Judgement(Outcome.NO_BASELINE, f"{gate.name} is new: no baseline has it", value, new=True)
    if not known:
        return Judgement(Outcome.INCONCLUSIVE, _untrusted_baseline(gate, baseline), value)
    pick = max if gate.goal == "maximize" else min
    task = pick(known, key=lambda name: known[name])
    outcome, reason = _outcome(gate, value, known[task])
    return Judgement(outcome, reason, value, known[task], limit(gate, known[task]), task)


def _untrusted_baseline(gate: Gate, baseline: Mapping[str, Summary | None]) -> str:
    missing = next((summary.missing for summary in baseline.values() if summary and summary.missing), "")
    if missing:
        return f"{gate.name} of the baseline cannot be read: {missing}"
    zero = any(summary is not None and _may_be_nan(gate, value_of(gate, summary)) for summary in baseline.values())
    doubt = f"{gate.name} of the baseline {DOUBT.format(which=gate.value)}; or give the tag to another task"
    return doubt if zero else f"the baseline has no finite {gate.name} that can be trusted"


def _outcome(gate: Gate, value: float, baseline: float) -> tuple[Outcome, str]:
    if _better(gate, value, baseline):
        return Outcome.IMPROVED, f"{gate.name} is better than the baseline"
    if holds(gate, value, baseline):
        within = f"is within {tolerance_text(gate)} of" if gate.tolerance else "is as good as"
        return Outcome.PASSED, f"{gate.name} {within} the baseline"
    by = f" by more than {tolerance_text(gate)}" if gate.tolerance else ""
    return Outcome.REGRESSED, f"{gate.name} is worse than the baseline{by}"


def _better(gate: Gate, value: float, than: float) -> bool:
    return value > than if gate.goal == "maximize" else value < than


def holds(gate: Gate, value: float, baseline: float) -> bool:
    """True if the value is not worse than the limit, up to rounding."""
    allowed = limit(gate, baseline)
    return not _better(gate, allowed, value) or _same(value, allowed, scale=baseline)


def _same(value: float, bound: float, *, scale: float) -> bool:
    return math.isclose(value, bound, rel_tol=1e-9, abs_tol=1e-12 * abs(scale))


def missed_bound(gate: Gate, value: float) -> str:
    if gate.minimum is not None and value < gate.minimum and not _same(value, gate.minimum, scale=0):
        return "{} is {}, below the minimum of {}".format(gate.name, *apart(value, gate.minimum))
    if gate.maximum is not None and value > gate.maximum and not _same(value, gate.maximum, scale=0):
        return "{} is {}, above the maximum of {}".format(gate.name, *apart(value, gate.maximum))
    return ""


def _ended_worse(gate: Gate, judged: Judgement) -> str:
    """A warning if the best value of the curve holds and its last value would not, or ""."""
    last, value = judged.last, judged.value
    if gate.value == "last" or gate.title == SINGLE_VALUES or last is None or value is None:
        return ""
    if gate.at not in OWN:  # the policy names the checkpoint
        return ""
    if judged.outcome not in HOLDS:
        return ""
    misses = bool(missed_bound(gate, last)) or (judged.baseline is not None and not holds(gate, last, judged.baseline))
    if math.isfinite(last) and not misses:
        return ""
    best, end = apart(value, last)
    return f"{gate.name} was {best} at its best, but ended at {end}, which would not hold"


def _reasons(judged: Judgements, outcome: Outcome) -> str:
    """The reasons of all gates with this outcome."""
    return listed(list(dict.fromkeys(judgement.reason for _, judgement in judged if judgement.outcome == outcome)))


def _others(count: int) -> str:
    if not count:
        return ""
    return "; the other required gate holds" if count == 1 else f"; the other {count} required gates hold"
