"""The folded parts of the comment: curves, what else differs, and all other metrics. Each is given its room."""

import re
from collections.abc import Mapping, Sequence

from clearml_ci.core.documents import GateRow, VerdictDocument
from clearml_ci.core.gate import Summary
from clearml_ci.report import charts
from clearml_ci.report.charts import Curves
from clearml_ci.report.markdown import escape, fitted, fold, number, table

_KINDS = {"hyperparameter": "", "package": "package ", "input": "", "GPU": "GPU "}


def curves(gates: Sequence[GateRow], drawn: Mapping[int, Curves], room: int) -> str:
    """One chart a gate that has a curve; `drawn` maps a gate's position to its curves."""
    shown = [text for index, one in drawn.items() if (text := _chart(gates[index], one))]
    return fitted(shown, room, lambda kept: fold("Curves: this commit and the best", "\n\n".join(kept)))


def console(lines: Sequence[str], room: int) -> str:
    """The end of a console, open, as a block that no line of it can end: its fence is longer than theirs."""

    def render(kept: Sequence[str]) -> str:
        fence = "`" * max([3, *(1 + len(run) for line in kept for run in re.findall("`+", line))])
        body = "\n".join([f"{fence}text", *reversed(kept), fence])
        return f"<details open>\n<summary>The end of its console</summary>\n\n{body}\n\n</details>"

    return fitted(list(reversed(lines)), room, render)


def differences(verdict: VerdictDocument, room: int) -> str:
    """What is not the same in the two tasks; what must be alike is marked, and comes first."""
    found, total = verdict["differences"], verdict["differences_total"]
    rows = [
        [
            "≠" if one["matters"] else "",
            _KINDS[one["kind"]] + escape(one["name"]),
            _value(one["candidate"]),
            _value(one["baseline"]),
        ]
        for one in found
    ]

    def render(kept: Sequence[Sequence[str]]) -> str:
        body = table(kept, ["", "what", "this commit", "best"], align=("center", "left", "left", "left"))
        marked = "\n\n≠ must be alike." if any(row[0] for row in kept) else ""
        return fold(f"What else differs from the best ({total})", body + marked + _left_out(total - len(kept)))

    return fitted(rows, room, render)


def scalars(every: Sequence[Summary], room: int) -> str:
    """Last, lowest and highest value of each series of this commit's task."""
    rows = [[escape(s.title), escape(s.series), *map(number, (s.last, s.minimum, s.maximum))] for s in every]

    def render(kept: Sequence[Sequence[str]]) -> str:
        headers = ["title", "series", "last", "min", "max"]
        body = table(kept, headers, align=("left", "left", "right", "right", "right"))
        return fold(f"All scalars of this commit's task ({len(rows)})", body + _left_out(len(rows) - len(kept)))

    return fitted(rows, room, render)


def _chart(gate: GateRow, drawn: Curves) -> str:
    text = charts.chart(gate["metric"], drawn, goal=gate["goal"])
    if not text:
        return ""
    arrow = "↑" if gate["goal"] == "maximize" else "↓"
    return f"**{escape(gate['metric'])}** {arrow} · {charts.legend(drawn)}\n\n```mermaid\n{text}\n```"


def _value(value: str | None) -> str:
    return "-" if value is None else escape(value) or "empty"


def _left_out(count: int) -> str:
    return f"\n\n{count} more are in ClearML." if count > 0 else ""
