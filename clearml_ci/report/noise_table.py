"""The losses that gates see through their noise, as a table for a terminal."""

import math
from collections import defaultdict
from collections.abc import Sequence

from tabulate import tabulate

from clearml_ci.core.formatting import printable
from clearml_ci.decisions.calibration import RUNS, Figures

_HEADERS = (
    "gate", "runs", "mean", "noise", "df", *(f"seen with {runs}" for runs in RUNS), "allowed", "max_regression"
)  # fmt: skip


_MOST_SLICES = 5  # of a pattern


_LEGEND = (
    f"seen with {', '.join(map(str, RUNS[:-1]))} or {RUNS[-1]} runs of a commit: the smallest loss that is found in "
    "80 % of cases",
    "max_regression: a smaller one allows no less, because the noise decides; a larger one lets losses pass that can "
    "be seen",
)


def lines(figures: Sequence[Figures]) -> list[str]:
    """The table of a model's gates, its legend, and what else a reader has to know of each gate."""
    figures, left_out = _shown(figures)
    rows = [_row(found) for found in figures]
    notes = [f"{_name(found)}: {note}" for found in figures for note in found.notes]
    legend = _LEGEND if any(found.visible for found in figures) else ()
    align = ("left", *("right" for _ in _HEADERS[1:]))
    table = tabulate(rows, _HEADERS, tablefmt="plain", colalign=align, disable_numparse=True)
    return [*table.splitlines(), *left_out, *legend, *notes]


def _shown(figures: Sequence[Figures]) -> tuple[list[Figures], list[str]]:
    """The figures without those of slices that have less noise than the five worst of a pattern, and their numbers."""
    by_pattern: dict[str, list[Figures]] = defaultdict(list)
    for found in figures:
        if found.gate.slice_of:
            by_pattern[found.gate.slice_of].append(found)
    kept = [
        found for of in by_pattern.values() for found in sorted(of, key=lambda found: -found.noise.sd)[:_MOST_SLICES]
    ]
    left_out = [
        f"{printable(pattern)}: {len(of) - _MOST_SLICES:,} more slices, none with more noise"
        for pattern, of in by_pattern.items()
        if len(of) > _MOST_SLICES
    ]
    return [found for found in figures if not found.gate.slice_of or found in kept], left_out


def _row(found: Figures) -> tuple[str, ...]:
    allowed = f"{found.gate.tolerance:g} %" if found.gate.relative else f"{found.gate.tolerance:g}"
    if not found.visible:
        mean = "-" if math.isnan(found.mean) else f"{found.mean:.4g}"
        return (_name(found), str(found.runs), mean, "unknown", str(found.noise.df), *("-" for _ in RUNS), allowed, "-")
    return (
        _name(found),
        str(found.runs),
        _rounded(found.mean, found.noise.sd),
        two_digits(found.noise.sd),
        str(found.noise.df),
        *(_loss(found, loss) for loss in found.visible),
        allowed,
        found.sensible,
    )


def _name(found: Figures) -> str:
    return printable(found.gate.name)


def _loss(found: Figures, loss: float) -> str:
    """A loss in the unit of the gate's tolerance: percent of the mean, or the metric's own."""
    percent = found.gate.relative and found.mean
    return f"{two_digits(100 * loss / abs(found.mean))} %" if percent else two_digits(loss)


def _rounded(value: float, margin: float) -> str:
    """The value with as many places as two digits of its margin have."""
    return f"{value:.{_places(margin)}f}"


def two_digits(value: float) -> str:
    """`0.0069`, `2.3`, `14`: two digits of a positive number."""
    return f"{value:.{_places(value)}f}"


def _places(value: float) -> int:
    return max(0, 1 - math.floor(math.log10(value))) if value > 0 else 0
