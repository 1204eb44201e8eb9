"""The table of gates in a comment."""

from collections.abc import Mapping, Sequence

from clearml_ci.core.documents import GateRow, NoiseDocument, SlicesDocument, VerdictDocument
from clearml_ci.core.formatting import apart, count
from clearml_ci.core.outcome import HOLDS
from clearml_ci.decisions.slice_rows import FAILED
from clearml_ci.report import noise_lines
from clearml_ci.report.markdown import escape, fit_rows, number, table

ARROWS = {"maximize": "↑", "minimize": "↓"}


def gate_table(verdict: VerdictDocument, room: int) -> str:
    """The table of gates, in the order of the policy; if it is too long, the deciding gates come first."""
    gates = verdict["gates"]
    columns = headers(verdict)

    def render(kept: Sequence[GateRow]) -> str:
        align = ("center", "left", *["right"] * (len(columns) - 2))
        left_out = [f"{len(gates) - len(kept)} more gates are in the verdict."] if len(kept) < len(gates) else []
        rows = [[row_texts[column] for column in columns] for row_texts in map(_gate, kept)]
        of_slices = [_slices_line(of) for of in verdict.get("slices", [])]  # an older version's run has none
        return "\n\n".join([table(rows, columns, align=align), *left_out, *of_slices, *noise_lines.lines(kept)])

    whole = render(gates) if gates else ""
    if len(whole) <= room:
        return whole
    return fit_rows(by_severity(gates), room, render)


def _slices_line(of: SlicesDocument) -> str:
    return f"**{escape(of['pattern'])}** · {escape(slices_text(of))}."


def slices_text(of: SlicesDocument) -> str:
    """`45 slices, 2 regressed; the worst 5 of those that hold are shown, and 38 more hold`, without Markdown."""
    failed = [f"{of['regressed']} regressed"] * bool(of["regressed"])
    failed += [f"{of['inconclusive']} inconclusive"] * bool(of["inconclusive"])
    shown = of["shown"] - min(FAILED, of["total"] - of["held"])
    parts = [f"{count(of['total'], 'slice')}, {', '.join(failed) or 'none fails'}"]
    if of["held"] > shown:
        parts.append(f"the worst {shown} of those that hold are shown, and {of['held'] - shown:,} more hold")
    if of["total"] - of["held"] > FAILED:
        parts.append(f"the worst {FAILED} of those that do not hold are shown")
    if of["new"]:
        more = f", and {of['new_total'] - len(of['new'])} more" if of["new_total"] > len(of["new"]) else ""
        parts.append(f"new are {', '.join(of['new'])}{more}")
    return "; ".join(parts)


def by_severity(gates: Sequence[GateRow]) -> list[GateRow]:
    """The gates that decide first: required and failed."""
    return sorted(gates, key=lambda gate: (not gate["required"], gate["outcome"] in HOLDS))


def plain_row(gate: GateRow) -> dict[str, str]:
    """The texts of a row by the headers of their columns, without Markdown; the metric's name is as it was written."""
    return {**_gate(gate), "metric": _named(gate["metric"], gate, at=gate.get("at", ""))}


def headers(verdict: VerdictDocument) -> list[str]:
    """The columns. Gates that were judged by their noise need the reference, and neither baseline nor base branch."""
    by_noise = [bool(gate.get("noise")) for gate in verdict["gates"]]
    reference, plain = any(by_noise), not by_noise or not all(by_noise)
    main = plain and verdict["main_baseline"] is not None
    return [
        "",
        "metric",
        "this commit",
        *(["reference"] if reference else []),
        *(["baseline"] if plain else []),
        *(["base branch"] if main else []),
        "difference",
        "allowed",
        *(["runs"] if reference else []),
    ]


def _gate(gate: GateRow) -> dict[str, str]:
    """The texts of a row, by the headers of their columns."""
    texts = _texts(gate)
    row_texts = {
        "": gate["outcome"].sign,
        "metric": _named(escape(gate["metric"]), gate, at=escape(gate.get("at", ""))),
        "this commit": texts[gate["value"]],
        "reference": "-",
        "baseline": texts[gate["baseline"]],
        "base branch": number(gate["main"]),
        "difference": number(gate["difference"], signed=True),
        "allowed": _allowed(gate, texts),
        "runs": "-",
    }
    noise = gate.get("noise")
    return row_texts | _by_noise(gate, noise) if noise else row_texts


def _by_noise(gate: GateRow, noise: NoiseDocument) -> dict[str, str]:
    limited: GateRow = {**gate, "value": noise["value"], "baseline": noise["reference"], "limit": noise["limit"]}
    return {
        "this commit": noise_lines.with_margin(noise["value"], noise["value_margin"]),
        "reference": noise_lines.with_margin(noise["reference"], noise["reference_margin"]),
        "difference": noise_lines.difference(noise),
        "allowed": _allowed(limited, _texts(limited)),
        "runs": f"{noise['runs']} vs {noise['reference_runs']}",
    }


def _texts(gate: GateRow) -> dict[float | None, str]:
    """The numbers of a row as texts that differ where the numbers do: 0.8999999 is below a minimum of 0.9."""
    numbers = [gate["value"], gate["baseline"], gate["limit"], gate["minimum"], gate["maximum"]]
    known = [value for value in numbers if value is not None]
    return {None: number(None), **dict(zip(known, apart(*known), strict=True))}


def _named(metric: str, gate: GateRow, *, at: str) -> str:
    """The metric with what is special about its gate; `at` is the checkpoint at which it is read, or ""."""
    notes = [f"at {at}"] if at else ["last"] * (gate["which"] == "last")
    notes += ["advisory"] * (not gate["required"])
    name = f"{metric} {ARROWS[gate['goal']]}"
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
