"""Charts of the candidate's and the baseline's curves, as Mermaid's `xychart-beta`, which GitHub draws in a comment."""

import itertools
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from clearml_ci.core import redaction
from clearml_ci.core.documents import GateRow
from clearml_ci.core.formatting import shorten
from clearml_ci.core.gate import SINGLE_VALUES
from clearml_ci.core.outcome import Outcome

MOST_CHARTS = 4  # of a comment


MOST_PLOTS = 8  # of a run's page


MOST_POINTS = 40  # what still reads on a phone


# Mermaid's own palette begins with a yellow that is nearly invisible on white. These two are readable on white and on
# black, and differ for people who cannot distinguish red and green.
COLORS = {"blue": "#2f81f7", "orange": "#db6d28"}


_STYLE = {
    # On a narrow page Mermaid measures the labels too small, and cuts them off without this padding.
    "xyChart": {"width": 700, "height": 380, "yAxis": {"labelPadding": 25}},
    "themeVariables": {"xyChart": {"plotColorPalette": ", ".join(COLORS.values())}},
}


_LONGEST_TITLE = 60


_READ = 600  # characters of a name that are masked


_SMALLEST = 1e-12  # a smaller scaled value is drawn as 0


_NOT_IN_A_TITLE = re.compile(r"[^\w .,/+=-]")  # a quote, a bracket or a line break ends a title, or the chart


_SEVERITY = (Outcome.REGRESSED, Outcome.ERROR, Outcome.INCONCLUSIVE)


Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Curves:
    """The points (iteration, value) of one metric, sorted by iteration; `main` is the base branch's own task."""

    candidate: Points
    baseline: Points = ()
    main: Points = ()


@dataclass(frozen=True)
class History:
    """The values of the last runs of the default branch, oldest first, and of this commit.

    The reference gives the band from `low` to `high`.
    """

    values: tuple[float, ...]
    candidate: float
    low: float
    high: float


def gates_with_chart(gates: Sequence[GateRow], *, most: int = MOST_CHARTS) -> list[int]:
    """The positions of the gates that get a chart: the deciding gates first, each metric once, at most so many."""
    order = sorted(range(len(gates)), key=lambda index: _rank(gates[index]))
    first_of = {gates[index]["metric"]: index for index in reversed(order)}
    kept = [index for index in order if first_of[gates[index]["metric"]] == index]
    return [index for index in kept if not gates[index]["metric"].startswith(f"{SINGLE_VALUES}/")][:most]


def chart(metric: str, curves: Curves, *, goal: str, x_axis: str = "iteration") -> str:
    """The text of one chart, or "" without a curve of at least two points."""
    known = [points for points in (curves.candidate, curves.baseline) if points]
    if not curves.candidate or max(map(len, known)) < 2:
        return ""
    grid = _grid(known)
    lines = [_sampled(points, grid, goal) for points in known]
    scale, power = _scale([value for line in lines for value in line])
    lines = [[value * scale for value in line] for line in lines]
    low, high = _bounds([value for line in lines for value in line])
    unit = f" in 10^{-power}" if power else ""
    return "\n".join(
        [
            f"%%{{init: {json.dumps(_STYLE)}}}%%",
            "xychart-beta",
            f'    title "{title(metric)}{unit}"',
            f'    x-axis "{x_axis}" {_decimal(grid[0], 1)} --> {_decimal(grid[-1], 1)}',
            f"    y-axis {_decimal(low, high - low)} --> {_decimal(high, high - low)}",
            *(f"    line [{', '.join(_decimal(value, high - low) for value in line)}]" for line in lines),
        ]
    )


def history(metric: str, runs: History) -> str:
    """The text of a chart of the default branch's runs and this commit, with the band of the reference."""
    lines = [[*runs.values, runs.candidate], *([end] * (len(runs.values) + 1) for end in (runs.low, runs.high))]
    scale, power = _scale([value for line in lines for value in line])
    lines = [[value * scale for value in line] for line in lines]
    low, high = _bounds([value for line in lines for value in line])
    colors = ", ".join((COLORS["blue"], COLORS["orange"], COLORS["orange"]))
    style = {**_STYLE, "themeVariables": {"xyChart": {"plotColorPalette": colors}}}
    unit = f" in 10^{-power}" if power else ""
    return "\n".join(
        [
            f"%%{{init: {json.dumps(style)}}}%%",
            "xychart-beta",
            f'    title "{title(metric)}{unit}"',
            f'    x-axis "run" 1 --> {len(runs.values) + 1}',
            f"    y-axis {_decimal(low, high - low)} --> {_decimal(high, high - low)}",
            *(f"    line [{', '.join(_decimal(value, high - low) for value in line)}]" for line in lines),
        ]
    )


def legend(curves: Curves, *, baseline: str = "the baseline") -> str:
    """The legend in words: Mermaid draws none, and not every reader can distinguish the colors."""
    names = [("this commit", curves.candidate), (baseline, curves.baseline)]
    known = [(color, name, points) for color, (name, points) in zip(COLORS, names, strict=True) if points]
    lines = [f"{color}: {name}, ends at {points[-1][1]:.6g}" for color, name, points in known]
    spans = {(points[0][0], points[-1][0]) for _, _, points in known}
    return "; ".join(lines) + (" (flat where a curve has no points)" if len(spans) > 1 else "")


def title(text: str) -> str:
    """A metric's name without characters that mean something to Mermaid."""
    clean = " ".join(_NOT_IN_A_TITLE.sub(" ", redaction.excerpt(text, _READ)).split())
    return shorten(clean, _LONGEST_TITLE) or "metric"  # an empty title is a syntax error


def _rank(gate: GateRow) -> tuple[bool, int]:
    outcome = gate["outcome"]
    return not gate["required"], _SEVERITY.index(outcome) if outcome in _SEVERITY else len(_SEVERITY)


def _grid(known: Sequence[Points]) -> list[float]:
    """Evenly spaced iterations, the same for all lines: the chart spreads every line over the whole axis."""
    start, end = min(points[0][0] for points in known), max(points[-1][0] for points in known)
    end = end if end > start else start + 1
    most = min(MOST_POINTS, max(len(points) for points in known))
    count = next((count for count in range(most, 2, -1) if _drawn(start, end, count) == count), 2)
    return [start + (end - start) * step / (count - 1) for step in range(count)]


def _drawn(start: float, end: float, count: int) -> int:
    """The number of points that Mermaid draws of `count`: it adds up the step, and rounding can push the last too far.

    `for (let i = min; i <= max; i += step)` in `transformDataWithoutCategory` of its xychart.
    """
    step, at, drawn = (end - start) / (count - 1), start, 0
    while at <= end and drawn <= count:  # a step that rounding swallows would never end
        at, drawn = at + step, drawn + 1
    return drawn


def _sampled(points: Points, grid: Sequence[float], goal: str) -> list[float]:
    """The curve's values on the grid; its best value, which a gate judges, is kept at the nearest place."""
    values = [_at(points, x) for x in grid]
    pick = max if goal == "maximize" else min
    best_x, best = pick(points, key=lambda point: point[1])
    nearest = min(range(len(grid)), key=lambda index: abs(grid[index] - best_x))
    values[nearest] = pick(values[nearest], best)
    return values


def _at(points: Points, x: float) -> float:
    """The value at `x`: on the line between two points, and flat before the first and after the last."""
    if x <= points[0][0]:
        return points[0][1]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if x0 <= x <= x1 and x1 > x0:
            part = (x - x0) / (x1 - x0)
            return y0 * (1 - part) + y1 * part
    return points[-1][1]


def _scale(values: Sequence[float]) -> tuple[float, int]:
    """A factor, and its power of ten, for values too large or too small to write: Mermaid cannot read 1e-9."""
    largest = max(map(abs, values))
    if largest == 0 or 1e-3 <= largest < 1e6:
        return 1.0, 0
    power = max(-300, min(300, -math.floor(math.log10(largest))))
    return 10.0**power, power


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.05 * next((size for size in (high - low, abs(high)) if size > _SMALLEST), 20)
    return low - margin, high + margin


def _decimal(value: float, span: float) -> str:
    """The number without an exponent, exact to about a thousandth of the span."""
    places = max(0, min(15, 3 - math.floor(math.log10(span)))) if span > 0 else 6
    text = f"{value:.{places}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
