"""A chart of a series for a terminal, in ASCII: `*` for a value, `-` for the level between two changes."""

import itertools
import math
import statistics
from collections.abc import Sequence

from clearml_ci.core.formatting import apart

WIDTH, HEIGHT = 72, 10  # characters


def lines(values: Sequence[float | None], levels: Sequence[float | None] = ()) -> list[str]:
    """The lines of a chart of values, first to last, and of the level of each; none without a finite value.

    Several values share a column if there are more than columns: their mean is drawn.
    """
    own, flat = _columns(values), _columns(levels)
    known = [value for value in (*own, *flat) if value is not None]
    if not known:
        return []
    low, high = min(known), max(known)
    rows = [[" "] * len(own) for _ in range(HEIGHT)]
    for sign, columns in (("-", flat), ("*", own)):
        for column, value in enumerate(columns):
            if value is not None:
                rows[_row(value, low, high)][column] = sign
    labels = apart(high, low)
    width = max(map(len, labels))
    names = [labels[0], *[""] * (HEIGHT - 2), labels[1]]
    return [f"{name:>{width}} |{''.join(row)}".rstrip() for name, row in zip(names, rows, strict=True)]


def _columns(values: Sequence[float | None]) -> list[float | None]:
    """The means of the finite values of each column."""
    number = min(len(values), WIDTH)
    bounds = [round(place * len(values) / number) for place in range(number + 1)] if number else [0]
    return [_mean(values[start:end]) for start, end in itertools.pairwise(bounds)]


def _mean(values: Sequence[float | None]) -> float | None:
    finite = [value for value in values if value is not None and math.isfinite(value)]
    return statistics.fmean(finite) if finite else None


def _row(value: float, low: float, high: float) -> int:
    """The row of a value, from the top; that of equal values is in the middle."""
    if high <= low:
        return HEIGHT // 2
    return round((high - value) / (high - low) * (HEIGHT - 1))
