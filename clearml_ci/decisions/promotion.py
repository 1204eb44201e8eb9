"""Promotion: the decision that the tag of the baseline moves, and the ledger of earlier moves."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import cast

from clearml_ci.core.documents import GateRow, LedgerEntry, PromotionDocument, SlicesDocument
from clearml_ci.core.formatting import listed
from clearml_ci.core.gate import OWN, Gate
from clearml_ci.core.outcome import HOLDS, NOT_NEEDED, Outcome
from clearml_ci.core.step_results import PromoteResult, StepResults
from clearml_ci.decisions.tag_ranking import RankingPolicy
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.promotion_mode import BETTER, PROMOTE, ROLLBACK

# The states of a move, as the ledger records them: before its first change, before it reads the tags back, when the tag
# has moved, and when it was lost to a concurrent move.
STARTED, READS_BACK, MOVED, LOST = "moving", "settling", "moved", "lost"


UNFINISHED = (STARTED, READS_BACK)


STAYS = "the tag stays where it is"


@dataclass(frozen=True)
class Decision:
    """The decision about a tag, with the verdict; a tag that stays for a better model is no failure."""

    moves: bool
    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class Move:
    """One entry of the ledger. `to` and `previous` are ids of tasks; `run` is the pipeline run that made the move.

    `undoes` is the run whose move a rollback undoes; `at` is a time in UTC. `name` is that of the check.
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


def gates_of(mode: str, gates: Sequence[Gate]) -> tuple[Gate, ...]:
    """The gates that a merged model must hold: `better` allows no tolerance, so that small losses cannot add up.

    Slices keep theirs, because some of many are lower by chance: `why_lower` looks at their mean.
    """
    return tuple(replace(gate, tolerance=0.0) if mode == BETTER and not gate.is_pattern else gate for gate in gates)


def is_by_noise(gates: Iterable[GateRow]) -> bool:
    """True if the noise of a required gate is known: then the tag moves by the estimate, and not to the luckiest."""
    return any(gate["required"] and gate.get("noise") for gate in gates)


def why_lower(mode: str, gates: Iterable[GateRow], slices: Iterable[SlicesDocument] = ()) -> str:
    """The reason why a model that holds its gates does not become the baseline with `better`, or "".

    It is lower than the reference, as estimated, and this is no credible loss. Of the slices of a pattern the mean
    counts.
    """
    if mode != BETTER:
        return ""
    own = (gate for gate in gates if gate["required"] and not gate.get("slice_of"))
    noises = [(gate, noise) for gate in own if (noise := gate.get("noise"))]
    lower = [f"{gate['metric']}: {noise['words']}" for gate, noise in noises if not noise["better"]]
    lower += [
        f"the slices of {of['pattern']} are lower on average, by {-(of['mean_gain'] or 0.0):.3g}"
        for of in slices
        if of["required"] and (of["mean_gain"] or 0.0) < 0
    ]
    return listed(lower).removesuffix(".")


def decide(mode: str, *, outcome: Outcome | None, reason: str, lower: str = "") -> Decision:
    """The decision after a comparison with the present baseline; `outcome` is None if no gate is required.

    `lower` is the reason of `why_lower`.
    """
    if lower and outcome in HOLDS:
        return Decision(False, Outcome.PASSED, f"{STAYS}: {lower}")
    match outcome:
        case None:
            return _without_gates(mode)
        case Outcome.NO_BASELINE:
            return Decision(True, Outcome.PASSED, "it is the first baseline")
        case Outcome.PASSED | Outcome.IMPROVED | Outcome.ACCEPTED:
            return Decision(True, Outcome.PASSED, reason)
        case Outcome.REGRESSED:
            return Decision(False, Outcome.PASSED, f"{STAYS}: {reason}")
        case Outcome.NO_EVIDENCE | Outcome.INCONCLUSIVE | Outcome.ERROR:
            return Decision(False, outcome, f"{STAYS}: {reason}")


def check_passes(planned: Collection[str], results: StepResults) -> bool:
    """True if the steps that a check planned let it pass, so that it may move the tag itself.

    An accepted loss moves it after the merge: until then another model has to be matched.
    """
    compared, launched = results["compare"].get("outcome"), results["remote_run"].get("outcome")
    doubted = bool(results["find_task"].get("doubt"))
    return (
        not doubted
        and ("compare" not in planned or (compared in HOLDS and compared != Outcome.ACCEPTED))
        and ("remote_run" not in planned or launched in (Outcome.PASSED, NOT_NEEDED))
    )


def subject(check: Check, promoted: PromoteResult) -> Check:
    """The check that a report is about; of a rollback the one whose promotion it undid."""
    undone = promoted.get("promotion")
    if check.action != ROLLBACK or not undone:
        return check
    pull = replace(check.pull_request, number=undone["pull_request"])
    return replace(check, pull_request=pull, commit=undone["commit"], merge_commit=undone["merge_commit"])


def _without_gates(mode: str) -> Decision:
    if mode == BETTER:
        return Decision(False, Outcome.PASSED, f"{STAYS}: no required gate defines which model is better")
    return Decision(True, Outcome.PASSED, "no required gate has to hold")


def ranking_policy(mode: str, gates: Sequence[Gate]) -> RankingPolicy:
    """The order of tagged tasks for a promotion in this mode: only `better` goes by its required gates.

    With slices or a checkpoint, a task has no single value to be ranked by: the last one counts.
    """
    required = tuple(gate for gate in gates if gate.required)
    has_one_value = all(gate.at in OWN and not gate.is_pattern for gate in required)
    return RankingPolicy(mode, required if mode == BETTER and has_one_value else ())


def concurrent_moves(moves: Iterable[Move], own: Move) -> list[Move]:
    """The moves that read the tags back now, and may remove the tag from the task that `own` has stamped."""
    reading = (move for move in moves if (move.tag, move.state) == (own.tag, READS_BACK))
    return [move for move in reading if move.run != own.run and move.to != own.to]


def moves_of_tag(moves: Iterable[Move], *, tag: str, project_id: str, task_name: str) -> list[Move]:
    """The moves of one tag in one project; an empty `project_id` means any."""
    return [
        move for move in moves if (move.tag, move.task_name) == (tag, task_name) and project_id in ("", move.project_id)
    ]


def moves_of_check(moves: Iterable[Move], name: str) -> list[Move]:
    """The moves by checks of this name; all moves if it is empty."""
    return [move for move in moves if name in ("", move.name)]


def last_undoable_promotion(moves: Sequence[Move], *, carrying: Collection[str] = ()) -> Move | None:
    """The newest promotion (of one tag's `moves`, newest first) that is complete and not undone, or None.

    An interrupted promotion counts if its task is among those that are `carrying` the tag.
    """
    undone = _undone(moves)
    complete = (move for move in moves if move.state == MOVED or (move.state in UNFINISHED and move.to in carrying))
    return next((move for move in complete if move.action == PROMOTE and move.run not in undone), None)


def _undone(moves: Iterable[Move]) -> set[str]:
    """The runs whose moves a rollback undid."""
    return {move.undoes for move in moves if move.state == MOVED and move.undoes}


def already_promoted(moves: Sequence[Move], task: str) -> str | None:
    """The reason why a task that was the baseline before does not become it again by a repetition, or None."""
    undone = _undone(moves)
    for move in moves:
        if (move.action, move.to) == (PROMOTE, task) and (move.state == MOVED or move.run in undone):
            what = "was rolled back" if move.run in undone else "was replaced by a later one"
            return f"its promotion of {move.at} {what}: to make it the baseline again, give it the tag by hand"
    return None


def as_document(check: Check, *, to: str | None, previous: Iterable[str] = ()) -> PromotionDocument:
    """The promotion or rollback as a verdict carries it; `to` is the task that got the tag, None if it did not move."""
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


def as_entry(move: Move) -> LedgerEntry:
    """The move as the ledger's JSON."""
    return cast(LedgerEntry, asdict(move))


def from_entry(entry: object) -> Move | None:
    """The move of a ledger's JSON; None if it is none, or one of another version that lacks a field."""
    names = {field.name for field in fields(Move)}
    if not isinstance(entry, dict) or not names - {"undoes", "name"} <= entry.keys():
        return None
    known = {name: value for name, value in entry.items() if name in names}
    return Move(**{**known, "previous": tuple(known["previous"])})
