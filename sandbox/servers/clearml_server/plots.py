"""Plot events as pages show them without any script: tables as HTML, lines and bars as the geometry of an SVG."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from .plotly_text import rendered
from .store import Record

WIDTH, HEIGHT = 860, 320
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 16, 34  # the margins around the axes
_COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f")
_COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}|rgba?\([0-9., %]{5,40}\)|[a-z]{3,20}")
_TICKS = 5
Point = tuple[float, float]


@dataclass(frozen=True)
class Table:
    headers: Sequence[Markup]
    rows: Sequence[Sequence[Markup]]


@dataclass(frozen=True)
class Tick:
    """A label of an axis at this place of the picture."""

    at: float
    label: str


@dataclass(frozen=True)
class Series:
    """The marks of one trace, in the picture's units: line strings, markers, and bars as x, y, width and height."""

    name: Markup
    colour: str
    dashed: bool
    lines: Sequence[str]
    markers: Sequence[Point]
    bars: Sequence[tuple[float, float, float, float]]


@dataclass(frozen=True)
class Chart:
    series: Sequence[Series]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    x_title: Markup
    y_title: Markup


@dataclass(frozen=True)
class Plot:
    """A plot of a task's page; `undrawn` are the kinds of traces that this page cannot draw."""

    metric: str
    variant: str
    title: Markup
    tables: Sequence[Table]
    charts: Sequence[Chart]
    undrawn: Sequence[str]


def shown(events: Iterable[Record]) -> list[Plot]:
    """The plots in the order of the web UI: by metric, in lower case."""
    return [_plot(event) for event in sorted(events, key=lambda event: str(event["metric"]).lower())]


def _plot(event: Record) -> Plot:
    try:
        figure = json.loads(event.get("plot_str") or "{}")
        traces, layout = figure["data"], figure.get("layout") or {}
        kinds = [str(trace.get("type", "scatter")) for trace in traces]
        tables = [_table(trace) for trace, kind in zip(traces, kinds, strict=True) if kind == "table"]
        drawn = [trace for trace, kind in zip(traces, kinds, strict=True) if kind in ("scatter", "scattergl", "bar")]
        undrawn = [kind for kind in kinds if kind not in ("table", "scatter", "scattergl", "bar")]
        title, charts = _title(layout), _charts(drawn, layout)
    except (AttributeError, KeyError, TypeError, ValueError):  # any client can report any text as a plot
        title, tables, charts, undrawn = Markup(""), [], [], ["figure that cannot be read"]
    return Plot(event["metric"], event["variant"], title, tables, charts, undrawn)


def _title(of: Record) -> Markup:
    title = of.get("title") or ""
    return rendered(title.get("text") if isinstance(title, dict) else title)


def _table(trace: Record) -> Table:
    headers = trace.get("header", {}).get("values") or []
    columns = trace.get("cells", {}).get("values") or []
    rows = zip(*columns, strict=False)
    return Table([rendered(_flat(value)) for value in headers], [[rendered(cell) for cell in row] for row in rows])


def _flat(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list) else value


def _charts(traces: list[Record], layout: Record) -> list[Chart]:
    """A chart for each pair of axes."""
    by_axes: dict[tuple[str, str], list[Record]] = {}
    for trace in traces:
        by_axes.setdefault((trace.get("xaxis") or "x", trace.get("yaxis") or "y"), []).append(trace)
    return [_chart(of_axes, _axis(layout, x), _axis(layout, y)) for (x, y), of_axes in by_axes.items()]


def _axis(layout: Record, name: str) -> Record:
    axis: Record = layout.get(f"{name[0]}axis{name[1:]}") or {}
    return axis


def _chart(traces: list[Record], x_axis: Record, y_axis: Record) -> Chart:
    categories = _categories(traces)
    points = [_points(trace, categories) for trace in traces]
    flat = [point for of_trace in points for point in of_trace if point is not None] or [(0.0, 0.0)]
    bars = any(trace.get("type") == "bar" for trace in traces)
    margin = 0.6 if bars else 0.0
    xs = _Scale([x - margin for x, _ in flat] + [x + margin for x, _ in flat], LEFT, WIDTH - RIGHT)
    ys = _Scale([y for _, y in flat] + ([0.0] if bars else []), HEIGHT - BOTTOM, TOP, padded=not bars)
    x_ticks = [Tick(xs.at(i), name) for name, i in categories.items()] if categories else xs.ticks()
    series = [
        _series(trace, of_trace, xs, ys, _Place(number, len(traces)))
        for number, (trace, of_trace) in enumerate(zip(traces, points, strict=True))
    ]
    return Chart(series, x_ticks, ys.ticks(), _title(x_axis), _title(y_axis))


def _categories(traces: list[Record]) -> dict[str, int]:
    """The place of each x that is a text; empty if all are numbers."""
    values = [x for trace in traces for x in trace.get("x") or []]
    if all(isinstance(x, (int, float)) for x in values):
        return {}
    return {name: place for place, name in enumerate(dict.fromkeys(map(str, values)))}


def _points(trace: Record, categories: dict[str, int]) -> list[Point | None]:
    """The points of a trace; None where its line has a gap."""
    ys = list(trace.get("y") or [])
    xs = list(trace.get("x") or range(len(ys)))
    return [_point(categories[str(x)] if categories else x, y) for x, y in zip(xs, ys, strict=False)]


def _point(x: Any, y: Any) -> Point | None:
    known = isinstance(x, (int, float)) and isinstance(y, (int, float)) and math.isfinite(x) and math.isfinite(y)
    return (float(x), float(y)) if known else None


@dataclass(frozen=True)
class _Place:
    """The place of a trace among those of its chart."""

    number: int
    of: int


def _series(trace: Record, points: list[Point | None], xs: _Scale, ys: _Scale, place: _Place) -> Series:
    placed = [point and (xs.at(point[0]), ys.at(point[1])) for point in points]
    found = [point for point in placed if point]
    mode = trace.get("mode") or "lines"
    is_bar = trace.get("type") == "bar"
    line = trace.get("line") or {}
    colour = line.get("color") or (trace.get("marker") or {}).get("color") or ""
    valid = isinstance(colour, str) and _COLOUR.fullmatch(colour)
    parts = _parts(placed) if "lines" in mode and not is_bar else []
    alone = [part[0] for part in parts if len(part) == 1]
    return Series(
        name=rendered(trace.get("name") or ""),
        colour=colour if valid else _COLOURS[place.number % len(_COLOURS)],
        dashed=(line.get("dash") or "solid") != "solid",
        lines=[" ".join(f"{x:.1f},{y:.1f}" for x, y in part) for part in parts if len(part) > 1],
        markers=[] if is_bar else found if "markers" in mode else alone,
        bars=_bars(found, xs, ys, place) if is_bar else [],
    )


def _parts(points: list[Point | None]) -> list[list[Point]]:
    """The unbroken parts of a line."""
    parts: list[list[Point]] = [[]]
    for point in points:
        if point is None:
            parts.append([])
        else:
            parts[-1].append(point)
    return [part for part in parts if part]


def _bars(points: list[Point], xs: _Scale, ys: _Scale, place: _Place) -> list[tuple[float, float, float, float]]:
    room = (xs.at(1) - xs.at(0)) * 0.8
    width, zero = room / place.of, ys.at(0)
    return [
        (x - room / 2 + place.number * width, min(y, zero), max(width - 1, 1), max(abs(zero - y), 0.5))
        for x, y in points
    ]


class _Scale:
    """From values to places between `start` and `end` of the picture."""

    def __init__(self, values: list[float], start: float, end: float, *, padded: bool = False) -> None:
        low, high = min(values), max(values)
        margin = (high - low) * 0.05 if padded else 0.0
        if low == high:
            margin = abs(low) * 0.1 or 1.0
        self.low, self.high, self.start, self.end = low - margin, high + margin, start, end

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[Tick]:
        """Round values, about five."""
        rough = (self.high - self.low) / _TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        first = math.ceil(self.low / step)
        count = math.floor(self.high / step) - first + 1
        return [Tick(self.at(number * step), f"{number * step:.6g}") for number in range(first, first + count)]
