"""The slices that a verdict shows: those that fail, and the worst five of the others, in one summary a pattern.

A pattern can have 2,000 slices, which no comment and no output of a job could hold.
"""

import math
import statistics
from collections.abc import Iterable, Sequence

from clearml_ci.core.documents import GateRow, SlicesDocument
from clearml_ci.core.outcome import HOLDS, Outcome

FAILED = 20  # slices of a pattern that are shown because they fail
WORST = 5  # the same of those that hold


_NAMED = 10  # new slices


def shown(rows: Sequence[GateRow]) -> list[GateRow]:
    """The rows of all gates that are no slices, and of each pattern's slices those that are shown, the worst first."""
    kept: list[GateRow] = []
    done: set[object] = set()
    for row in rows:
        if not row["slice_of"]:
            kept.append(row)
        elif _pattern(row) not in done:
            done.add(_pattern(row))
            kept += _worst(_of(_pattern(row), rows))
    return kept


def summaries(rows: Sequence[GateRow], shown: Sequence[GateRow]) -> list[SlicesDocument]:
    """A summary of each pattern that has slices."""
    patterns = dict.fromkeys(_pattern(row) for row in rows if row["slice_of"])
    is_first = not any(_is_compared(row) for row in rows)
    return [_summary(_of(pattern, rows), len(_of(pattern, shown)), is_first) for pattern in patterns]


def _summary(rows: Sequence[GateRow], number: int, is_first: bool) -> SlicesDocument:
    """The summary; of the first model, which has no baseline, no slice is new."""
    new = [row["metric"] for row in rows if _is_new(row) and not is_first]
    return {
        "pattern": rows[0]["slice_of"],
        "required": rows[0]["required"],
        "total": len(rows),
        "shown": number,
        "regressed": _count(rows, Outcome.REGRESSED),
        "inconclusive": _count(rows, Outcome.INCONCLUSIVE),
        "held": sum(row["outcome"] in HOLDS for row in rows),
        "new": new[:_NAMED],
        "new_total": len(new),
        "mean_gain": _mean_gain(rows),
    }


def _worst(rows: Sequence[GateRow]) -> list[GateRow]:
    failed = sorted((row for row in rows if row["outcome"] not in HOLDS), key=_badness)
    held = sorted((row for row in rows if row["outcome"] in HOLDS), key=_badness)
    return [*failed[:FAILED], *held[:WORST]]


def _badness(row: GateRow) -> tuple[int, float, str]:
    """The sort key of a slice: by its outcome, and then by its gain, of which that in standard deviations counts."""
    noise, gain = row["noise"], _gain(row)
    scaled = gain / noise["sd"] if noise and noise["sd"] else gain
    is_failed = row["outcome"] not in HOLDS
    return row["outcome"].rank if is_failed else 0, math.inf if math.isnan(scaled) else scaled, row["metric"]


def _gain(row: GateRow) -> float:
    """The difference from the reference, or else the baseline, negative if it is worse; NaN if there is none."""
    noise = row["noise"]
    difference = noise["difference"] if noise else row["difference"]
    if difference is None:
        return math.nan
    return difference if row["goal"] == "maximize" else -difference


def _mean_gain(rows: Iterable[GateRow]) -> float | None:
    known = [gain for row in rows if not math.isnan(gain := _gain(row))]
    return statistics.fmean(known) if known else None


def _is_new(row: GateRow) -> bool:
    return row["outcome"] in HOLDS and not _is_compared(row) and row["value"] is not None


def _is_compared(row: GateRow) -> bool:
    return row["baseline"] is not None or row["noise"] is not None


def _count(rows: Iterable[GateRow], outcome: Outcome) -> int:
    return sum(row["outcome"] == outcome for row in rows)


def _pattern(row: GateRow) -> tuple[str, str, str]:
    return row["slice_of"], row["which"], row["goal"]


def _of(pattern: tuple[str, str, str], rows: Iterable[GateRow]) -> list[GateRow]:
    return [row for row in rows if _pattern(row) == pattern]
