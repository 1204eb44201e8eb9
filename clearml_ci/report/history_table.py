"""The history of a model as a table and charts for a terminal."""

import statistics
from collections.abc import Sequence

from tabulate import tabulate

from clearml_ci.core import redaction
from clearml_ci.core.formatting import count, printable
from clearml_ci.core.gate import Gate
from clearml_ci.decisions.history import Entry, History
from clearml_ci.decisions.main_drift import Drift
from clearml_ci.report import terminal_chart

MOST_ROWS = 40  # newest merges


def lines(history: History) -> list[str]:
    """The table of the newest merges, oldest first, and a chart of all merges for each gate."""
    shown = history.entries[-MOST_ROWS:]
    older = len(history.entries) - len(shown)
    left_out = [f"{count(older, 'older merge')}: in the charts alone"] if older else []
    charts = [
        line
        for place, (gate, drifts) in enumerate(zip(history.gates, history.drifts, strict=True))
        for line in _chart(gate, history.entries, place, drifts)
    ]
    return [*left_out, *_table(history.gates, shown), *charts]


def _table(gates: Sequence[Gate], entries: Sequence[Entry]) -> list[str]:
    headers = ("merge", "trained", "runs", *(_name(gate) for gate in gates), "events")
    rows = [
        (
            str(entry.merged.merge),
            entry.merged.began or "-",
            str(len(entry.merged.runs)),
            *("-" if mean is None else f"{mean:.6g}" for mean in entry.means),
            printable(redaction.excerpt("; ".join(entry.events), 300)),
        )
        for entry in entries
    ]
    align = ("left", "left", "right", *("right" for _ in gates), "left")
    return tabulate(rows, headers, tablefmt="plain", colalign=align, disable_numparse=True).splitlines()


def _chart(gate: Gate, entries: Sequence[Entry], place: int, drifts: Sequence[Drift]) -> list[str]:
    values = [entry.means[place] for entry in entries]
    drawn = terminal_chart.lines(values, _levels(len(entries), drifts))
    if not drawn:
        return ["", f"{_name(gate)}: no run has a finite value"]
    title = f"{_name(gate)}, {count(len(entries), 'merge')}, oldest left ({gate.goal})"
    return ["", title, *drawn]


def _levels(number: int, drifts: Sequence[Drift]) -> list[float | None]:
    """The mean of the level that each merge belongs to; none if there is no drift."""
    if not drifts:
        return []
    ends = [0, *(drift.change.at for drift in drifts), number]
    means = [statistics.fmean(level) for level in (drifts[0].change.before, *(drift.change.after for drift in drifts))]
    return [mean for mean, start, end in zip(means, ends, ends[1:], strict=False) for _ in range(start, end)]


def _name(gate: Gate) -> str:
    return printable(redaction.excerpt(gate.name, 120))
