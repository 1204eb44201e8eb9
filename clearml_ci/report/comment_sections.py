"""The longer parts of a comment or issue: curves, console, differences and scalars; each fits into its `room`."""

import re
from collections.abc import Mapping, Sequence

from clearml_ci.core.documents import CommitRun, GateRow, VerdictDocument
from clearml_ci.core.formatting import count
from clearml_ci.core.gate import Summary
from clearml_ci.report import charts
from clearml_ci.report.charts import Curves, History
from clearml_ci.report.gate_table import ARROWS
from clearml_ci.report.markdown import escape, fit_rows, fold, number, table

MOST_METRICS = 4  # columns of a table


KINDS = {"hyperparameter": "", "package": "package ", "input": "", "GPU": "GPU "}


def curves(gates: Sequence[GateRow], by_gate: Mapping[int, Curves], room: int) -> str:
    """A chart of each gate that has a curve; `by_gate` maps a gate's position to its curves."""
    first = list(by_gate.items())[: charts.MOST_CHARTS]
    shown = [text for index, curve in first if (text := _chart(gates[index], curve))]
    return fit_rows(shown, room, lambda kept: fold("Curves: this commit and the baseline", "\n\n".join(kept)))


def runs(verdict: VerdictDocument, room: int) -> str:
    """The runs of the commit, if there are several: link, seed, and the value of each gate."""
    found = verdict.get("runs", [])  # an older version's run has none
    if len(found) < 2:
        return ""
    metrics = [gate["metric"] for gate in verdict["gates"]][:MOST_METRICS]
    rows = [_run(run, metrics) for run in found]
    repeats = sum(run["repeat"] for run in found)
    title = f"Runs of this commit ({len(found)}" + (f", {count(repeats, 'repeat')})" if repeats else ")")

    def render(kept: Sequence[Sequence[str]]) -> str:
        headers = ["task", "seed", *map(escape, metrics), ""]
        body = table(kept, headers, align=("left", "right", *("right" for _ in metrics), "left"))
        return fold(title, body + _left_out(len(rows) - len(kept)))

    return fit_rows(rows, room, render)


def _run(run: CommitRun, metrics: Sequence[str]) -> list[str]:
    task = f"[{escape(run['task']['id'][:8])}]({run['task']['url']})"
    values = (number(run["values"].get(metric)) for metric in metrics)
    why = escape(run["reason"]) if run["reason"] else "repeat" * run["repeat"]
    return [task, escape(run["seed"]) or "-", *values, why]


def histories(gates: Sequence[GateRow], by_gate: Mapping[int, History], room: int) -> str:
    """A chart of the default branch's last runs for each gate that was judged by its noise."""
    shown = [_history(gates[index], runs) for index, runs in list(by_gate.items())[: charts.MOST_CHARTS]]
    return fit_rows(shown, room, lambda kept: fold("The last runs of the default branch", "\n\n".join(kept)))


def _history(gate: GateRow, runs: History) -> str:
    last = count(len(runs.values), "run")
    legend = f"blue: the last {last} of the default branch, then this commit; orange: 98 % of runs like the reference"
    chart = charts.history(gate["metric"], runs)
    return f"**{escape(gate['metric'])}** {ARROWS[gate['goal']]} · {legend}\n\n```mermaid\n{chart}\n```"


def console(lines: Sequence[str], room: int) -> str:
    """The last lines of a console, unfolded; the fence is longer than any in the lines, so none can end the block."""

    def render(kept: Sequence[str]) -> str:
        fence = "`" * max([3, *(1 + len(run) for line in kept for run in re.findall("`+", line))])
        body = "\n".join([f"{fence}text", *reversed(kept), fence])
        return f"<details open>\n<summary>The end of the console</summary>\n\n{body}\n\n</details>"

    return fit_rows(list(reversed(lines)), room, render)


def differences(verdict: VerdictDocument, room: int) -> str:
    """The other differences between the two tasks, those that the policy's `alike` names first."""
    found, total = verdict["differences"], verdict["differences_total"]
    rows = [
        [
            "≠" if difference["matters"] else "",
            KINDS[difference["kind"]] + escape(difference["name"]),
            _value(difference["candidate"]),
            _value(difference["baseline"]),
        ]
        for difference in found
    ]

    def render(kept: Sequence[Sequence[str]]) -> str:
        body = table(kept, ["", "input", "this commit", "baseline"], align=("center", "left", "left", "left"))
        marked = "\n\n≠ must match." if any(row[0] for row in kept) else ""
        return fold(f"Other differences from the baseline ({total})", body + marked + _left_out(total - len(kept)))

    return fit_rows(rows, room, render)


def scalars(every: Sequence[Summary], room: int) -> str:
    """The last, lowest and highest value of each series of this commit's task."""
    rows = [[escape(s.title), escape(s.series), *map(number, (s.last, s.minimum, s.maximum))] for s in every]

    def render(kept: Sequence[Sequence[str]]) -> str:
        headers = ["title", "series", "last", "min", "max"]
        body = table(kept, headers, align=("left", "left", "right", "right", "right"))
        return fold(f"All scalars of this commit's task ({len(rows)})", body + _left_out(len(rows) - len(kept)))

    return fit_rows(rows, room, render)


def _chart(gate: GateRow, curves: Curves) -> str:
    text = charts.chart(gate["metric"], curves, goal=gate["goal"])
    if not text:
        return ""
    return f"**{escape(gate['metric'])}** {ARROWS[gate['goal']]} · {charts.legend(curves)}\n\n```mermaid\n{text}\n```"


def _value(value: str | None) -> str:
    return "-" if value is None else escape(value) or "empty"


def _left_out(count: int) -> str:
    return f"\n\n{count} more are in ClearML." if count > 0 else ""
