"""The table of gates in a comment."""

from collections.abc import Mapping, Sequence

from clearml_ci.core.documents import GateRow, VerdictDocument
from clearml_ci.core.formatting import apart
from clearml_ci.core.outcome import HOLDS
from clearml_ci.report.markdown import escape, fit_rows, number, table

ARROWS = {"maximize": "↑", "minimize": "↓"}


def gate_table(verdict: VerdictDocument, room: int) -> str:
    """The table of gates, in the order of the policy; if it is too long, the deciding gates come first."""
    gates = verdict["gates"]
    with_main = verdict["main_baseline"] is not None

    def render(kept: Sequence[GateRow]) -> str:
        main = ["base branch"] if with_main else []
        headers = ["", "metric", "this commit", "baseline", *main, "difference", "allowed"]
        align = ("center", "left", *["right"] * (len(headers) - 2))
        left_out = f"\n\n{len(gates) - len(kept)} more gates are in the verdict." if len(kept) < len(gates) else ""
        return table([_gate(gate, with_main=with_main) for gate in kept], headers, align=align) + left_out

    whole = render(gates) if gates else ""
    if len(whole) <= room:
        return whole
    return fit_rows(sorted(gates, key=lambda gate: (not gate["required"], gate["outcome"] in HOLDS)), room, render)


def _gate(gate: GateRow, *, with_main: bool) -> list[str]:
    texts = _texts(gate)
    return [
        gate["outcome"].sign,
        _metric(gate),
        texts[gate["value"]],
        texts[gate["baseline"]],
        *([number(gate["main"])] if with_main else []),
        number(gate["difference"], signed=True),
        _allowed(gate, texts),
    ]


def _texts(gate: GateRow) -> dict[float | None, str]:
    """The numbers of a row as texts that differ where the numbers do: 0.8999999 is below a minimum of 0.9."""
    numbers = [gate["value"], gate["baseline"], gate["limit"], gate["minimum"], gate["maximum"]]
    known = [value for value in numbers if value is not None]
    return {None: number(None), **dict(zip(known, apart(*known), strict=True))}


def _metric(gate: GateRow) -> str:
    notes = ["last"] * (gate["which"] == "last") + ["advisory"] * (not gate["required"])
    name = f"{escape(gate['metric'])} {ARROWS[gate['goal']]}"
    return f"{name} ({', '.join(notes)})" if notes else name


def _allowed(gate: GateRow, texts: Mapping[float | None, str]) -> str:
    tolerance = f"{gate['tolerance']:g}{' %' if gate['relative'] else ''}"
    sign = "≥" if gate["goal"] == "maximize" else "≤"
    parts = [
        f"{sign} {texts[gate['limit']]} ({tolerance})" if gate["limit"] is not None else "",
        f"min {texts[gate['minimum']]}" if gate["minimum"] is not None else "",
        f"max {texts[gate['maximum']]}" if gate["maximum"] is not None else "",
    ]
    return ", ".join(part for part in parts if part) or "-"
