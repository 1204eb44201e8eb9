"""Drift of the default branch: when a metric of its runs changed for good, by how much, and with which merges."""

import statistics
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from clearml_ci.core import slices
from clearml_ci.core.formatting import apart, count, listed
from clearml_ci.core.gate import Gate, holds, missed_bound, tolerance_text
from clearml_ci.core.merge import Merge
from clearml_ci.core.noise import ENOUGH
from clearml_ci.decisions import change_points, main_runs, samples
from clearml_ci.decisions.audit_findings import FINDING, NOTE, Finding, Subject
from clearml_ci.decisions.change_points import Change
from clearml_ci.decisions.main_runs import Merged
from clearml_ci.decisions.samples import Run

DRIFT, GAIN, RETRAINED = "drift", "drift_up", "retrained"  # kinds of findings


_ENOUGH_RUNS = 10  # runs before the newest: with fewer, the tolerance around the baseline decides


@dataclass(frozen=True)
class Drift:
    """One change of a metric. It came with one of the `merges`, first to last; `before` is the last with runs before.

    It `lasts` if the newest runs are still credibly on that side of what was before.
    """

    gate: Gate
    change: Change
    before: Merged
    merges: tuple[Merged, ...]
    lasts: bool

    @property
    def gain(self) -> float:
        """The change in the metric's unit: better is positive, worse is negative."""
        return self.change.difference * _sign(self.gate)

    @property
    def is_allowed(self) -> bool:
        """True if the level after the change is no worse than the gate allows."""
        before, after = (statistics.fmean(level) for level in (self.change.before, self.change.after))
        return holds(self.gate, after, before)


def find(merged: Sequence[Merged], gate: Gate, *, seed: str = "") -> list[Drift]:
    """The drifts of a gate's metric in the runs of one model, oldest first; `merged` are in merge order."""
    groups = [main_runs.values(gate, merge, seed=seed) for merge in merged]
    changes = change_points.find(groups)
    return [_drift(gate, change, merged, groups, newest=changes[-1].after) for change in changes]


def findings(
    merged: Sequence[Merged], gates: Iterable[Gate], subject: Subject, *, reference: Collection[str], seed: str = ""
) -> list[Finding]:
    """A finding for each loss that lasts and is larger than its gate allows, a note for each that it allows, or gain.

    `reference` are the ids of the tasks that the default branch is compared with: if all of them ran after a change,
    the team has taken it, and it is left out.
    """
    every = slices.expanded(tuple(gates), main_runs.reported(merged))
    return [
        _finding(drift, subject) for gate in every for drift in reported(merged, gate, reference=reference, seed=seed)
    ]


def reported(merged: Sequence[Merged], gate: Gate, *, reference: Collection[str], seed: str = "") -> list[Drift]:
    """The drifts of a gate that last and that the reference has not taken."""
    began = _began(merged, reference)
    lasting = (drift for drift in find(merged, gate, seed=seed) if drift.lasts)
    return [drift for drift in lasting if began is None or began < drift.change.at]


def severity(drift: Drift) -> str:
    """The severity of a drift: a loss that its gate does not allow is a finding."""
    is_finding = drift.gain < 0 and drift.gate.required and not drift.is_allowed
    return FINDING if is_finding else NOTE


def is_explained_by_noise(merged: Sequence[Merged], gate: Gate, *, seed: str = "") -> bool:
    """True if the newest run is no credible loss beside the level of the ten or more runs before it."""
    values = [value for merge in merged for value in main_runs.values(gate, merge, seed=seed)]
    if len(values) <= _ENOUGH_RUNS:
        return False
    level = _level(merged, gate, seed)
    before = level[:-1] if len(level) > ENOUGH else values[:-1]
    return not _is_credible_loss(gate, before, values[-1:])


def of_retraining(
    trainings: Sequence[Run], merged: Sequence[Merged], gates: Iterable[Gate], subject: Subject, *, seed: str = ""
) -> list[Finding]:
    """Findings that new `trainings` of the default branch's head are worse than the level of its own earlier runs.

    `merged` are those runs in merge order, without the trainings. A loss has to be credible, at 99 %, and larger than
    the gate allows.
    """
    every = slices.expanded(tuple(gates), [run.reported for run in trainings])
    found = (_of_retraining(gate, trainings, merged, subject, seed) for gate in every)
    return [finding for finding in found if finding]


def _of_retraining(
    gate: Gate, trainings: Sequence[Run], merged: Sequence[Merged], subject: Subject, seed: str
) -> Finding | None:
    trained = f"the default branch, trained again {count(len(trainings), 'time')}"
    values = main_runs.values(gate, Merged(merged[-1].merge if merged else _NO_MERGE, tuple(trainings)), seed=seed)
    weight = FINDING if gate.required else NOTE
    if len(values) < len(samples.values(gate, trainings, seed=seed)):
        message = f"{trained}: {gate.name} is missing, or is no finite number, in a run"
        return Finding(RETRAINED, weight, subject, message, _UNPINNED)
    mean = statistics.fmean(values)
    if missed := missed_bound(gate, mean):
        return Finding(RETRAINED, weight, subject, f"{trained}: {missed}", _UNPINNED)
    level = _level(merged, gate, seed)
    if len(level) + len(values) - 2 < ENOUGH:
        message = f"{trained}: {count(len(level), 'earlier run')} of {gate.name} cannot show a loss"
        return Finding(RETRAINED, NOTE, subject, message, "nothing: the next audit compares with these")
    before = statistics.fmean(level)
    numbers = "mean {} of {}, {} of {} before".format(
        apart(mean, before)[0], count(len(values), "run"), apart(mean, before)[1], len(level)
    )
    if _is_credible_loss(gate, level, values):
        allowed = holds(gate, mean, before)
        within = f", which the gate allows ({tolerance_text(gate)})" if allowed else ""
        message = f"{trained}: {gate.name} is worse by {_size(mean - before)}{within} ({numbers})"
        return Finding(RETRAINED, NOTE if allowed else weight, subject, message, _UNPINNED)
    if _is_credible_loss(gate, values, level):
        message = f"{trained}: {gate.name} is better by {_size(mean - before)} ({numbers})"
        return Finding(RETRAINED, NOTE, subject, message, _UNPINNED)
    return None


_NO_MERGE = Merge("")


_UNPINNED = "check what is not pinned: packages, data, hardware"


def _drift(
    gate: Gate, change: Change, merged: Sequence[Merged], groups: Sequence[Sequence[float]], *, newest: Sequence[float]
) -> Drift:
    last = max(number for number in range(change.first) if groups[number])
    lasts = change_points.lasts(change, newest)
    return Drift(gate, change, merged[last], tuple(merged[last + 1 : change.last + 1]), lasts)


def _began(merged: Sequence[Merged], reference: Collection[str]) -> int | None:
    """The place of the first merge with a run of the reference; None without any, or if one is older than these."""
    places = {run.task.id: place for place, merge in enumerate(merged) for run in merge.runs}
    if not reference or not {*reference} <= places.keys():
        return None
    return min(places[task] for task in reference)


def _finding(drift: Drift, subject: Subject) -> Finding:
    gate, change = drift.gate, drift.change
    before, after = apart(statistics.fmean(change.before), statistics.fmean(change.after))
    which = "better" if drift.gain > 0 else "worse"
    levels = f"mean {after} of {count(len(change.after), 'run')} since, {before} of {len(change.before)} before"
    message = f"{gate.name} became {which} by {_size(drift.gain)} ({levels}) {_with(drift)}"
    if drift.gain > 0:
        return Finding(GAIN, NOTE, subject, message, "nothing: a merge makes a better model the baseline")
    if drift.is_allowed:
        message += f"; the gate allows {tolerance_text(gate)}"
    return Finding(DRIFT, severity(drift), subject, message, _remedy(drift))


def _remedy(drift: Drift) -> str:
    if len(drift.merges) == 1:
        return "undo or correct that merge"
    return "let the audit train these merges (`audit_bisect`), and undo or correct the one that it names"


def _with(drift: Drift) -> str:
    """`with #7 (…), between 2026-11-03 and 2026-11-05`; the days are those of the runs before and after."""
    names = [str(merge.merge) for merge in drift.merges]
    which = f"with {names[0]}" if len(names) == 1 else f"with one of {count(len(names), 'merge')}: {_listed(names)}"
    days = drift.before.began, next((merge.began for merge in reversed(drift.merges) if merge.began), "")
    if not all(days):
        return which
    return f"{which}, on {days[0]}" if days[0] == days[1] else f"{which}, between {days[0]} and {days[1]}"


def _listed(names: Sequence[str]) -> str:
    return listed(names, most=10, separator=", ")


def _level(merged: Sequence[Merged], gate: Gate, seed: str) -> tuple[float, ...]:
    """The values since the last change, all if there was none."""
    groups = [main_runs.values(gate, merge, seed=seed) for merge in merged]
    changes = change_points.find(groups)
    return changes[-1].after if changes else tuple(value for group in groups for value in group)


def _is_credible_loss(gate: Gate, before: Sequence[float], after: Sequence[float]) -> bool:
    """True if the mean of `after` is worse, with a one-sided error of 1 %."""
    worse = (statistics.fmean(after) - statistics.fmean(before)) * _sign(gate) < 0
    return worse and change_points.p_value(before, after) / 2 <= change_points.CREDIBLE


def _sign(gate: Gate) -> int:
    return 1 if gate.goal == "maximize" else -1


def _size(difference: float) -> str:
    return f"{abs(difference):.3g}"
