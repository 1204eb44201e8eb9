"""After a merge the tag of the best moves, where the policy says so; and a rollback moves it back.

What is judged is judged against the best of now; how the tag then changes hands is in `handover`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from clearml_ci.clearml_api import project_lookup, promotion_ledger, task_records
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import baseline, recorded_task
from clearml_ci.core.errors import UsageError
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.core.step_results import CompareResult, PromoteResult
from clearml_ci.decisions import promotion
from clearml_ci.decisions.promotion import Move
from clearml_ci.decisions.tag_ranking import Rule
from clearml_ci.operations import compare, tag_transfer
from clearml_ci.parameters import promotion_mode
from clearml_ci.parameters.check import Check

_STAYS = "the tag stays where it is"


_LOOKED_FOR = "and the best is looked for"


_UNJUDGED: CompareResult = {"outcome": None, "reason": "", "baseline": None, "gates": [], "warnings": []}


@dataclass(frozen=True)
class _Asked:
    """What all parts of one move share. `wanted` has the gates that a promotion asks for."""

    clearml: ClearML
    run: Run
    wanted: Check


@dataclass(frozen=True)
class Undoing:
    """What a rollback takes back, the task that had the tag before, and the ids of those that carry it now."""

    undone: Move
    target: RecordedTask
    carrying: tuple[str, ...]


def refuse_out_of_reach(wanted: Check, candidate: RecordedTask) -> None:
    """A task that is not where the best is looked for never becomes it. Raises UsageError."""
    project, name = wanted.project, wanted.task_name
    found = f"the task {candidate.id} is"
    if project and candidate.project != project:
        raise UsageError(f"{_STAYS}: {found} in the project '{candidate.project}', {_LOOKED_FOR} in '{project}'")
    if name and candidate.name != name:
        raise UsageError(f"{_STAYS}: {found} named '{candidate.name}', {_LOOKED_FOR} among those named '{name}'")


def promote(
    clearml: ClearML, run: Run, wanted: Check, candidate: RecordedTask, *, judged: CompareResult | None = None
) -> PromoteResult:
    """The tag goes to the candidate where the policy says so: what the comparison found, and `{"promotion"}`.

    `judged`: the comparison's result, where it was made just now. Raises ClearMLError; repeated, it goes on.
    """
    wanted = replace(wanted, gates=promotion.gates(wanted.promote, wanted.gates))
    asked = _Asked(clearml, run, wanted)
    moves = _moves(clearml, run.project, wanted, candidate.project_id)
    tagged = [task.id for task, _ in compare.tagged_tasks(clearml, wanted, candidate.project_id)]
    if tagged == [candidate.id]:
        _finish(asked, moves, candidate)
        return _result(asked, candidate, _UNJUDGED, Outcome.PASSED, "it carries the tag already")
    if candidate.id not in tagged and (refused := promotion.had_its_turn(moves, candidate.id)):
        return _result(asked, candidate, _UNJUDGED, Outcome.PASSED, f"{_STAYS}: {refused}")
    judged = judged or _judge(asked, candidate)
    outcome = judged["outcome"] if any(gate.required for gate in wanted.gates) else None
    decision = promotion.decide(wanted.promote, outcome=outcome, reason=judged["reason"])
    if decision.moves:
        return _move(asked, candidate, judged, tagged, decision.reason)
    if candidate.id in tagged:
        given_up = _entry(asked, to=candidate, previous=(), reason=decision.reason)
        tag_transfer.give_up(clearml, given_up, _rule(asked))
    return _result(asked, candidate, judged, decision.outcome, decision.reason)


def _moves(clearml: ClearML, pipelines: str, wanted: Check, project_id: str) -> list[Move]:
    found = promotion_ledger.moves(clearml, pipelines)
    return promotion.of_tag(found, tag=wanted.best_tag, project_id=project_id, task_name=wanted.task_name)


def _judge(asked: _Asked, candidate: RecordedTask) -> CompareResult:
    if not asked.wanted.gates:
        return _UNJUDGED
    document = recorded_task.as_document(candidate)
    return compare.with_best(asked.clearml, asked.run, asked.wanted, document, beside=True)


def _move(
    asked: _Asked, candidate: RecordedTask, judged: CompareResult, tagged: Sequence[str], reason: str
) -> PromoteResult:
    best = judged["baseline"]
    first = best["id"] if best else ""
    others = sorted((task for task in tagged if task != candidate.id), key=lambda task: task != first)
    move = _entry(asked, to=candidate, previous=others, reason=reason)
    highest, previous = tag_transfer.give(asked.clearml, asked.run.project, move, _rule(asked), tagged=tagged)
    if highest == candidate.id:
        moved = f"the tag '{move.tag}' moved to this commit's task ({candidate.name}, {candidate.id[:8]}): {reason}"
        return _result(asked, candidate, judged, Outcome.PASSED, moved, previous=previous)
    how = "has it, and is as good" if highest in tagged else "became the best at the same time"
    return _result(asked, candidate, judged, Outcome.PASSED, f"{_STAYS}: the task {highest} {how}")


def _rule(asked: _Asked) -> Rule:
    mode = promotion_mode.ROLLBACK if asked.wanted.action == promotion_mode.ROLLBACK else asked.wanted.promote
    return promotion.rule(mode, asked.wanted.gates)


def _entry(asked: _Asked, *, to: RecordedTask, previous: Sequence[str], reason: str, undoes: str = "") -> Move:
    wanted = asked.wanted
    return Move(
        run=asked.run.id,
        action=promotion_mode.ROLLBACK if undoes else promotion_mode.PROMOTE,
        state=promotion.MOVING,
        at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        tag=wanted.best_tag,
        project_id=to.project_id,
        task_name=wanted.task_name,
        to=to.id,
        previous=tuple(previous),
        pull_request=wanted.pull_request.number,
        commit=wanted.commit,
        merge_commit=wanted.merge_commit,
        reason=reason,
        undoes=undoes,
        name=wanted.name,
    )


def _finish(asked: _Asked, moves: Sequence[Move], candidate: RecordedTask) -> None:
    """The record of a move that was interrupted after its last change of a tag."""
    begun = next((one for one in moves if (one.to, one.action) == (candidate.id, promotion_mode.PROMOTE)), None)
    if begun and begun.state in promotion.UNFINISHED:
        tag_transfer.done(asked.clearml, begun)


def last(clearml: ClearML, moves: Sequence[Move]) -> Move | None:
    """The newest promotion of these moves, newest first, that can be undone: one that was interrupted counts as well,
    where its task carries the tag. None where there is none.
    """
    begun = [one for one in moves if one.state in promotion.UNFINISHED]
    return promotion.last(moves, carrying=promotion_ledger.still_tagged(clearml, begun))


def to_undo(clearml: ClearML, pipelines: str, wanted: Check) -> Undoing:
    """What a rollback takes back: `pipelines` is the ClearML project of one of the repository's. Raises UsageError.

    Refused where there was no best before, where it is gone, and where somebody moved the tag by hand since.
    """
    project = project_lookup.existing_id(clearml, wanted.project) if wanted.project else ""
    undone = last(clearml, _moves(clearml, pipelines, wanted, project))
    if undone is None:
        raise UsageError(f"no promotion of the tag '{wanted.best_tag}' is recorded: there is nothing to roll back")
    target = _previous(clearml, undone)
    carrying = [task.id for task, _ in compare.tagged_tasks(clearml, wanted, undone.project_id)]
    if carrying and not {undone.to, target.id} & {*carrying}:
        raise UsageError(
            f"the tag '{wanted.best_tag}' is on the task {carrying[0]}, and the last promotion gave it to {undone.to}: "
            "somebody moved it by hand, and nothing was changed"
        )
    return Undoing(undone, target, tuple(carrying))


def rollback(clearml: ClearML, run: Run, wanted: Check) -> PromoteResult:
    """The last promotion is undone: the tag goes back to the task that had it before. Raises as to_undo, ClearMLError.

    What is noted and told is about the pull request of that promotion, whichever run this one was started from.
    """
    found = to_undo(clearml, run.project, wanted)
    undone, target = found.undone, found.target
    pull = replace(wanted.pull_request, number=undone.pull_request)
    wanted = replace(wanted, pull_request=pull, commit=undone.commit, merge_commit=undone.merge_commit)
    asked = _Asked(clearml, run, wanted)
    reason = f"the promotion of pull request #{undone.pull_request} was undone"
    move = _entry(asked, to=target, previous=[undone.to], reason=reason, undoes=undone.run)
    highest, previous = tag_transfer.give(clearml, run.project, move, _rule(asked), tagged=found.carrying)
    if highest == target.id:
        said = f"the tag '{move.tag}' is back on {target.name} ({target.id[:8]}): {reason}"
        return _result(asked, target, _UNJUDGED, Outcome.PASSED, said, previous=previous)
    lost = (
        f"nothing was rolled back: the task {highest} became the best at the same time; look at it, and run this again"
    )
    return _result(asked, target, _UNJUDGED, Outcome.ERROR, lost)


def _previous(clearml: ClearML, undone: Move) -> RecordedTask:
    reasons = []
    for task in undone.previous:
        try:
            found = task_records.read(clearml, task)
        except ClearMLError:
            reasons.append(f"{task} is gone")
            continue
        if baseline.usable(found):
            return found
        reasons.append(f"{found.name} ({task}) {recorded_task.unfinished(found)}")
    why = "; ".join(reasons) or "there was none before"
    raise UsageError(f"{_STAYS}: no earlier best can take it back ({why})")


def _result(
    asked: _Asked,
    task: RecordedTask,
    judged: CompareResult,
    outcome: Outcome,
    reason: str,
    *,
    previous: Sequence[str] | None = None,
) -> PromoteResult:
    """`previous`: the ids of those that had the tag before, None where it did not move."""
    return {
        **judged,
        "outcome": outcome,
        "reason": reason,
        "candidate": recorded_task.as_document(task),
        "promotion": promotion.as_document(
            asked.wanted, to=None if previous is None else task.id, previous=previous or ()
        ),
    }
