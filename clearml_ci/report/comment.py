"""The comment on a pull request: Markdown from a verdict document."""

from collections.abc import Callable, Mapping, Sequence

from clearml_ci.core import comment_mode
from clearml_ci.core.documents import TaskDocument, VerdictDocument
from clearml_ci.core.formatting import capitalize_first
from clearml_ci.core.gate import Summary
from clearml_ci.core.outcome import HOLDS, Outcome
from clearml_ci.decisions import accepted_losses, merge_queue
from clearml_ci.decisions.verdict import is_let_pass
from clearml_ci.report import comment_sections, gate_table
from clearml_ci.report.charts import Curves, History
from clearml_ci.report.markdown import (
    MOST_WARNINGS,
    alert,
    encode_marker_name,
    escape,
    fit_rows,
    join_parts,
)

LIMIT = 65_536  # characters of a GitHub comment; one more is refused with 422


ADVICE = "Commit your changes, run the training once from the clean commit with ClearML, push, and rerun this check."


_ROOM_OF_A_LINE = 4_000  # characters: a reason of 500, escaped at its worst, and a link


_FOR_LINES = 2_500  # characters that are kept free for the lines of promotions and rollbacks


HEADLINES = {
    Outcome.PASSED: "the gate holds",
    Outcome.IMPROVED: "better than the baseline",
    Outcome.REGRESSED: "a gate fails",
    Outcome.NO_EVIDENCE: "no clean, finished run of this commit",
    Outcome.NO_BASELINE: "first model, no baseline yet",
    Outcome.ACCEPTED: "a gate fails, and the loss is accepted",
    Outcome.INCONCLUSIVE: "the metrics cannot be compared",
    Outcome.ERROR: "could not be checked",
}


def marker(repository: str, number: int | None, name: str = "") -> str:
    """The hidden first line by which the one comment of a pull request, and of a check's name, is found again."""
    return f"<!-- clearml-ci: {repository}#{number}{encode_marker_name(name)} -->"


def comment(
    verdict: VerdictDocument,
    scalars: Sequence[Summary],
    curves: Mapping[int, Curves] | None = None,
    histories: Mapping[int, History] | None = None,
) -> str:
    """The whole comment, never longer than GitHub accepts. `curves` and `histories`: a gate's position → its own.

    Headline, reason and links are always there. The other parts follow in the order of their importance: if the room
    does not suffice, the table of all scalars is shortened first, then the differences, then the curves.
    """
    head, tail = "\n\n".join(_head(verdict)), _links(verdict)
    room = LIMIT - len(head) - len(tail) - _FOR_LINES
    parts: list[Callable[[int], str]] = [
        lambda left: gate_table.gate_table(verdict, left),
        lambda left: _remote_run(verdict, left),
        lambda left: fit_rows(_warnings(verdict), left, "\n\n".join),
        lambda left: fit_rows(_near_misses(verdict), left, "\n".join),
        lambda left: fit_rows(_how_to_accept(verdict), left, "\n\n".join),
        lambda left: comment_sections.runs(verdict, left),
        lambda left: comment_sections.histories(verdict["gates"], histories or {}, left),
        lambda left: comment_sections.curves(verdict["gates"], curves or {}, left),
        lambda left: comment_sections.differences(verdict, left),
        lambda left: comment_sections.scalars(scalars, left),
    ]
    return join_parts(head, parts, tail, room=room)


def with_line(body: str, verdict: VerdictDocument) -> str:
    """The comment with one line for the last promotion and one for the last rollback at its end.

    A repetition that moved nothing does not replace the line of the run that moved the tag.
    """
    promotion = verdict["promotion"]
    if promotion is None:
        return body
    mark = f"<!-- clearml-ci {promotion['action']} -->"
    before, found, after = body.partition(f"\n{mark}\n")
    _, _, rest = after.partition("\n")
    if found and not promotion["moved"] and verdict["exit_code"] == 0:
        return body
    what = f"Merged as `{promotion['merge_commit'][:10]}`:" if promotion["merge_commit"] else "Baseline:"
    if promotion["action"] == "rollback":
        what = "Rolled back:"
    reason = escape(verdict["exit_reason"].strip().rstrip("."))
    stamp = f" ({escape(verdict['rerun']['said'])})" if verdict["rerun"] else ""
    sign = verdict["outcome"].sign
    line = f"{sign} **{what}** {reason}{stamp}. [pipeline run]({verdict['pipeline']['url']})"
    text = f"{before.rstrip()}\n\n{mark}\n{line}\n{rest}"
    return text if len(text) <= LIMIT else body


def headline(verdict: VerdictDocument) -> str:
    """`✅ ClearML CI: passed`, for the terminal; the check's name is not escaped."""
    return _titled(verdict, verdict.get("name", ""))  # that of an older version's run has none


def _titled(verdict: VerdictDocument, name: str) -> str:
    named = f"{name} · " if name else ""
    return f"{verdict['outcome'].sign} ClearML CI: {named}{verdict['outcome'].words}"


def _head(verdict: VerdictDocument) -> list[str]:
    return [
        marker(verdict["repository"], verdict["pull_request"], verdict["name"])
        + "\n"
        + comment_mode.outcome_line(verdict["outcome"]),
        f"### {_titled(verdict, escape(verdict['name']))} · {summary(verdict)}",
        f"{escape(sentence(verdict))}{_let_pass(verdict)} Commit `{verdict['commit'][:10]}`{_group(verdict)}.",
        *([f"↻ {escape(capitalize_first(verdict['rerun']['said']))}."] if verdict["rerun"] else []),
    ]


def _group(verdict: VerdictDocument) -> str:
    group = verdict.get("merge_group", [])  # that of an older version's run has none
    return f", which a merge queue made of {merge_queue.named(group)}" if group else ""


def _remote_run(verdict: VerdictDocument, room: int) -> str:
    """The line of the remote run; if it failed, with the phase and the last lines of its console."""
    remote = verdict["remote_run"]
    if not remote:
        return ""
    task = f": {_link(remote['task'])}" if remote["task"] else ""
    phase = f" · phase **{remote['phase']}**" if remote["phase"] else ""
    if room < _ROOM_OF_A_LINE:
        return ""
    reason = "" if remote["reason"] in verdict["exit_reason"] else f" · {escape(remote['reason'])}."
    line = f"{remote['outcome'].sign} Remote run{task}{phase}{reason}"
    return "\n\n".join(
        part for part in [line, comment_sections.console(remote["log_tail"], room - len(line) - 2)] if part
    )


def summary(verdict: VerdictDocument) -> str:
    """The end of the headline: the outcome in words that fit the check."""
    remote, gates, promotion = verdict["remote_run"], verdict["gates"], verdict["promotion"]
    if promotion and verdict["outcome"] == Outcome.PASSED:
        return "the baseline moved" if promotion["moved"] else "the baseline stays"
    if verdict["outcome"] == Outcome.PASSED and not gates:
        return "it runs on an agent" if remote else "a clean run exists"
    if verdict["outcome"] == Outcome.PASSED and len(gates) > 1:
        return "every gate holds" if all(gate["outcome"] in HOLDS for gate in gates) else "every required gate holds"
    if verdict["outcome"] == Outcome.NO_EVIDENCE and remote and remote["outcome"] == Outcome.NO_EVIDENCE:
        return "not approved to run on an agent" if remote["phase"] == "approval" else "it does not run on an agent"
    return HEADLINES[verdict["outcome"]]


def sentence(verdict: VerdictDocument) -> str:
    """The reason as a sentence; a metric's name at its start keeps its spelling."""
    text = verdict["exit_reason"].strip().removesuffix(".")
    named = any(text.startswith(gate["metric"]) for gate in verdict["gates"])
    return f"{text[:1] if named else text[:1].upper()}{text[1:]}."


def _let_pass(verdict: VerdictDocument) -> str:
    return " The policy lets that pass." if is_let_pass(verdict) else ""


def _warnings(verdict: VerdictDocument) -> list[str]:
    shown = verdict["warnings"][:MOST_WARNINGS]
    more = len(verdict["warnings"]) - len(shown)
    left_out = [f"{more} more warnings are in the verdict."] if more else []
    return [alert(warning) for warning in [*shown, *left_out]]


def _near_misses(verdict: VerdictDocument) -> list[str]:
    """Lines with advice, and with the tasks of this commit that are no evidence."""
    if verdict["outcome"] != Outcome.NO_EVIDENCE or (verdict["remote_run"] and not verdict["rejected"]):
        return []  # the reason of a failed remote run names what to do
    near = [f"- {_link(task)}: {escape(task['reason'])}" for task in verdict["rejected"][:10]]
    return [ADVICE, *(["", "Tasks of this commit that are no evidence:", "", *near] if near else [])]


def _how_to_accept(verdict: VerdictDocument) -> list[str]:
    """The line to comment if the loss is to be accepted, and links to the comments that did it."""
    accepted = {grant["comment"]: escape(grant["by"]) for grant in verdict.get("accepted", [])}
    links = [f"Accepted by {', '.join(f'[{by}]({url})' for url, by in accepted.items())}."] if accepted else []
    if verdict["outcome"] != Outcome.REGRESSED or verdict["promotion"] or not verdict["gates"]:
        return links
    if verdict.get("merge_group"):
        return links
    line = accepted_losses.line(verdict["commit"])
    return [*links, f"To accept this loss until the next push, comment:\n```\n{line}\n```"]


def _links(verdict: VerdictDocument) -> str:
    links = []
    if verdict["candidate"]:
        links.append(f"Task of this commit: {_link(verdict['candidate'])}")
    if verdict["baseline"]:
        links.append(f"baseline: {_link(verdict['baseline'])}")
    if verdict["main_baseline"]:
        links.append(f"base branch: {_link(verdict['main_baseline'])}")
    links.append(f"[pipeline run]({verdict['pipeline']['url']})")
    return " · ".join(links)


def _link(task: TaskDocument) -> str:
    return f"[{escape(task['name'])}]({task['url']})"
