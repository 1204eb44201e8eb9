"""Bisection: which merges of an interval are trained again, and which of them brought the loss.

The merge before the interval is trained as well: if it is as low as the others now, no merge is the cause.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clearml_ci.core import noise, student
from clearml_ci.core.formatting import apart, count, listed
from clearml_ci.core.gate import Gate
from clearml_ci.core.merge import Merge
from clearml_ci.decisions.audit_findings import FINDING, NOTE, Finding, Subject
from clearml_ci.decisions.main_drift import Drift

MOST = 8  # merges that are trained in one round


KIND = "drift_merge"


_ERROR = 0.05  # one-sided, for all merges of an interval together


Values = Mapping[int, Sequence[float]]  # the new values of merges by their places; 0 is the merge before the interval


@dataclass(frozen=True)
class Cause:
    """The loss came after the merge at the place `low`, and at the latest with that at `high`.

    `before` and `after` are the new values of both sides.
    """

    low: int
    high: int
    before: tuple[float, ...]
    after: tuple[float, ...]


def places(cause: Cause | None, number: int, trained: Values) -> list[int]:
    """The places to be trained next: both ends, and at most eight in all, spread evenly; none if nothing is left.

    `number` is that of the merges in the interval, `cause` what is known after the last round, `trained` all that were.
    """
    low, high = (cause.low, cause.high) if cause else (0, number)
    inner = range(low, high + 1)
    step = max(1, -(-(len(inner) - 1) // (MOST - 1)))
    return [place for place in sorted({*inner[::step], high}) if place not in trained]


def find(gate: Gate, trained: Values, drift: Drift) -> Cause | None:
    """The place at which the new values fall credibly, None if they do not; those of failed trainings are missing.

    The noise is that of the runs before and after the drift, and of the new ones.
    """
    known = sorted(place for place, values in trained.items() if values)
    splits = [_split(trained, known, number) for number in range(1, len(known))]
    if not splits:
        return None
    best = min(splits, key=lambda cause: _squares(cause.before) + _squares(cause.after))
    spread = noise.pooled([drift.change.before, drift.change.after, best.before, best.after])
    loss = (statistics.fmean(best.before) - statistics.fmean(best.after)) * (1 if gate.goal == "maximize" else -1)
    if loss <= 0 or not spread.known:
        return None
    error = spread.standard_error(len(best.before), len(best.after))
    return best if student.cdf(-loss / error, spread.df) <= _ERROR / len(splits) else None


def finding(drift: Drift, cause: Cause | None, seeds: int, subject: Subject) -> Finding:
    """The finding that names the merge, or the note that none of them is the cause."""
    merges = [merged.merge for merged in drift.merges]
    name = drift.gate.name
    if cause is None:
        message = (
            f"{name}: {_named(merges)} and the merge before, trained again with {count(seeds, 'seed')} each, do not "
            "differ credibly"
        )
        remedy = "check what is not pinned (packages, data, hardware), or train with more seeds (`audit_bisect`)"
        return Finding(KIND, NOTE, subject, message, remedy)
    before, after = apart(statistics.fmean(cause.before), statistics.fmean(cause.after))
    size = abs(statistics.fmean(cause.before) - statistics.fmean(cause.after))
    guilty = merges[cause.low : cause.high]
    message = (
        f"{_named(guilty)} made {name} worse by {size:.3g}: mean {after} of {count(len(cause.after), 'new run')}, "
        f"{before} of {len(cause.before)} before"
    )
    return Finding(KIND, FINDING, subject, message, "undo or correct that merge")


def _named(merges: Sequence[Merge]) -> str:
    names = [str(merge) for merge in merges]
    return names[0] if len(names) == 1 else f"one of {count(len(names), 'merge')} ({listed(names, separator=', ')})"


def _split(trained: Values, known: Sequence[int], number: int) -> Cause:
    before = tuple(value for place in known[:number] for value in trained[place])
    after = tuple(value for place in known[number:] for value in trained[place])
    return Cause(known[number - 1], known[number], before, after)


def _squares(values: Sequence[float]) -> float:
    mean = statistics.fmean(values)
    return sum((value - mean) ** 2 for value in values)
