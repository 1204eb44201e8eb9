"""The tables of a verdict as plain texts, which a console and the page of a run show."""

from collections.abc import Sequence
from dataclasses import dataclass

from clearml_ci.core.documents import AuditVerdict, VerdictDocument
from clearml_ci.decisions.audit_findings import FINDING, kind_in_words
from clearml_ci.report import comment_sections, gate_table
from clearml_ci.report.markdown import number


@dataclass(frozen=True)
class Table:
    """Rows of plain texts. `urls` holds an address for the first cell of a row, or ""; `widths` of the columns."""

    headers: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    widths: tuple[float, ...]
    urls: Sequence[str] = ()


def gates(verdict: VerdictDocument) -> Table:
    """A row for each gate, those that decide first, with its reason at the end, and one for each pattern of slices."""
    columns = gate_table.headers(verdict)
    found = gate_table.by_severity(verdict["gates"])
    rows = [
        [*(texts[column] for column in columns), gate["reason"]]
        for gate in found
        for texts in [gate_table.plain_row(gate)]
    ]
    rows += [
        ["", of["pattern"], *("" for _ in columns[2:]), f"{gate_table.slices_text(of)}."]
        for of in verdict.get("slices", [])  # an older version's run has none
    ]
    return Table((*columns, "reason"), rows, (0.4, 2.5, *(1.5 for _ in columns[2:]), 4))


def findings(verdict: AuditVerdict) -> Table:
    """A row for each finding of an audit, and then for each note."""
    found = sorted(verdict["findings"], key=lambda finding: finding["severity"] != FINDING)
    rows = [(f["where"]["name"], kind_in_words(f["kind"]), f["severity"], f["said"], f["do"]) for f in found]
    headers = ("about", "kind", "severity", "message", "to do")
    return Table(headers, rows, (2, 1.5, 1, 4, 4), [finding["where"]["url"] for finding in found])


def differences(verdict: VerdictDocument) -> Table:
    """A row for each input that differs from the baseline, those that must match first."""
    found = sorted(verdict["differences"], key=lambda difference: not difference["matters"])
    rows = [
        (
            comment_sections.KINDS[difference["kind"]] + difference["name"],
            _value(difference["candidate"]),
            _value(difference["baseline"]),
            "must match" if difference["matters"] else "",
        )
        for difference in found
    ]
    return Table(("input", "this commit", "baseline", ""), rows, (2, 2, 2, 1))


def runs(verdict: VerdictDocument) -> Table:
    """A row for each run of the commit, if there are several."""
    found = verdict.get("runs", [])  # an older version's run has none
    metrics = [gate["metric"] for gate in verdict["gates"]][: comment_sections.MOST_METRICS]
    rows = [
        (
            run["task"]["id"],
            run["seed"] or "-",
            *(number(run["values"].get(metric)) for metric in metrics),
            run["reason"] or "repeat" * run["repeat"],
        )
        for run in found
    ]
    widths = (2, 1, *(1.5 for _ in metrics), 3)
    urls = [run["task"]["url"] for run in found]
    return Table(("task", "seed", *metrics, ""), rows if len(rows) > 1 else (), widths, urls)


def _value(value: str | None) -> str:
    return "-" if value is None else value or "empty"
