"""The plots of a run's page, from its verdict: the page sorts them by their titles, so these begin with a number."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from clearml_ci.core.documents import GateRow, VerdictDocument
from clearml_ci.core.plot import Plot
from clearml_ci.decisions import verdict as verdicts
from clearml_ci.report import charts, facts, figures, run_tables, verdict_facts
from clearml_ci.report.charts import Curves, History
from clearml_ci.report.figures import Line
from clearml_ci.report.run_tables import Table
from clearml_ci.report.verdict_facts import Pages


@dataclass(frozen=True)
class Charts:
    """The curves and the default branch's runs, each by the position of its gate."""

    curves: Mapping[int, Curves] = field(default_factory=dict)
    histories: Mapping[int, History] = field(default_factory=dict)


def of_verdict(verdict: VerdictDocument, pages: Pages, drawn: Charts) -> list[Plot]:
    """The verdict, its gates or findings, the curves, the default branch's runs, what differs, the commit's runs."""
    found = [Plot("1 Verdict", "Verdict", facts.table("Verdict", verdict_facts.of_verdict(verdict, pages)))]
    if verdicts.is_audit(verdict):
        found += _table("2 Findings", run_tables.findings(verdict))
    else:
        found += _table("2 Gates", run_tables.gates(verdict))
    found += _curves(verdict, drawn.curves)
    found += _histories(verdict, drawn.histories)
    total = verdict["differences_total"]
    found += _table("5 What differs", run_tables.differences(verdict), total=total)
    return [*found, *_table("6 Runs of this commit", run_tables.runs(verdict))]


def _table(title: str, table: Table, *, total: int = 0) -> Iterator[Plot]:
    """One plot, if the table has rows: its first rows, and the number of the others."""
    if not table.rows:
        return
    urls = [*table.urls] or [""] * len(table.rows)
    rows = [
        (figures.link(row[0], url), *map(figures.text, row[1:])) for row, url in zip(table.rows, urls, strict=True)
    ][: figures.MOST_ROWS]
    left_out = max(total, len(table.rows)) - len(rows)
    if left_out:
        rows.append((f"and {left_out:,} more in the verdict", *("" for _ in table.headers[1:])))
    series = title.partition(" ")[2]
    headers = [figures.text(header) for header in table.headers]
    yield Plot(title, series, figures.table(series, headers, rows, widths=table.widths))


def _curves(verdict: VerdictDocument, by_gate: Mapping[int, Curves]) -> Iterator[Plot]:
    main = verdict["main_baseline"]
    names = _Names()
    for index, curves in by_gate.items():
        gate = verdict["gates"][index]
        of_main = curves.main if main and main["id"] != gate["baseline_task"] else ()
        lines = [Line("this commit", curves.candidate), Line("baseline", curves.baseline), Line("base branch", of_main)]
        known = [line for line in lines if line.points]
        if not known:
            continue
        title = names.unused(gate["metric"])
        known += _limit(gate, known)
        yield Plot(f"3 {title}", "Curves", figures.chart(title, "iteration", known))


def _limit(gate: GateRow, lines: list[Line]) -> list[Line]:
    """The worst value that the gate allows, as a line over all iterations."""
    noise = gate.get("noise")
    limit = noise["limit"] if noise else gate["limit"]
    if limit is None:
        return []
    xs = [x for line in lines for x, _ in line.points]
    ends = dict.fromkeys((min(xs), max(xs)))
    return [Line("allowed", tuple((x, limit) for x in ends), dashed=True)]


def _histories(verdict: VerdictDocument, by_gate: Mapping[int, History]) -> Iterator[Plot]:
    names = _Names()
    for index, history in by_gate.items():
        gate = verdict["gates"][index]
        last = len(history.values) + 1
        lines = [
            Line("default branch", tuple(enumerate(map(float, history.values), start=1))),
            Line("this commit", ((float(last), history.candidate),)),
            Line("reference: low end of 98 % of runs", ((1.0, history.low), (float(last), history.low)), dashed=True),
            Line(
                "reference: high end of 98 % of runs", ((1.0, history.high), (float(last), history.high)), dashed=True
            ),
        ]
        title = names.unused(gate["metric"])
        figure = figures.chart(f"History {title}", "run", lines)
        yield Plot(f"4 History {title}", "History", figure)


class _Names:
    """Titles of metrics that stay different after the characters that a title cannot have are gone."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def unused(self, metric: str) -> str:
        """The metric's title, with a number if another metric has it."""
        title, number = charts.title(metric), 2
        while title.lower() in self._used:
            title, number = f"{charts.title(metric)} {number}", number + 1
        self._used.add(title.lower())
        return title
