"""The comment: Markdown from a verdict document."""

from collections.abc import Callable, Mapping, Sequence

from clearml_ci.core import comment_mode
from clearml_ci.core.documents import GateRow, TaskDocument, VerdictDocument
from clearml_ci.core.formatting import capital
from clearml_ci.core.gate import Summary
from clearml_ci.core.outcome import HOLDS, Outcome
from clearml_ci.decisions.verdict import is_let_pass
from clearml_ci.report import comment_sections
from clearml_ci.report.charts import Curves
from clearml_ci.report.markdown import MOST_WARNINGS, alert, escape, fitted, hidden, number, table

LIMIT = 65_536  # characters of a GitHub comment; one more is refused with 422


ARROWS = {"maximize": "↑", "minimize": "↓"}


ADVICE = "Commit your changes, run the training once from the clean commit with ClearML, push, and rerun this check."


_ROOM_OF_A_LINE = 4_000  # characters: a reason of 500, escaped at its worst, and a link


_FOR_LINES = 2_500  # characters that are left for what happens after the merge


HEADLINES = {
    Outcome.PASSED: "the gate holds",
    Outcome.IMPROVED: "better than the best",
    Outcome.REGRESSED: "a gate does not hold",
    Outcome.NO_EVIDENCE: "no clean, finished run of this commit",
    Outcome.NO_BASELINE: "first model, nothing to compare with",
    Outcome.INCONCLUSIVE: "the evidence cannot decide",
    Outcome.ERROR: "could not be checked",
}


def marker(repository: str, number: int | None, name: str = "") -> str:
    """The hidden first line by which a pull request's one comment is found again; each name of a check has its own."""
    return f"<!-- clearml-ci: {repository}#{number}{hidden(name)} -->"


def comment(verdict: VerdictDocument, scalars: Sequence[Summary], curves: Mapping[int, Curves] | None = None) -> str:
    """The whole comment, never longer than GitHub takes. `curves`: a gate's position → its curves.

    Headline, reason and links always stand. The other parts come in the order of their weight, and each takes what room
    it needs: what gives way first is the table of all scalars, then what differs, then the curves.
    """
    head, tail = "\n\n".join(_head(verdict)), _links(verdict)
    room = LIMIT - len(head) - len(tail) - _FOR_LINES
    by_weight: list[Callable[[int], str]] = [
        lambda left: _gates(verdict, left),
        lambda left: _remote_run(verdict, left),
        lambda left: fitted(_warnings(verdict), left, "\n\n".join),
        lambda left: fitted(_near_misses(verdict), left, "\n".join),
        lambda left: comment_sections.curves(verdict["gates"], curves or {}, left),
        lambda left: comment_sections.differences(verdict, left),
        lambda left: comment_sections.scalars(scalars, left),
    ]
    parts: list[str] = []
    for part in by_weight:
        text = part(room)
        parts += [text] if text else []
        room -= len(text) + 2
    return "\n\n".join([head, *parts, tail]) + "\n"


def with_line(body: str, verdict: VerdictDocument) -> str:
    """A comment with a line at its end of what a promotion or a rollback did; of each, the last word counts.

    A repetition that moved nothing leaves the line of the one that did.
    """
    moved = verdict["promotion"]
    if moved is None:
        return body
    mark = f"<!-- clearml-ci {moved['action']} -->"
    before, found, after = body.partition(f"\n{mark}\n")
    _, _, rest = after.partition("\n")
    if found and not moved["moved"] and verdict["exit_code"] == 0:
        return body
    what = f"Merged as `{moved['merge_commit'][:10]}`:" if moved["merge_commit"] else "Best model:"
    if moved["action"] == "rollback":
        what = "Rolled back:"
    said = escape(verdict["exit_reason"].strip().rstrip("."))
    stamp = f" ({escape(verdict['rerun']['said'])})" if verdict["rerun"] else ""
    sign = verdict["outcome"].sign
    line = f"{sign} **{what}** {said}{stamp}. [pipeline run]({verdict['pipeline']['url']})"
    text = f"{before.rstrip()}\n\n{mark}\n{line}\n{rest}"
    return text if len(text) <= LIMIT else body


def headline(verdict: VerdictDocument) -> str:
    """`✅ ClearML CI: passed`, for the terminal; a check's name stands in it as it is."""
    return _titled(verdict, verdict.get("name", ""))  # that of an older version's run has none


def _titled(verdict: VerdictDocument, name: str) -> str:
    named = f"{name} · " if name else ""
    return f"{verdict['outcome'].sign} ClearML CI: {named}{verdict['outcome'].words}"


def _head(verdict: VerdictDocument) -> list[str]:
    return [
        marker(verdict["repository"], verdict["pull_request"], verdict["name"])
        + "\n"
        + comment_mode.outcome_line(verdict["outcome"]),
        f"### {_titled(verdict, escape(verdict['name']))} · {_in_a_word(verdict)}",
        f"{escape(_sentence(verdict))}{_let_pass(verdict)} Commit `{verdict['commit'][:10]}`.",
        *([f"↻ {escape(capital(verdict['rerun']['said']))}."] if verdict["rerun"] else []),
    ]


def _remote_run(verdict: VerdictDocument, room: int) -> str:
    """What the code did on an agent; where it failed, the phase and the last lines of its console."""
    remote = verdict["remote_run"]
    if not remote:
        return ""
    task = f": {_link(remote['task'])}" if remote["task"] else ""
    phase = f" · phase **{remote['phase']}**" if remote["phase"] else ""
    if room < _ROOM_OF_A_LINE:
        return ""
    said = "" if remote["reason"] in verdict["exit_reason"] else f" · {escape(remote['reason'])}."
    line = f"{remote['outcome'].sign} On an agent{task}{phase}{said}"
    return "\n\n".join(
        part for part in [line, comment_sections.console(remote["log_tail"], room - len(line) - 2)] if part
    )


def _in_a_word(verdict: VerdictDocument) -> str:
    """What the outcome means here: without gates, it is the run alone that was asked for."""
    remote, gates, promotion = verdict["remote_run"], verdict["gates"], verdict["promotion"]
    if promotion and verdict["outcome"] == Outcome.PASSED:
        return "the best tag moved" if promotion["moved"] else "the best tag stays where it is"
    if verdict["outcome"] == Outcome.PASSED and not gates:
        return "it runs on an agent" if remote else "it was run"
    if verdict["outcome"] == Outcome.PASSED and len(gates) > 1:
        return "every gate holds" if all(gate["outcome"] in HOLDS for gate in gates) else "every required gate holds"
    if verdict["outcome"] == Outcome.NO_EVIDENCE and remote and remote["outcome"] == Outcome.NO_EVIDENCE:
        return "it may not run yet" if remote["phase"] == "approval" else "it does not run on an agent"
    return HEADLINES[verdict["outcome"]]


def _sentence(verdict: VerdictDocument) -> str:
    """The reason as a sentence; a metric's name at its start stays as it is."""
    text = verdict["exit_reason"].strip().removesuffix(".")
    named = any(text.startswith(gate["metric"]) for gate in verdict["gates"])
    return f"{text[:1] if named else text[:1].upper()}{text[1:]}."


def _let_pass(verdict: VerdictDocument) -> str:
    return " The policy lets that pass." if is_let_pass(verdict) else ""


def _warnings(verdict: VerdictDocument) -> list[str]:
    shown = verdict["warnings"][:MOST_WARNINGS]
    more = len(verdict["warnings"]) - len(shown)
    said = [*shown, *([f"{more} more warnings are in the verdict."] if more else [])]
    return [alert(warning) for warning in said]


def _gates(verdict: VerdictDocument, room: int) -> str:
    """The table of gates, in the order of the policy; where it is too long, those that decided stay."""
    gates = verdict["gates"]
    with_main = verdict["main_baseline"] is not None

    def render(kept: Sequence[GateRow]) -> str:
        main = ["main"] if with_main else []
        headers = ["", "metric", "this commit", "best", *main, "difference", "allowed"]
        align = ("center", "left", *["right"] * (len(headers) - 2))
        left_out = f"\n\n{len(gates) - len(kept)} more gates are in the verdict." if len(kept) < len(gates) else ""
        return table([_gate(gate, with_main=with_main) for gate in kept], headers, align=align) + left_out

    whole = render(gates) if gates else ""
    if len(whole) <= room:
        return whole
    return fitted(sorted(gates, key=lambda gate: (not gate["required"], gate["outcome"] in HOLDS)), room, render)


def _gate(gate: GateRow, *, with_main: bool) -> list[str]:
    notes = ["last"] * (gate["which"] == "last") + ["advisory"] * (not gate["required"])
    return [
        gate["outcome"].sign,
        " ".join([escape(gate["metric"]), ARROWS[gate["goal"]], *([f"({', '.join(notes)})"] if notes else [])]),
        number(gate["value"]),
        number(gate["baseline"]),
        *([number(gate["main"])] if with_main else []),
        number(gate["difference"], signed=True),
        _allowed(gate),
    ]


def _allowed(gate: GateRow) -> str:
    tolerance = f"{gate['tolerance']:g}{' %' if gate['relative'] else ''}"
    sign = "≥" if gate["goal"] == "maximize" else "≤"
    parts = [
        f"{sign} {number(gate['limit'])} ({tolerance})" if gate["limit"] is not None else "",
        f"min {number(gate['minimum'])}" if gate["minimum"] is not None else "",
        f"max {number(gate['maximum'])}" if gate["maximum"] is not None else "",
    ]
    return ", ".join(part for part in parts if part) or "-"


def _near_misses(verdict: VerdictDocument) -> list[str]:
    """Lines: what to do, and the tasks that came close."""
    if verdict["outcome"] != Outcome.NO_EVIDENCE or (verdict["remote_run"] and not verdict["rejected"]):
        return []  # where it is a run on an agent that is missing, its own words say what to do
    near = [f"- {_link(task)}: {escape(task['reason'])}" for task in verdict["rejected"][:10]]
    return [ADVICE, *(["", "Tasks of this commit that are no evidence:", "", *near] if near else [])]


def _links(verdict: VerdictDocument) -> str:
    links = []
    if verdict["candidate"]:
        links.append(f"Task of this commit: {_link(verdict['candidate'])}")
    if verdict["baseline"]:
        links.append(f"best: {_link(verdict['baseline'])}")
    if verdict["main_baseline"]:
        links.append(f"main: {_link(verdict['main_baseline'])}")
    links.append(f"[pipeline run]({verdict['pipeline']['url']})")
    return " · ".join(links)


def _link(task: TaskDocument) -> str:
    return f"[{escape(task['name'])}]({task['url']})"
