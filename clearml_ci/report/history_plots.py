"""The histories of models as plots on the page of an audit's run: a chart of each metric, and a table of events."""

import itertools
from collections.abc import Iterable, Sequence

from clearml_ci.core.plot import Plot
from clearml_ci.decisions.history import Entry, History
from clearml_ci.decisions.main_drift import Drift
from clearml_ci.report import charts, figures
from clearml_ci.report.figures import Line

MOST_CHARTS = 20


_MOST_ROWS = 40  # newest merges with an event


def of_models(histories: Sequence[History]) -> list[Plot]:
    """The charts of the metrics that have values, twenty at most, and a table for each model with events."""
    numbers = itertools.count(1)
    drawn = [
        _chart(next(numbers), found, place)
        for found in histories
        for place, _ in enumerate(found.gates)
        if _has(found, place)
    ]
    return [*drawn[:MOST_CHARTS], *itertools.chain.from_iterable(_table(found) for found in histories)]


def _has(found: History, place: int) -> bool:
    return any(entry.means[place] is not None for entry in found.entries)


def _chart(number: int, found: History, place: int) -> Plot:
    gate, drifts = found.gates[place], found.drifts[place]
    points = tuple(
        (float(at), mean) for at, entry in enumerate(found.entries, start=1) if (mean := entry.means[place]) is not None
    )
    lines = [Line("default branch", points), *_levels(drifts, len(found.entries))]
    title = charts.title(f"{gate.name} of {found.name}")
    return Plot(f"3 History {number} {title}", "History", figures.chart(title, "merge", lines))


def _levels(drifts: Sequence[Drift], number: int) -> Iterable[Line]:
    """The level before and after each change, up to the next one."""
    ends = [0, *(drift.change.at for drift in drifts), number]
    levels = [drifts[0].change.before, *(drift.change.after for drift in drifts)] if drifts else []
    for level, start, end in zip(levels, ends, ends[1:], strict=False):
        mean = sum(level) / len(level)
        yield Line(f"level of {len(level)} runs", ((start + 1.0, mean), (float(end), mean)), dashed=True)


def _table(found: History) -> Iterable[Plot]:
    rows = [_row(entry) for entry in found.entries if entry.events][-_MOST_ROWS:]
    if rows:
        title = charts.title(f"Events of {found.name}")
        figure = figures.table(title, ("merge", "trained", "events"), rows, widths=(2, 1, 5))
        yield Plot(f"4 {title}", "Events", figure)


def _row(entry: Entry) -> tuple[str, str, str]:
    merge, began = str(entry.merged.merge), entry.merged.began
    return figures.text(merge), figures.text(began), figures.text("; ".join(entry.events))
