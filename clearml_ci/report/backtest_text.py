"""A backtest as text for a terminal."""

from collections.abc import Sequence

from tabulate import tabulate

from clearml_ci.core.formatting import capitalize_first, count, shorten
from clearml_ci.decisions.backtest import Backtest
from clearml_ci.report import backtest_tables, figures
from clearml_ci.report.run_tables import Table

_LONGEST = 60  # characters of a cell


def lines(tests: Sequence[Backtest]) -> list[str]:
    """The tables, one column for each policy, and what a reader has to know."""
    checks = backtest_tables.checks(tests)
    title = "judged differently" if len(tests) > 1 else "red"
    more = len(checks.rows) - backtest_tables.MOST_CHECKS
    return [
        *_table(backtest_tables.counts(tests)),
        *_titled("gates, with the noise of today", backtest_tables.gates(tests)),
        *_titled(f"checks that would be {title}", checks),
        *([f"and {count(more, 'more check')}"] if more > 0 else []),
        "",
        *(f"{capitalize_first(figures.plain(line))}." for line in backtest_tables.left_out(tests)),
        *(f"{capitalize_first(figures.plain(line))}." for line in backtest_tables.notes(tests)),
    ]


def _titled(title: str, table: Table) -> list[str]:
    return ["", f"{title}:", *_table(table)] if table.rows else []


def _table(table: Table) -> list[str]:
    rows = [[shorten(figures.plain(text), _LONGEST) for text in row] for row in table.rows]
    headers = [shorten(figures.plain(text), _LONGEST) for text in table.headers]
    shown = rows[: backtest_tables.MOST_CHECKS] if "since" in headers else rows
    return tabulate(shown, headers, tablefmt="simple", disable_numparse=True).splitlines()
