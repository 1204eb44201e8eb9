"""The tag of the best moves: judged against the best of now, tagged, read back, and only then taken from the old one.

Every step of it may be interrupted, repeated, or done by two at once: `promotion` says why it ends right. There is
never no best: the tag is only taken from a task while one that ranks higher was seen to carry it.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from clearml_ci import baseline, clearml_baseline, clearml_gateway, clearml_tasks, comparison, evidence, promotion
from clearml_ci.check import Check
from clearml_ci.clearml_gateway import ClearML, ClearMLError
from clearml_ci.clearml_runs import Run
from clearml_ci.errors import UsageError
from clearml_ci.evidence import RecordedTask
from clearml_ci.gate import Reported
from clearml_ci.promotion import Move

Tagged = list[tuple[RecordedTask, Reported]]
_UNJUDGED: dict[str, Any] = {"outcome": None, "reason": "", "baseline": None, "gates": [], "warnings": []}


@dataclass(frozen=True)
class _Asked:
    """What all parts of one move share. `wanted` has the gates that a promotion asks for."""

    clearml: ClearML
    run: Run
    wanted: Check


def promote(
    clearml: ClearML, run: Run, wanted: Check, candidate: RecordedTask, *, judged: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The tag goes to the candidate where the policy says so: what the comparison found, and `{"promotion"}`.

    `judged`: the comparison's result, where it was made just now. Raises ClearMLError; repeated, it goes on.
    """
    asked = _Asked(clearml, run, replace(wanted, gates=promotion.gates(wanted.promote, wanted.gates)))
    moves = _moves(asked, candidate.project_id)
    tagged = comparison.tagged_tasks(clearml, asked.wanted, candidate.project_id)
    carries = candidate.id in {task.id for task, _ in tagged}
    if carries and len(tagged) == 1:
        _finish(asked, moves, candidate)
        return _result(asked, candidate, _UNJUDGED, "passed", "it carries the tag already")
    if not carries and (refused := promotion.had_its_turn(moves, candidate.id)):
        return _result(asked, candidate, _UNJUDGED, "passed", f"the tag stays where it is: {refused}")
    judged = judged or _judge(asked, candidate)
    decision = promotion.decide(wanted.promote, outcome=judged["outcome"], reason=judged["reason"])
    if decision.moves:
        return _move(asked, candidate, judged, tagged, decision.reason)
    if carries and _highest(asked, tagged) != candidate.id:  # it was interrupted, and a better one came meanwhile
        clearml_baseline.remove_tag(clearml, [candidate.id], wanted.best_tag)
    return _result(asked, candidate, judged, decision.outcome, decision.reason)


def _moves(asked: _Asked, project_id: str) -> list[Move]:
    return promotion.of_tag(
        clearml_baseline.moves(asked.clearml, asked.run.project),
        tag=asked.wanted.best_tag,
        project_id=project_id,
        task_name=asked.wanted.task_name,
    )


def _judge(asked: _Asked, candidate: RecordedTask) -> dict[str, Any]:
    if not asked.wanted.gates:
        return _UNJUDGED
    document = evidence.as_document(candidate)
    return comparison.with_best(asked.clearml, asked.run, asked.wanted, document, beside=True)


def _move(
    asked: _Asked, candidate: RecordedTask, judged: Mapping[str, Any], tagged: Tagged, reason: str
) -> dict[str, Any]:
    first = (judged["baseline"] or {}).get("id", "")
    others = sorted((task.id for task, _ in tagged if task.id != candidate.id), key=lambda task: task != first)
    move = _entry(asked, to=candidate, previous=others, reason=reason)
    clearml_baseline.record(asked.clearml, move)
    _tag(asked, candidate, others)
    after = _read_back(asked, candidate, known=others)
    winner = _highest(asked, after)
    if winner != candidate.id:
        clearml_baseline.remove_tag(asked.clearml, [candidate.id], asked.wanted.best_tag)
        clearml_baseline.record(asked.clearml, replace(move, state=promotion.LOST))
        lost = f"the tag stays where it is: the task {winner} became the best at the same time"
        return _result(asked, candidate, judged, "passed", lost)
    old = [task.id for task, _ in after if task.id != candidate.id]
    clearml_baseline.remove_tag(asked.clearml, old, asked.wanted.best_tag)
    _done(asked, replace(move, previous=tuple(dict.fromkeys([*others, *old]))))
    return _result(asked, candidate, judged, "passed", _moved_to(asked, candidate, reason), previous=move.previous)


def _moved_to(asked: _Asked, task: RecordedTask, reason: str) -> str:
    return f"the tag '{asked.wanted.best_tag}' moved to this commit's task ({task.name}, {task.id[:8]}): {reason}"


def _entry(asked: _Asked, *, to: RecordedTask, previous: Sequence[str], reason: str, undoes: str = "") -> Move:
    wanted = asked.wanted
    return Move(
        run=asked.run.id,
        action="rollback" if undoes else "promote",
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


def _tag(asked: _Asked, task: RecordedTask, others: Sequence[str]) -> None:
    present = clearml_baseline.stamps(asked.clearml, others).values()
    clearml_baseline.stamp(asked.clearml, task.id, promotion.next_stamp(present, now=time.time()))
    clearml_baseline.add_tag(asked.clearml, task.id, asked.wanted.best_tag)


def _read_back(asked: _Asked, task: RecordedTask, *, known: Sequence[str]) -> Tagged:
    """All that carry the tag now; without this one only where another one came meanwhile and took it."""
    tagged = comparison.tagged_tasks(asked.clearml, asked.wanted, task.project_id)
    if not {one.id for one, _ in tagged} - ({*known} - {task.id}):
        raise ClearMLError(
            f"the tag '{asked.wanted.best_tag}' was set on the task {task.id} but cannot be read back: nothing was "
            "taken from any other task; run this again"
        )
    return tagged


def _highest(asked: _Asked, tagged: Tagged) -> str:
    """The id of the one that keeps the tag; those that cannot be compared with do not count."""
    usable = [(task, reported) for task, reported in tagged if baseline.usable(task)]
    stamps = clearml_baseline.stamps(asked.clearml, [task.id for task, _ in usable])
    mode, gates = asked.wanted.promote, asked.wanted.gates
    ranks = [promotion.rank(mode, gates, metrics, stamp=stamps[task.id], task=task.id) for task, metrics in usable]
    return max(ranks)[-1]


def _finish(asked: _Asked, moves: Sequence[Move], candidate: RecordedTask) -> None:
    """The record of a move that was interrupted after its last change of a tag."""
    for begun in moves:
        if (begun.to, begun.action) == (candidate.id, "promote"):
            if begun.state == promotion.MOVING:
                _done(asked, begun)
            return


def _done(asked: _Asked, move: Move) -> None:
    """The ledger, and a note on every task that the move touched."""
    clearml_baseline.record(asked.clearml, replace(move, state=promotion.MOVED))
    merged = f", merged as {move.merge_commit[:10]}" if move.merge_commit else ""
    why = f"{move.action} of pull request #{move.pull_request}{merged}, run {move.run}"
    clearml_baseline.note(asked.clearml, move.to, f"carries '{move.tag}' since {move.at}: {why}")
    for task in move.previous:
        clearml_baseline.note(asked.clearml, task, f"lost '{move.tag}' to {move.to} at {move.at}: {why}")


def rollback(clearml: ClearML, run: Run, wanted: Check) -> dict[str, Any]:
    """The last promotion is undone: the tag goes back to the task that had it before. Raises UsageError, ClearMLError.

    Refused where there was none before, where it is gone, and where somebody moved the tag by hand since.
    """
    asked = _Asked(clearml, run, wanted)
    project = clearml_gateway.existing_project_id(clearml, wanted.project) if wanted.project else ""
    undone = promotion.last(_moves(asked, project))
    if undone is None:
        raise UsageError(f"no promotion of the tag '{wanted.best_tag}' is recorded: there is nothing to roll back")
    asked = replace(asked, wanted=replace(wanted, commit=undone.commit, merge_commit=undone.merge_commit))
    target = _previous(asked, undone)
    carrying = [task.id for task, _ in comparison.tagged_tasks(clearml, wanted, undone.project_id)]
    if carrying and not {undone.to, target.id} & {*carrying}:
        raise UsageError(
            f"the tag '{wanted.best_tag}' is on the task {carrying[0]}, and the last promotion gave it to {undone.to}: "
            "somebody moved it by hand, and nothing was changed"
        )
    reason = f"the promotion of pull request #{undone.pull_request} was undone"
    move = _entry(asked, to=target, previous=[undone.to], reason=reason, undoes=undone.run)
    clearml_baseline.record(clearml, move)
    _tag(asked, target, carrying)
    after = [task.id for task, _ in _read_back(asked, target, known=carrying)]
    clearml_baseline.remove_tag(clearml, [one for one in after if one == undone.to], wanted.best_tag)
    _done(asked, move)
    said = f"the tag '{wanted.best_tag}' is back on {target.name} ({target.id[:8]}): {reason}"
    return _result(asked, target, _UNJUDGED, "passed", said, previous=move.previous)


def _previous(asked: _Asked, undone: Move) -> RecordedTask:
    reasons = []
    for task in undone.previous:
        try:
            found = clearml_tasks.recorded_task(asked.clearml, task)
        except ClearMLError:
            reasons.append(f"{task} is gone")
            continue
        if baseline.usable(found):
            return found
        reasons.append(f"{found.name} ({task}) {evidence.unfinished(found)}")
    why = "; ".join(reasons) or "there was none before"
    raise UsageError(f"the tag stays where it is: no earlier best can take it back ({why})")


def _result(
    asked: _Asked,
    task: RecordedTask,
    judged: Mapping[str, Any],
    outcome: str,
    reason: str,
    *,
    previous: Sequence[str] | None = None,
) -> dict[str, Any]:
    """`previous`: the ids of those that had the tag before, None where it did not move."""
    wanted = asked.wanted
    return {
        **judged,
        "outcome": outcome,
        "reason": reason,
        "candidate": evidence.as_document(task),
        "promotion": {
            "action": "rollback" if wanted.action == "rollback" else "promote",
            "mode": wanted.promote,
            "moved": previous is not None,
            "tag": wanted.best_tag,
            "to": task.id if previous is not None else None,
            "from": list(previous or ()),
            "merge_commit": wanted.merge_commit,
        },
    }
