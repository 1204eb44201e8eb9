"""A backtest as Markdown: for a file, and for the comment on a pull request that changes the policy."""

from collections.abc import Sequence

from clearml_ci.core.formatting import capitalize_first
from clearml_ci.decisions.backtest import Backtest
from clearml_ci.report import backtest_tables, charts, markdown
from clearml_ci.report.charts import Curves
from clearml_ci.report.comment import LIMIT
from clearml_ci.report.markdown import escape, fold
from clearml_ci.report.run_tables import Table

_MARKER = "clearml-ci backtest"


_JUDGES_NOTHING = (
    "This judges nothing: the pull request itself is judged by the policy of its base branch. The checks and merges of "
    "the past were judged once more, each with what was known at its time. Nothing was trained or changed."
)


_ROOM = 1_000  # characters that stay free


def marker(repository: str, pull_request: int, name: str) -> str:
    """The hidden first line of the comment, which differs from that of the check's comment."""
    return f"<!-- {_MARKER} {repository}#{pull_request}{markdown.encode_marker_name(name)} -->"


def document(tests: Sequence[Backtest]) -> str:
    """The whole file."""
    return f"# Backtest of {escape(tests[-1].name)}\n\n{_body(tests)}\n"


def comment(tests: Sequence[Backtest], *, marker: str, commit: str, notes: Sequence[str] = ()) -> str:
    """The comment on a pull request whose `commit` changes the policy file; `notes` are sentences about the scope."""
    body = _body(tests) if tests else "No check of the past is in ClearML yet."
    return "\n\n".join([_head(marker, commit), _JUDGES_NOTHING, *map(escape, notes), body]) + "\n"


def invalid(reason: str, *, marker: str, commit: str) -> str:
    """The comment if the changed policy file is not valid: the problems that its reader found."""
    lines = [f"- {escape(line)}" for line in reason.splitlines()[:20]]
    text = "The changed policy file is not valid, so every check would end in an error once this is merged:"
    return "\n\n".join([_head(marker, commit), text, "\n".join(lines)]) + "\n"


def unchanged(*, marker: str, commit: str) -> str:
    """The comment after a later push took the change back."""
    return f"{_head(marker, commit)}\n\nThe policy file of this pull request is that of its base branch again.\n"


def _head(marker: str, commit: str) -> str:
    return f"{marker}\n### ClearML CI: backtest of the changed policy · commit `{commit[:10]}`"


def _body(tests: Sequence[Backtest]) -> str:
    checks = backtest_tables.checks(tests)
    title = "Judged differently" if len(tests) > 1 else "Red"
    parts = [
        *(markdown.alert(f"{capitalize_first(note)}.") for note in backtest_tables.notes(tests)),
        _table(backtest_tables.counts(tests)),
        _gates(backtest_tables.gates(tests)),
        _checks(f"{title} ({len(checks.rows)})", checks),
        "\n".join(f"- {escape(line)}" for line in backtest_tables.left_out(tests)),
    ]
    body = "\n\n".join(part for part in parts if part)
    drawn = markdown.fit_rows(_charts(tests), LIMIT - len(body) - _ROOM, lambda kept: "\n\n".join(kept))
    return "\n\n".join(part for part in (body, fold("The checks, oldest first", drawn) if drawn else "") if part)


def _gates(table: Table) -> str:
    if not table.rows:
        return ""
    legend = "With the noise of today. Smallest visible loss: one that is found in 80 % of cases."
    return f"{_table(table)}\n\n{legend}"


def _checks(title: str, table: Table) -> str:
    shown = Table(table.headers, table.rows[: backtest_tables.MOST_CHECKS], table.widths)
    more = len(table.rows) - len(shown.rows)
    left_out = f"\n\n{more} more are in the terminal's table." if more > 0 else ""
    return fold(title, _table(shown) + left_out) if table.rows else ""


def _table(table: Table) -> str:
    rows = [[escape(text) for text in row] for row in table.rows]
    return markdown.table(rows, [escape(text) for text in table.headers], align=["left" for _ in table.headers])


def _charts(tests: Sequence[Backtest]) -> list[str]:
    """A chart of each gate of the last policy: the value of each check, and what the gate would have allowed."""
    drawn = []
    for gate in tests[-1].gates[: charts.MOST_CHARTS]:
        values, limits = tests[-1].curves(gate)
        text = charts.chart(gate.name, Curves(values, limits), goal=gate.goal, x_axis="check")
        if text:
            legend = "blue: the checked commits; orange: the worst value that would be allowed"
            drawn.append(f"**{escape(gate.name)}** · {legend}\n\n```mermaid\n{text}\n```")
    return drawn
