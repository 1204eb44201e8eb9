"""Accepted losses: a comment of a user who may do so makes a loss of one commit green, until the next push.

It is bound to the commit, to the gate, and to the value that its writer had seen: a worse value is red again.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from clearml_ci.core import gate as gates
from clearml_ci.core import redaction
from clearml_ci.core.documents import AcceptedDocument, AcceptedEntry, GateRow, SlicesDocument, VerdictDocument
from clearml_ci.core.errors import nearest
from clearml_ci.core.formatting import apart, count, printable, shorten
from clearml_ci.core.gate import Gate, Judgement
from clearml_ci.core.outcome import HOLDS, Outcome
from clearml_ci.decisions.fork_approval import OURS
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import Acceptance

COMMAND = "/accept-regression"


# As that of fork_approval: the whole first line, so that it is in no quote, no code block and no HTML comment.
# Two parts that match the same blanks would take days for a long line, and anybody can comment.
_FORM = re.compile(rf"\s*?^ {{0,3}}{COMMAND}[ \t]+([0-9a-fA-F]{{40}})((?:[ \t][^\r\n]*)?)\r?$", re.MULTILINE)


_ROLES = ("none", "read", "triage", "write", "maintain", "admin")


_PLACE = "<reason>"  # in the line that a comment of ours shows


_LONGEST_REASON = 200


_SEEN = (Outcome.REGRESSED, Outcome.ACCEPTED)  # a verdict with one of them has shown the loss


@dataclass(frozen=True)
class Claim:
    """A comment with the command: its writer, the rest of its first line, its address, and when it was written.

    `edited`: its text has changed since.
    """

    login: str
    rest: str
    comment: str
    at: str
    edited: bool


def commit_and_rest(text: str) -> tuple[str, str] | None:
    """The commit whose loss a comment accepts, and the rest of the line; None if it does not begin with the command."""
    found = _FORM.match(text)
    return (found[1].lower(), found[2].strip(" \t")) if found and OURS not in text else None


def line(commit: str, gate: str = "") -> str:
    """The line to comment."""
    return " ".join(filter(None, (COMMAND, commit, gate, _PLACE)))


def acceptance(check: Check, claim: Claim, *, role: str) -> Acceptance:
    """The acceptance that a comment is, with the reason why it does not count; `role` is that of its writer."""
    gate, reason = _gate_and_reason(claim.rest, [gate.name for gate in check.gates])
    found = Acceptance(claim.login, gate, _shown(reason), claim.comment, claim.at)
    return replace(found, refusal=_refusal(check, claim, found, role))


def _gate_and_reason(rest: str, names: Sequence[str]) -> tuple[str, str]:
    """The gate that the line names, "" for all, and its reason; the longest name counts, and it may hold blanks."""
    named = [name for name in names if rest == name or rest.startswith((f"{name} ", f"{name}\t"))]
    gate = max(named, key=len, default="")
    return gate, rest.removeprefix(gate).strip()


def _refusal(check: Check, claim: Claim, found: Acceptance, role: str) -> str:
    is_author = claim.login.lower() == check.pull_request.author.lower()
    if claim.edited:
        return "the comment was edited: write a new one"
    if check.group:  # of whose pull requests no author is known
        return "the commit is a merge queue's: accept the loss of the pull request's head"
    if is_author and (check.pull_request.is_fork or not check.accept_author):
        return "the author of the pull request may not accept its losses"
    if not is_enough(role, check.accept_role):
        return f"the role '{role}' is not enough, it takes '{check.accept_role}'"
    if found.reason in ("", _PLACE):
        return "the comment gives no reason"
    if not found.gate and (word := _unknown_gate(check, found.reason)):
        return f"no gate is called '{word}'{nearest(word, [gate.name for gate in check.gates], what='gates')}"
    return ""


def is_enough(role: str, least: str) -> bool:
    """True if the role is at least that one; an unknown one is never enough."""
    return role in _ROLES and least in _ROLES and _ROLES.index(role) >= _ROLES.index(least)


def _unknown_gate(check: Check, reason: str) -> str:
    """The first word if it looks like a gate: a misspelt one must not accept all gates."""
    word = _first_gate(reason)
    is_slice = any(gate.is_pattern and fnmatchcase(word, gate.name) for gate in check.gates)
    return "" if is_slice else word


def _first_gate(reason: str) -> str:
    """The first word if it looks like a gate, or ""."""
    word = reason.partition(" ")[0]
    return word if re.fullmatch(r"[^\s/:]+(/[^\s/:]+)+", word) else ""


def _shown(reason: str) -> str:
    return shorten(printable(" ".join(redaction.mask(reason).split()), keep=""), _LONGEST_REASON)


def grants(found: Acceptance, seen: Iterable[GateRow]) -> list[AcceptedDocument]:
    """The losses that a comment accepts, of those that its writer had `seen` in the verdict.

    It may name a pattern, which stands for its slices, or one of them, which only the verdict knows.
    """
    rows = list(seen)
    gate, reason = found.gate, found.reason
    if not gate:
        gate, reason = _gate_and_reason(found.reason, [row["metric"] for row in rows])
    if not gate and _first_gate(reason):
        return []  # a slice that did not fail, or that the verdict did not show
    return [
        {
            "metric": row["metric"],
            "goal": row["goal"],
            "which": row["which"],
            "value": value,
            "by": found.by,
            "reason": reason,
            "comment": found.comment,
            "at": found.at,
        }
        for row in rows
        if row["outcome"] in _SEEN
        and gate in ("", row["metric"], row["slice_of"])
        and reason
        and (value := judged_value(row)) is not None
    ]


def judged_value(row: GateRow) -> float | None:
    """The value that was judged: the mean of the runs if the noise is known."""
    noise = row.get("noise")
    return noise["value"] if noise else row["value"]


def apply(
    rows: Sequence[GateRow], granted: Sequence[AcceptedDocument]
) -> tuple[list[GateRow], list[AcceptedDocument], list[str]]:
    """The rows of the gates with their accepted losses, what was accepted, and warnings about what is worse by now."""
    judged, accepted, warnings = [], [], []
    for row in rows:
        own = [grant for grant in granted if _key(row) == _key(grant)] if _may_be_accepted(row) else []
        value = judged_value(row)
        holding = next((grant for grant in own if value is not None and not _is_worse(grant, value)), None)
        if holding:
            judged.append(_accepted(row, holding))
            accepted.append(holding)
            continue
        judged.append(row)
        warnings += [_now_worse(row, own[-1], value)] if own and value is not None else []
    return judged, accepted, warnings


def hidden(rows: Sequence[GateRow], slices: Iterable[SlicesDocument]) -> str:
    """Reason why nothing can be accepted, or "": the verdict shows some of the slices that fail, and not all."""
    failing: Counter[str] = Counter()
    for pattern in slices:
        failing[pattern["pattern"]] += (pattern["total"] - pattern["held"]) if pattern["required"] else 0
    failing.subtract(row["slice_of"] for row in rows if row["outcome"] not in HOLDS and row["required"])
    name, number = next(((name, number) for name, number in failing.items() if number > 0), ("", 0))
    return (
        f"{count(number, 'slice')} of {name} that fail are not shown: such a loss cannot be accepted." if name else ""
    )


def decide(rows: Iterable[GateRow]) -> tuple[Outcome, str]:
    """The outcome of these gates, and its reason."""
    return gates.decide([(_gate(row), Judgement(row["outcome"], row["reason"])) for row in rows])


def _gate(row: GateRow) -> Gate:
    """The gate of a row, as far as `decide` looks at it."""
    return Gate(row["title"], row["series"], required=row["required"])


def summary(accepted: Sequence[AcceptedDocument]) -> str:
    """`the loss of accuracy/validation was accepted by ada: worth it`."""
    named = ", ".join(dict.fromkeys(grant["metric"] for grant in accepted))
    first = accepted[0]
    return f"the loss of {named} was accepted by {first['by']}: {first['reason']}"


def entry(verdict: VerdictDocument) -> AcceptedEntry:
    """The entry of the ledger for the run of this verdict."""
    return {
        "run": verdict["pipeline"]["id"],
        "url": verdict["pipeline"]["url"],
        "pull_request": verdict["pull_request"],
        "commit": verdict["commit"],
        "accepted": verdict["accepted"],
    }


def _may_be_accepted(row: GateRow) -> bool:
    return row["required"] and row["outcome"] == Outcome.REGRESSED


def _key(of: GateRow | AcceptedDocument) -> tuple[str, str, str]:
    return of["metric"], of["goal"], of["which"]


def _is_worse(grant: AcceptedDocument, value: float) -> bool:
    worse = value < grant["value"] if grant["goal"] == "maximize" else value > grant["value"]
    return worse and not math.isclose(value, grant["value"], rel_tol=1e-9)


def _accepted(row: GateRow, grant: AcceptedDocument) -> GateRow:
    reason = f"{row['reason']}; accepted by {grant['by']}: {grant['reason']}"
    return {**row, "outcome": Outcome.ACCEPTED, "reason": reason}


def _now_worse(row: GateRow, grant: AcceptedDocument, value: float) -> str:
    now, before = apart(value, grant["value"])
    return f"{row['metric']} is {now}, worse than the {before} that {grant['by']} accepted."
