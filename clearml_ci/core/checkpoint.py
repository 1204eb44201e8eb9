"""The checkpoint: the iteration of a run at which its gates are read, so that all of them describe one model.

By default each metric is read at its own best or last iteration, and two gates may describe two models.
"""

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import OWN, SINGLE_VALUES, Gate, Reported, Summary, can_be_trusted

LAST = "last"
BEST_OF = "best of "


MOST_POINTS = 6_000  # of a curve: the server averages one with so many or more (`MAX_SAMPLE_BUCKETS`)


ALLOWED = "own, last, or `best of` the metric of a gate, such as best of accuracy/validation"


Name = tuple[str, str]  # title and series
Curves = Mapping[Name, Mapping[float, float]]  # of one run: value by iteration


@dataclass(frozen=True)
class _Checkpoint:
    """The iteration of one run, or the reason why it is unknown; `words` describe it."""

    iteration: float | None
    words: str


def resolved(gates: Sequence[Gate], at: str) -> tuple[Gate, ...]:
    """The gates, each with the checkpoint that it has, or else `at`; a single value has none.

    Raises UsageError if no gate has the metric of a checkpoint, so that its goal is unknown.
    """
    found = tuple(replace(gate, at=_own(gate, gate.at or at)) for gate in gates)
    for gate in found:
        if gate.at not in ("", LAST):
            chosen_by(gate.at, found)
    return found


def chosen_by(at: str, gates: Iterable[Gate]) -> Gate:
    """The gate whose metric chooses the checkpoint `best of …`. Raises UsageError if there is none."""
    name = at.removeprefix(BEST_OF)
    gate = next((gate for gate in gates if gate.name == name and not gate.is_pattern), None)
    if gate is None or not at.startswith(BEST_OF):
        raise UsageError(f"at is {at!r}: expected {ALLOWED}; add a gate for the metric, which states its goal")
    return gate


def _own(gate: Gate, at: str) -> str:
    """The checkpoint, or "" for that of the metric itself."""
    return "" if at in OWN or gate.title == SINGLE_VALUES else at


def names(gates: Sequence[Gate]) -> list[Name]:
    """The metrics whose curves are needed."""
    read = [gate for gate in gates if gate.at]
    by = [chosen_by(gate.at, gates) for gate in read if gate.at != LAST]
    return list(dict.fromkeys((gate.title, gate.series) for gate in (*read, *by) if gate.title != SINGLE_VALUES))


def read(gates: Sequence[Gate], reported: Reported, curves: Curves) -> Reported:
    """The report of a run, with the value at the checkpoint of each gate that has one."""
    checkpoints = {
        at: _of_run(at, gates, reported, curves) for at in dict.fromkeys(gate.at for gate in gates if gate.at)
    }
    at_checkpoint = {
        gate: _at(checkpoints[gate.at], gate, summary, curves)
        for gate in gates
        if gate.at and (summary := reported.get(gate))
    }
    return {**reported, **at_checkpoint}


def _of_run(at: str, gates: Sequence[Gate], reported: Reported, curves: Curves) -> _Checkpoint:
    if at == LAST:
        ends = [max(curve) for gate in gates if gate.at == LAST and (curve := _curve(gate, curves))]
        return _Checkpoint(max(ends), "the last of its run") if ends else _Checkpoint(None, "the run has no curve")
    gate = chosen_by(at, gates)
    summary, curve = reported.get(gate), _curve(gate, curves)
    if summary is None or not curve:
        return _Checkpoint(None, f"the run has no curve of {gate.name}, by which its checkpoint is chosen")
    if why := _why_inexact(gate, summary, curve):
        return _Checkpoint(None, why)
    own = replace(gate, at="", value="best")
    if not can_be_trusted(own, replace(summary, at=None)):
        return _Checkpoint(None, f"the best of {gate.name} is 0, which is also how ClearML records NaN")
    pick = max if gate.goal == "maximize" else min
    best = pick(curve.values())
    return _Checkpoint(min(x for x, y in curve.items() if y == best), f"the best of {gate.name}")


def _at(checkpoint: _Checkpoint, gate: Gate, summary: Summary, curves: Curves) -> Summary:
    curve, iteration = _curve(gate, curves), checkpoint.iteration
    if iteration is None:
        return replace(summary, at=math.nan, missing=checkpoint.words)
    if why := _why_inexact(gate, summary, curve):
        return replace(summary, at=math.nan, missing=why)
    if iteration not in curve:
        where = f"at iteration {iteration:g}, {checkpoint.words}"
        return replace(summary, at=math.nan, missing=f"it has no value {where}")
    return replace(summary, at=_exact(curve[iteration], summary))


def _why_inexact(gate: Gate, summary: Summary, curve: Mapping[float, float]) -> str:
    """The reason why the points are averages over intervals, or ""."""
    if summary.points is None:  # an older server counts none
        extremes = (summary.minimum, summary.maximum)
        is_whole = not curve or tuple(map(single, extremes)) == (min(curve.values()), max(curve.values()))
    else:
        is_whole = summary.points < MOST_POINTS
    return "" if is_whole else f"{gate.name} has {MOST_POINTS:,} points or more, which ClearML averages"


def _exact(value: float, summary: Summary) -> float:
    """The number that was reported: the server's curves hold it with 32 bits, which made 0.949999988 of 0.95."""
    known = (number for number in (summary.last, summary.minimum, summary.maximum) if single(number) == value)
    shortest = (float(f"{value:.{digits}g}") for digits in range(1, 10))
    return next((number for number in (*known, *shortest) if single(number) == value), value)


def single(value: float) -> float:
    """The number as the server's curves hold it, with 32 bits."""
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _curve(gate: Gate, curves: Curves) -> Mapping[float, float]:
    return curves.get((gate.title, gate.series), {})


def lacking(gates: Sequence[Gate], reported: Iterable[Reported]) -> dict[str, int]:
    """The reasons why runs have no value at their checkpoint, each with the number of runs."""
    found: dict[str, int] = {}
    for values in reported:
        for why in {summary.missing for gate in gates if (summary := values.get(gate)) and summary.missing}:
            found[why] = found.get(why, 0) + 1
    return found
