"""When does the best tag move, and what was moved before? Pure: an outcome or a ledger in, decisions out."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import cast

from clearml_ci.core.documents import LedgerEntry, PromotionDocument
from clearml_ci.core.gate import Gate
from clearml_ci.core.outcome import HOLDS, Outcome
from clearml_ci.decisions.tag_ranking import Rule
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.promotion_mode import BETTER, PROMOTE, ROLLBACK

# A move is recorded before its first change, before it reads back, and when it is done or lost to one at the same time.
MOVING, SETTLING, MOVED, LOST = "moving", "settling", "moved", "lost"


UNFINISHED = (MOVING, SETTLING)


@dataclass(frozen=True)
class Decision:
    """Does the tag move, and what is the verdict? A tag that is kept for a better model is no failure."""

    moves: bool
    outcome: Outcome
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


def gates(mode: str, of_check: Sequence[Gate]) -> tuple[Gate, ...]:
    """What a merged model must hold: `better` allows no tolerance, so that the best does not get worse step by step."""
    return tuple(replace(gate, tolerance=0.0) if mode == BETTER else gate for gate in of_check)


def decide(mode: str, *, outcome: Outcome | None, reason: str) -> Decision:
    """`outcome` and `reason` are those of the comparison with the best of now, None where no gate is required."""
    if outcome is None:
        return _without_gates(mode)
    if outcome == Outcome.NO_BASELINE:
        return Decision(True, Outcome.PASSED, "it is the first best")
    if outcome in HOLDS:
        return Decision(True, Outcome.PASSED, reason)
    if outcome == Outcome.REGRESSED:
        return Decision(False, Outcome.PASSED, f"the tag stays where it is: {reason}")
    return Decision(False, outcome, f"the tag stays where it is: {reason}")


def _without_gates(mode: str) -> Decision:
    if mode == BETTER:
        return Decision(False, Outcome.PASSED, "the tag stays where it is: no required gate says which model is better")
    return Decision(True, Outcome.PASSED, "no required gate has to hold")


def rule(mode: str, of: Sequence[Gate]) -> Rule:
    """How a promotion in this mode ranks tagged tasks: only `better` goes by the values of its required gates."""
    return Rule(mode, tuple(gate for gate in of if gate.required) if mode == BETTER else ())


def in_the_way(moves: Iterable[Move], of: Move) -> list[Move]:
    """Those that are settling and may take the tag from the task that this move stamped anew."""
    others = (one for one in moves if (one.tag, one.state) == (of.tag, SETTLING))
    return [one for one in others if one.run != of.run and one.to != of.to]


def of_tag(moves: Iterable[Move], *, tag: str, project_id: str, task_name: str) -> list[Move]:
    """Those of one tag in one project; an empty `project_id` means any."""
    return [one for one in moves if (one.tag, one.task_name) == (tag, task_name) and project_id in ("", one.project_id)]


def of_name(moves: Iterable[Move], name: str) -> list[Move]:
    """Those by the checks of one name; of all where it is empty."""
    return [one for one in moves if name in ("", one.name)]


def last(moves: Sequence[Move], *, carrying: Collection[str] = ()) -> Move | None:
    """The newest promotion (of one tag's `moves`, newest first) that was done and not undone, or None.

    One that was interrupted counts where its task is among those that are `carrying` the tag.
    """
    undone = _undone(moves)
    done = (one for one in moves if one.state == MOVED or (one.state in UNFINISHED and one.to in carrying))
    return next((one for one in done if one.action == PROMOTE and one.run not in undone), None)


def _undone(moves: Iterable[Move]) -> set[str]:
    """The runs whose moves were taken back."""
    return {one.undoes for one in moves if one.state == MOVED and one.undoes}


def had_its_turn(moves: Sequence[Move], task: str) -> str | None:
    """Why a task that was the best once, and is it no more, does not become it again by a repetition; or None."""
    undone = _undone(moves)
    for one in moves:
        if (one.action, one.to) == (PROMOTE, task) and (one.state == MOVED or one.run in undone):
            what = "was rolled back" if one.run in undone else "was replaced by a later one"
            return f"its promotion of {one.at} {what}: to make it the best again, give it the tag by hand"
    return None


def as_document(check: Check, *, to: str | None, previous: Iterable[str] = ()) -> PromotionDocument:
    """What a verdict says of a promotion or a rollback: the task that got the tag, None where it did not move."""
    return {
        "action": ROLLBACK if check.action == ROLLBACK else PROMOTE,
        "mode": check.promote,
        "moved": to is not None,
        "tag": check.best_tag,
        "to": to,
        "from": list(previous),
        "pull_request": check.pull_request.number,
        "commit": check.commit,
        "merge_commit": check.merge_commit,
    }


def to_document(move: Move) -> LedgerEntry:
    """The entry as JSON data."""
    return cast(LedgerEntry, asdict(move))


def from_document(document: object) -> Move | None:
    """The entry of such data; None where it is none, or one of a newer version that lacks what this one knows."""
    names = {field.name for field in fields(Move)}
    if not isinstance(document, dict) or not names - {"undoes", "name"} <= document.keys():
        return None
    known = {name: value for name, value in document.items() if name in names}
    return Move(**{**known, "previous": tuple(known["previous"])})
