"""A verdict as text for a terminal: the facts, the table of gates or findings, and the address of the run."""

from collections.abc import Mapping

from tabulate import tabulate

from clearml_ci.core import step_results
from clearml_ci.core.documents import VerdictDocument
from clearml_ci.core.formatting import count, shorten
from clearml_ci.core.step_results import StepDocument
from clearml_ci.decisions import conclusion
from clearml_ci.decisions import verdict as verdicts
from clearml_ci.report import facts, figures, run_tables, verdict_facts
from clearml_ci.report.verdict_facts import Pages

_MOST_ROWS = 20


_LONGEST = 60  # characters of a cell


def lines(verdict: VerdictDocument, pages: Pages | None = None) -> list[str]:
    """The lines that end the console of a run."""
    return [
        *facts.lines(verdict_facts.of_verdict(verdict, pages or Pages())),
        *table(verdict),
        *([f"Run: {figures.plain(verdict['pipeline']['url'])}"] if verdict["pipeline"]["url"] else []),
    ]


def of_run(steps: Mapping[str, StepDocument]) -> list[str]:
    """The lines that end the console of a run whose steps left these results: its verdict, or the fault of each."""
    results = step_results.by_name(conclusion.results_of(steps))
    for report in (results["report"], results["audit_report"]):
        if "verdict" in report:
            url = report["comment_url"]
            pull_request = "" if verdicts.is_audit(report["verdict"]) else url.partition("#")[0]
            return lines(report["verdict"], Pages(pull_request, url))
    return [figures.plain(fault) for name in steps if (fault := conclusion.fault(name, steps))]


def table(verdict: VerdictDocument) -> list[str]:
    """The table of gates, or of an audit's findings, between empty lines; no lines without one."""
    found = run_tables.findings(verdict) if verdicts.is_audit(verdict) else run_tables.gates(verdict)
    if not found.rows:
        return []
    shown = [[shorten(figures.plain(text), _LONGEST) for text in row] for row in found.rows[:_MOST_ROWS]]
    more = len(found.rows) - len(shown)
    drawn = tabulate(shown, found.headers, tablefmt="simple", disable_numparse=True)
    return ["", *drawn.splitlines(), *([f"and {count(more, 'more row')}"] if more else []), ""]
