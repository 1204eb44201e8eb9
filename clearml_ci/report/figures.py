"""Tables and lines as figures of plotly, which ClearML's web UI draws.

Plotly reads a part of HTML in its texts (`<b>`, `<a href>`): every text that a user or a task may have written is
escaped here. The title of a figure is the page's own text and would show the escapes, so it loses those characters.
"""

import html
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clearml_ci.core import redaction
from clearml_ci.core.formatting import printable, shorten
from clearml_ci.report import charts
from clearml_ci.report.charts import Points

MOST_POINTS = 5_000  # of a line


MOST_ROWS = 100  # of a table


_LONGEST = 500  # characters of a cell


_READ = 5_000  # characters that are masked


_ADDRESS = re.compile(r"""https?://[^\s"'<>\\]+""")  # as an attribute of HTML it stays one


@dataclass(frozen=True)
class Line:
    """One line of a chart, through these points (x, y)."""

    name: str
    points: Points
    dashed: bool = False


def text(value: str) -> str:
    """The first 500 characters of a text as plotly shows them literally, in one line and without secrets."""
    return html.escape(plain(value), quote=False)


def bold(value: str) -> str:
    """The text in bold letters."""
    return f"<b>{text(value)}</b>"


def plain(value: str) -> str:
    """The first 500 characters of a text in one line, without secrets and invisible characters."""
    shown = " ".join(redaction.excerpt(value, _READ).split())
    return shorten(printable(shown, keep=""), _LONGEST)


def link(label: str, url: str) -> str:
    """A link of our own; the label alone if the address is none of the web."""
    return f'<a href="{url}">{text(label)}</a>' if _ADDRESS.fullmatch(url) else text(label)


def table(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]], *, widths: Sequence[float]) -> Any:
    """A table whose cells are `text` or `link` already; `widths` are those of the columns, relative to each other."""
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in headers]
    trace = {
        "type": "table",
        "columnwidth": list(widths),
        "header": {"values": list(headers), "align": "left"},
        "cells": {"values": columns, "align": "left", "height": 24},
    }
    margin = {"l": 20, "r": 20, "t": 40, "b": 20}  # a table has no axes to leave room for
    return {"data": [trace], "layout": {"title": charts.title(title), "margin": margin}}


def chart(title: str, x_axis: str, lines: Sequence[Line]) -> Any:
    """Lines over one axis; points that are not finite are left out."""
    traces = [_trace(line) for line in lines]
    return {"data": traces, "layout": {"title": charts.title(title), "xaxis": {"title": {"text": x_axis}}}}


def _trace(line: Line) -> Mapping[str, Any]:
    points = [(x, y) for x, y in line.points if math.isfinite(x) and math.isfinite(y)]
    points = _thinned(points)
    return {
        "type": "scatter",
        "mode": "lines" if len(points) > 1 else "markers",
        "name": text(line.name),
        "x": [int(x) if float(x).is_integer() else x for x, _ in points],
        "y": [y for _, y in points],
        "line": {"dash": "dash" if line.dashed else "solid"},
    }


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most MOST_POINTS of the points, evenly, with the first and the last."""
    if len(points) <= MOST_POINTS:
        return points
    step = (len(points) - 1) / (MOST_POINTS - 1)
    return [points[round(number * step)] for number in range(MOST_POINTS)]
