"""A backtest as plots on the page of a task in ClearML."""

from collections.abc import Iterator, Sequence

from clearml_ci.core.plot import Plot
from clearml_ci.decisions.backtest import Backtest
from clearml_ci.report import backtest_tables, charts, figures
from clearml_ci.report.figures import Line
from clearml_ci.report.run_tables import Table

_MOST_CHARTS = 20


def of(tests: Sequence[Backtest]) -> list[Plot]:
    """The tables, and a chart of each gate of the last policy with what each policy would have allowed."""
    notes = [*backtest_tables.notes(tests), *backtest_tables.left_out(tests)]
    return [
        *_table("1 Outcomes", backtest_tables.counts(tests)),
        *_table("2 Gates", backtest_tables.gates(tests)),
        *_table("3 Checks", backtest_tables.checks(tests)),
        *_charts(tests),
        *_table("5 Notes", Table(("note",), [(note,) for note in notes], (1,))),
    ]


def _table(title: str, table: Table) -> Iterator[Plot]:
    if table.rows:
        rows = [tuple(map(figures.text, row)) for row in table.rows[: figures.MOST_ROWS]]
        series = title.partition(" ")[2]
        headers = [figures.text(header) for header in table.headers]
        yield Plot(title, series, figures.table(series, headers, rows, widths=table.widths))


def _charts(tests: Sequence[Backtest]) -> Iterator[Plot]:
    for number, gate in enumerate(tests[-1].gates[:_MOST_CHARTS], start=1):
        values, _ = tests[-1].curves(gate)
        limits = [Line(f"allowed by {test.name}", test.limits(gate.name), dashed=True) for test in tests]
        lines = [Line("checked commits", values), *(line for line in limits if line.points)]
        if values:
            title = charts.title(gate.name)
            yield Plot(f"4 {number} {title}", "Checks", figures.chart(title, "check", lines))
