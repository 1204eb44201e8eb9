"""The comment: Markdown from a verdict document. Everything that a stranger may have written is escaped."""

import math
import re
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from clearml_ci.gate import Summary
from clearml_ci.verdict import OUTCOMES, Document

LIMIT = 65_536  # characters of a GitHub comment; one more is refused with 422
# Characters that start something, everywhere or at the start of a block; `www.` and `://` become links by themselves.
_ACTIVE = re.compile(r"([\\`*_{}\[\]()#|~$:]|(?<=www)\.|^[-+=]|(?<=^\d)\.|(?<=^\d\d)\.)")
_LONGEST = 500
_CONSOLE = 8_000  # characters
HEADLINES = {
    "passed": "holds",
    "improved": "better than the best",
    "regressed": "worse than the best",
    "no_evidence": "no clean, finished run of this commit",
    "no_baseline": "first model, nothing to compare with",
    "inconclusive": "the evidence cannot decide",
    "error": "could not be checked",
}


def marker(repository: str, number: int) -> str:
    """The hidden first line by which a pull request's one comment is found again."""
    return f"<!-- clearml-ci: {repository}#{number} -->"


def escape(text: str) -> str:
    """Text as text, 500 characters of it at most: no Markdown, no HTML, no line break, no @mention."""
    text = " ".join(text.split())
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _ACTIVE.sub(r"\\\1", text).replace("@", "@\u2060")  # a word joiner keeps GitHub from notifying people


def comment(verdict: Document, scalars: Sequence[Summary]) -> str:
    """The whole comment, never longer than GitHub takes: rows of the folded table give way, the verdict stays."""
    head = "\n\n".join(part for part in _head(verdict) if part)
    tail = _links(verdict)
    room = LIMIT - len(head) - len(tail) - 200
    return "\n\n".join(part for part in [head, _all_scalars(scalars, room), tail] if part) + "\n"


def headline(verdict: Document) -> str:
    """`✅ ClearML CI: passed`, for the comment and the terminal."""
    return f"{OUTCOMES[verdict['outcome']].sign} ClearML CI: {verdict['outcome'].replace('_', ' ')}"


def number(value: float | None, *, signed: bool = False) -> str:
    """Six significant digits, or a dash where there is no number."""
    if value is None:
        return "-"
    return f"{value:{'+' if signed else ''}.6g}" if math.isfinite(value) else str(value)


def _head(verdict: Document) -> list[str]:
    return [
        marker(verdict["repository"], verdict["pull_request"]),
        f"### {headline(verdict)} · {HEADLINES[verdict['outcome']]}",
        f"{escape(_sentence(verdict))} Commit `{verdict['commit'][:10]}`.",
        *(f"> [!WARNING]\n> {escape(warning)}" for warning in verdict["warnings"][:5]),
        _gates(verdict["gates"]),
        _remote_run(verdict["remote_run"]),
        _near_misses(verdict) if verdict["outcome"] == "no_evidence" and _wants_a_run(verdict) else "",
    ]


def _wants_a_run(verdict: Document) -> bool:
    """Is it a local run that is missing, rather than one on an agent?"""
    return bool(verdict["rejected"]) or not verdict["remote_run"]


def _remote_run(remote: Document | None) -> str:
    """What the code did on an agent; where it failed, the phase and the last lines of its console."""
    if remote is None:
        return ""
    sign = OUTCOMES[remote["outcome"]].sign
    task = f" {_link(remote['task'])}" if remote["task"] else ""
    phase = f" · phase **{remote['phase']}**" if remote["phase"] else ""
    line = f"{sign} On an agent{':' + task if task else ''}{phase} · {escape(remote['reason'])}."
    if not remote["log_tail"]:
        return line
    console = _console(remote["log_tail"])
    return f"{line}\n\n<details open>\n<summary>The end of its console</summary>\n\n{console}\n\n</details>"


def _console(lines: Sequence[str]) -> str:
    """A code block in which no line can end it: its fence is longer than any run of backticks in it."""
    text = "\n".join(lines)[-_CONSOLE:]
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


def _sentence(verdict: Document) -> str:
    """The reason as a sentence; a metric's name at its start stays as it is."""
    text = verdict["exit_reason"].strip().rstrip(".")
    named = any(text.startswith(gate["metric"]) for gate in verdict["gates"])
    return f"{text[:1] if named else text[:1].upper()}{text[1:]}."


def _gates(gates: Sequence[dict[str, Any]]) -> str:
    if not gates:
        return ""
    rows = [
        [
            OUTCOMES[gate["outcome"]].sign,
            escape(gate["metric"]) + (" ↑" if gate["goal"] == "maximize" else " ↓"),
            number(gate["value"]),
            number(gate["baseline"]),
            number(gate["difference"], signed=True),
            _allowed(gate),
        ]
        for gate in gates
    ]
    headers = ["", "metric", "this commit", "best", "difference", "allowed"]
    return _table(rows, headers, align=("center", "left", "right", "right", "right", "right"))


def _allowed(gate: dict[str, Any]) -> str:
    if gate["limit"] is None:
        return "-"
    return f"{'≥' if gate['goal'] == 'maximize' else '≤'} {number(gate['limit'])} ({gate['threshold_percent']:g} %)"


def _near_misses(verdict: Document) -> str:
    advice = (
        "Commit your changes, run the training once from the clean commit with ClearML, push, and rerun this check."
    )
    if not verdict["rejected"]:
        return advice
    lines = [f"- {_link(task)}: {escape(task['reason'])}" for task in verdict["rejected"][:10]]
    return "\n".join(["Tasks of this commit that are no evidence:", "", *lines]) + f"\n\n{advice}"


def _all_scalars(scalars: Sequence[Summary], room: int) -> str:
    if not scalars:
        return ""
    rows = [[escape(s.title), escape(s.series), *map(number, (s.last, s.minimum, s.maximum))] for s in scalars]
    kept = rows
    while kept and len(_scalar_table(kept)) > room:
        kept = kept[: int(len(kept) * 0.9)]
    left_out = f"\n\n{len(rows) - len(kept)} more are in ClearML." if len(kept) < len(rows) else ""
    summary = f"All scalars of this commit's task ({len(rows)})"
    return f"<details>\n<summary>{summary}</summary>\n\n{_scalar_table(kept)}{left_out}\n\n</details>"


def _scalar_table(rows: Sequence[Sequence[str]]) -> str:
    headers = ["title", "series", "last", "min", "max"]
    return _table(rows, headers, align=("left", "left", "right", "right", "right"))


def _table(rows: Sequence[Sequence[str]], headers: Sequence[str], *, align: Sequence[str]) -> str:
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def _links(verdict: Document) -> str:
    links = []
    if verdict["candidate"]:
        links.append(f"Task of this commit: {_link(verdict['candidate'])}")
    if verdict["baseline"]:
        links.append(f"best: {_link(verdict['baseline'])}")
    links.append(f"[pipeline run]({verdict['pipeline']['url']})")
    return " · ".join(links)


def _link(task: dict[str, Any]) -> str:
    return f"[{escape(task['name'])}]({task['url']})"
