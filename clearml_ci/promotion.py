"""When does the best tag move, and who wins where two move at once? Pure: numbers in, decisions out.

Whatever is interrupted and repeated, one rule holds it together: each task that is to be the best is stamped before it
is tagged, and of the tagged tasks the one that ranks highest is never the one to lose the tag.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from clearml_ci.gate import Gate, Reported, doubtful_zero, value_of

PIPELINE = "promote"
BETTER, PASSING, ON_PASS = MODES = ("better", "passing", "on-pass")
ACTIONS = ("promote", "rollback")
# A move is recorded before its first change, and once more when it is done, or lost to one at the same time.
MOVING, MOVED, LOST = "moving", "moved", "lost"
_HOLDS = ("passed", "improved", "no_baseline")
Rank = tuple[tuple[float, ...], float, str]


@dataclass(frozen=True)
class Decision:
    """Does the tag move, and what is the verdict? A tag that is kept for a better model is no failure."""

    moves: bool
    outcome: str
    reason: str


@dataclass(frozen=True)
class Move:
    """One entry of the ledger. `to` and `previous` are ids of tasks; `run` is the pipeline run that made the move.

    `undoes` is the run whose move a rollback takes back; `at` is a moment in UTC. `name` is that of the check.
    """

    run: str
    action: str
    state: str
    at: str
    tag: str
    project_id: str
    task_name: str
    to: str
    previous: tuple[str, ...]
    pull_request: int
    commit: str
    merge_commit: str
    reason: str
    undoes: str = ""
    name: str = ""


def plan(arguments: Mapping[str, str]) -> dict[str, list[str]]:  # noqa: ARG001  every run has the same two steps
    """The steps of the pipeline `promote`, each with those that it waits for."""
    return {"promote": [], "report": ["promote"]}


def gates(mode: str, of_check: Sequence[Gate]) -> tuple[Gate, ...]:
    """What a merged model must hold: `better` allows no tolerance, so that the best does not get worse step by step."""
    return tuple(replace(gate, tolerance=0.0) if mode == BETTER else gate for gate in of_check)


def decide(mode: str, *, outcome: str | None, reason: str) -> Decision:
    """`outcome` and `reason` are those of the comparison with the best of now, None where there is no gate."""
    if outcome is None:
        return _without_gates(mode)
    if outcome == "no_baseline":
        return Decision(True, "passed", "it is the first best")
    if outcome in _HOLDS:
        return Decision(True, "passed", reason)
    if outcome == "regressed":
        return Decision(False, "passed", f"the tag stays where it is: {reason}")
    return Decision(False, outcome, f"the tag stays where it is: {reason}")


def _without_gates(mode: str) -> Decision:
    if mode == BETTER:
        return Decision(False, "passed", "the tag stays where it is: no gate says which model is better")
    return Decision(True, "passed", "no gate has to hold")


def rank(mode: str, of: Sequence[Gate], reported: Reported, *, stamp: float, task: str) -> Rank:
    """What orders tagged tasks, the same for everyone who looks: by the gates' values, then by their stamps.

    The values count only where the tag goes to the better one; else the one that was stamped last is the best.
    """
    values = tuple(_value(gate, reported) for gate in of if gate.required) if mode == BETTER else ()
    return values, stamp, task


def _value(gate: Gate, reported: Reported) -> float:
    summary = reported.get(gate)
    if summary is None or doubtful_zero(gate, summary) or not math.isfinite(value_of(gate, summary)):
        return -math.inf
    value = value_of(gate, summary)
    return value if gate.goal == "maximize" else -value


def next_stamp(present: Iterable[float], *, now: float) -> float:
    """Later than every stamp there is, whatever the clocks of two machines say."""
    return max([now, *(stamp + 1e-3 for stamp in present)])


def of_tag(moves: Iterable[Move], *, tag: str, project_id: str, task_name: str) -> list[Move]:
    """Those of one tag in one project; an empty `project_id` means any."""
    return [one for one in moves if (one.tag, one.task_name) == (tag, task_name) and project_id in ("", one.project_id)]


def last(moves: Sequence[Move], *, name: str = "") -> Move | None:
    """The newest promotion (of one tag's `moves`, newest first) that was done and not undone, or None.

    With a `name`, of those by the checks of this name.
    """
    done = [one for one in moves if one.state == MOVED and name in ("", one.name)]
    undone = {one.undoes for one in done if one.undoes}
    return next((one for one in done if one.action == "promote" and one.run not in undone), None)


def had_its_turn(moves: Sequence[Move], task: str) -> str | None:
    """Why a task that was the best once, and is it no more, does not become it again by a repetition; or None."""
    undone = {one.undoes for one in moves if one.state == MOVED and one.undoes}
    for one in moves:
        if (one.action, one.state, one.to) == ("promote", MOVED, task):
            what = "was rolled back" if one.run in undone else "was replaced by a later one"
            return f"its promotion of {one.at} {what}: to make it the best again, give it the tag by hand"
    return None


def to_document(move: Move) -> dict[str, Any]:
    """The entry as JSON data."""
    return asdict(move)


def from_document(document: object) -> Move | None:
    """The entry of such data; None where it is none, or one of a newer version that lacks what this one knows."""
    names = {field.name for field in fields(Move)}
    if not isinstance(document, dict) or not names - {"undoes", "name"} <= document.keys():
        return None
    known = {name: value for name, value in document.items() if name in names}
    return Move(**{**known, "previous": tuple(known["previous"])})
