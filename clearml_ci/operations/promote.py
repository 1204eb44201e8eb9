"""Move the tag of the baseline after a merge, as the policy has it, or move it back with a rollback.

A candidate is judged against the baseline of now; `tag_transfer` then moves the tag.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from clearml_ci.clearml_api import project_lookup, promotion_ledger, task_records
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML, TaskGoneError
from clearml_ci.core import baseline, checkpoint, recorded_task
from clearml_ci.core.errors import UsageError
from clearml_ci.core.formatting import count
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.core.step_results import CompareResult, PromoteResult
from clearml_ci.decisions import promotion
from clearml_ci.decisions.promotion import STAYS, Move
from clearml_ci.decisions.reference_tags import Change
from clearml_ci.decisions.tag_ranking import RankingPolicy
from clearml_ci.github_api.session import GitHub
from clearml_ci.operations import baselines, candidate_search, compare, reference_change, tag_transfer
from clearml_ci.operations.compare import Before, Comparison, Evidence
from clearml_ci.operations.services import Services
from clearml_ci.parameters import promotion_mode
from clearml_ci.parameters.check import Check

_NOT_JUDGED: CompareResult = {"outcome": None, "reason": "", "baseline": None, "gates": [], "warnings": []}


@dataclass(frozen=True)
class _Context:
    """The context of one move. `check` has the gates that a promotion asks for; `by_noise`: they were judged by it."""

    services: Services
    run: Run
    check: Check
    by_noise: bool = False


@dataclass(frozen=True)
class Undo:
    """The move that a rollback takes back, the task that had the tag before, and the ids of those that carry it now."""

    move: Move
    target: RecordedTask
    tagged: tuple[str, ...]


def require_in_scope(check: Check, candidate: RecordedTask) -> None:
    """Refuse a task that later checks would not find as their baseline. Raises UsageError."""
    project, name, task = check.project, check.task_name, f"the task {candidate.id} is"
    if project and candidate.project != project:
        raise UsageError(
            f"{STAYS}: {task} in the project '{candidate.project}', but baselines are taken from '{project}'"
        )
    if name and candidate.name != name:
        raise UsageError(f"{STAYS}: {task} named '{candidate.name}', but baselines are taken from tasks named '{name}'")


def promote(
    services: Services,
    run: Run,
    check: Check,
    candidate: RecordedTask,
    *,
    github: GitHub | None = None,
    judged: CompareResult | None = None,
) -> PromoteResult:
    """Give the tag to the candidate if the promotion mode allows it: the comparison's result, and the promotion.

    `judged`: the comparison, if it was just made. Raises ClearMLError; if it is called once more, it goes on.
    """
    check = replace(check, gates=promotion.gates_of(check.promote, check.gates))
    context = _Context(services, run, check)
    moves = _moves(services.clearml, run.project, check, candidate.project_id)
    every = _in_scope(services.clearml, check, candidate.project_id)
    carriers = _of_model(services.clearml, run.project, check, every, candidate)
    tagged = [task.id for task in carriers]
    if tagged == [candidate.id] and not carriers[0].copied_from:
        move = _complete(context, moves, candidate)
        if move and move.run == run.id:  # by this step, which was interrupted
            judged = judged or _judge(context, candidate, github)
            return _moved(context, candidate, _with_kept(check, judged, every, carriers), move, move.previous)
        return _result(context, candidate, _NOT_JUDGED, Outcome.PASSED, "it carries the tag already")
    if candidate.id not in tagged and (refusal := promotion.already_promoted(moves, candidate.id)):
        return _result(context, candidate, _NOT_JUDGED, Outcome.PASSED, f"{STAYS}: {refusal}")
    judged = judged or _judge(context, candidate, github)
    outcome = judged["outcome"] if any(gate.required for gate in check.gates) else None
    lower = promotion.why_lower(check.promote, judged["gates"], judged.get("slices", ()))
    decision = promotion.decide(check.promote, outcome=outcome, reason=judged["reason"], lower=lower)
    context = replace(context, by_noise=promotion.is_by_noise(judged["gates"]))
    if decision.moves:
        return _move(context, candidate, _with_kept(check, judged, every, carriers), tagged, decision.reason)
    if candidate.id in tagged:
        abandoned = _entry(context, to=candidate, previous=(), reason=decision.reason)
        tag_transfer.abandon(
            services.clearml, abandoned, _rule(context), read_tagged=lambda: _tagged(context, candidate)
        )
    return _result(context, candidate, judged, decision.outcome, decision.reason)


def _moves(clearml: ClearML, pipelines: str, check: Check, project_id: str) -> list[Move]:
    moves = promotion_ledger.moves(clearml, pipelines)
    scope = project_id if check.project else ""
    return promotion.moves_of_tag(moves, tag=check.best_tag, project_id=scope, task_name=check.task_name)


def _tagged(context: _Context, candidate: RecordedTask) -> list[RecordedTask]:
    """The tasks that carry the tag now, and from which a move to the candidate takes it."""
    clearml, check = context.services.clearml, context.check
    every = _in_scope(clearml, check, candidate.project_id)
    return _of_model(clearml, context.run.project, check, every, candidate)


def _in_scope(clearml: ClearML, check: Check, project_id: str) -> list[RecordedTask]:
    """The tagged tasks that checks compare a task of this project with.

    As `baselines.read`, for a task that is in the check's project, if it names one: see `require_in_scope`.
    """
    read = baselines.with_tag if check.project else baselines.read
    return [task for task, _ in read(clearml, replace(check, gates=()), project_id)]


def _of_model(
    clearml: ClearML, pipelines: str, check: Check, tagged: Sequence[RecordedTask], candidate: RecordedTask
) -> list[RecordedTask]:
    """Those of the tagged tasks that are baselines of the candidate's model, with the clones that copied their tag.

    A check without a task name finds those of other models as well. Of the tasks with another name than the candidate's
    only those count to which the same check gave the tag.
    """
    if all(task.name in (check.task_name, candidate.name) for task in tagged):
        return list(tagged)
    moves = _moves(clearml, pipelines, check, candidate.project_id)
    given = {move.to for move in moves if move.name == check.name}
    own = {task.id for task in tagged if task.name == candidate.name or task.id in given}
    return [task for task in tagged if not own.isdisjoint((task.id, task.copied_from))]


def _with_kept(
    check: Check, judged: CompareResult, tagged: Sequence[RecordedTask], own: Sequence[RecordedTask]
) -> CompareResult:
    """The comparison, with a warning if baselines of other models keep the tag."""
    others = [task for task in tagged if task not in own and baseline.usable(task)]
    tasks = count(len(others), "task")
    remedy = "write `task_name` into the policy, so that each model is compared with its own baseline"
    kept = [f"the tag '{check.best_tag}' stays on {tasks} with another name: {remedy}"] if others else []
    return {**judged, "warnings": [*judged["warnings"], *kept]}


def _judge(context: _Context, candidate: RecordedTask, github: GitHub | None) -> CompareResult:
    if not context.check.gates:
        return _NOT_JUDGED
    return compare_merged(context.services, context.run, context.check, candidate, github=github).result


def compare_merged(
    services: Services,
    run: Run,
    check: Check,
    candidate: RecordedTask,
    *,
    github: GitHub | None,
    changed: Sequence[Change] = (),
) -> Comparison:
    """Compare a merged model, with all runs of its commit, by the gates that a promotion asks for.

    A move of the tag that this run has begun is judged once more against the tasks that had the tag before, and a merge
    that `changed` the reference already against the reference before.
    """
    clearml, check = services.clearml, replace(check, gates=promotion.gates_of(check.promote, check.gates))
    task, of_candidate = recorded_task.as_document(candidate), replace(check, commit=candidate.commit)
    others = candidate_search.others(clearml, github, of_candidate, task)
    moves = _moves(clearml, run.project, check, candidate.project_id)
    begun = next((move for move in moves if (move.run, move.to) == (run.id, candidate.id)), None)
    before = Before(begun.previous if begun else (), changed[0].before if changed else None)
    return compare.with_baseline(clearml, github, run, check, Evidence(task, others=others), before=before)


def _move(
    context: _Context, candidate: RecordedTask, judged: CompareResult, tagged: Sequence[str], reason: str
) -> PromoteResult:
    compared = judged["baseline"]["id"] if judged["baseline"] else ""
    previous = sorted((task for task in tagged if task != candidate.id), key=lambda task: task != compared)
    move = _entry(context, to=candidate, previous=previous, reason=reason)
    winner, untagged = _transfer(context, move, candidate, tagged)
    if winner == candidate.id:
        return _moved(context, candidate, judged, move, untagged)
    how = "has it, and is as good" if winner in tagged else "became the baseline concurrently"
    return _result(context, candidate, judged, Outcome.PASSED, f"{STAYS}: the task {winner} {how}")


def _moved(
    context: _Context, candidate: RecordedTask, judged: CompareResult, move: Move, previous: Sequence[str]
) -> PromoteResult:
    reason = f"the tag '{move.tag}' moved to this commit's task ({candidate.name}, {candidate.id[:8]}): {move.reason}"
    return _result(context, candidate, judged, Outcome.PASSED, reason, previous=previous)


def _transfer(context: _Context, move: Move, to: RecordedTask, tagged: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    services = context.services
    return tag_transfer.transfer(
        services.clearml,
        context.run.project,
        move,
        _rule(context),
        tagged=tagged,
        read_tagged=lambda: _tagged(context, to),
        clock=services.clock,
    )


def _rule(context: _Context) -> RankingPolicy:
    """The order of tagged tasks: by noise the last one counts, and not the luckiest."""
    check = context.check
    mode = promotion_mode.ROLLBACK if check.action == promotion_mode.ROLLBACK else check.promote
    return promotion.ranking_policy(mode, () if context.by_noise else checkpoint.resolved(check.gates, check.at))


def _entry(context: _Context, *, to: RecordedTask, previous: Sequence[str], reason: str, undoes: str = "") -> Move:
    check, now = context.check, datetime.fromtimestamp(context.services.clock.now(), timezone.utc)
    return Move(
        run=context.run.id,
        action=promotion_mode.ROLLBACK if undoes else promotion_mode.PROMOTE,
        state=promotion.STARTED,
        at=now.isoformat(timespec="seconds"),
        tag=check.best_tag,
        project_id=to.project_id,
        task_name=check.task_name,
        to=to.id,
        previous=tuple(previous),
        pull_request=check.pull_request.number,
        commit=check.commit,
        merge_commit=check.merge_commit,
        reason=reason,
        undoes=undoes,
        name=check.name,
    )


def _complete(context: _Context, moves: Sequence[Move], candidate: RecordedTask) -> Move | None:
    """The newest promotion of the candidate; if it was interrupted after its last change of a tag, it is recorded."""
    begun = next((move for move in moves if (move.to, move.action) == (candidate.id, promotion_mode.PROMOTE)), None)
    if begun and begun.state in promotion.UNFINISHED:
        tag_transfer.complete(context.services.clearml, begun)
    return begun


def last_undoable(clearml: ClearML, moves: Sequence[Move]) -> Move | None:
    """The newest promotion of these moves, newest first, that can be undone; None if there is none.

    One that was interrupted counts as well if its task carries the tag.
    """
    begun = [move for move in moves if move.state in promotion.UNFINISHED]
    return promotion.last_undoable_promotion(moves, carrying=promotion_ledger.still_tagged(clearml, begun))


def to_undo(clearml: ClearML, pipelines: str, check: Check, *, named: str = "") -> Undo:
    """The move that a rollback takes back: `pipelines` is the ClearML project of one of the repository's pipelines.

    `named` is the run whose move it has to be. Raises UsageError if the last move is another one, if there was no
    baseline before, if it is gone, and if the tag was moved by hand since.
    """
    project = project_lookup.existing_id(clearml, check.project) if check.project else ""
    move = last_undoable(clearml, _moves(clearml, pipelines, check, project))
    if move is None:
        raise UsageError(f"no promotion of the tag '{check.best_tag}' is recorded: there is nothing to roll back")
    if named not in ("", move.run):
        raise UsageError(
            f"nothing was rolled back: the promotion to undo is that of run {named}, and the last one is that of run "
            f"{move.run}; run `rollback` again"
        )
    target = _previous(clearml, move)
    every = _in_scope(clearml, check, move.project_id)
    tagged = [task.id for task in _of_model(clearml, pipelines, check, every, target)]
    if tagged and not {move.to, target.id} & {*tagged}:
        raise UsageError(
            f"the tag '{check.best_tag}' is on the task {tagged[0]}, and the last promotion gave it to {move.to}: "
            "it was moved by hand since, and nothing was changed"
        )
    return Undo(move, target, tuple(tagged))


def rollback(services: Services, run: Run, check: Check) -> PromoteResult:
    """Undo the last promotion: the tag goes back to the task that had it before. Raises as to_undo, ClearMLError.

    What is recorded and reported is about the pull request of that promotion, whatever run this one was started from.
    """
    named = run.arguments.get(promotion_mode.UNDOES, "").strip()
    if earlier := _rollback_of(services.clearml, run, named):
        back = task_records.read(services.clearml, earlier.to)
        context = _Context(services, run, _check_of(check, earlier))
        reference_change.undo(services, run, context.check, undone=earlier.undoes, candidate=back)
        if earlier.run == run.id:  # by this step, which was interrupted
            return _moved_back(context, back, earlier, earlier.previous)
        reason = f"{STAYS}: {earlier.reason} already, by run {earlier.run}"
        return _result(context, back, _NOT_JUDGED, Outcome.PASSED, reason)
    undo = to_undo(services.clearml, run.project, check, named=named)
    undone, target = undo.move, undo.target
    context = _Context(services, run, _check_of(check, undone))
    reason = f"the promotion of pull request #{undone.pull_request} was undone"
    move = _entry(context, to=target, previous=[undone.to], reason=reason, undoes=undone.run)
    winner, untagged = _transfer(context, move, target, undo.tagged)
    if winner == target.id:
        reference_change.undo(services, run, context.check, undone=undone.run, candidate=target)
        return _moved_back(context, target, move, untagged)
    lost = (
        f"nothing was rolled back: the task {winner} became the baseline concurrently; look at it, and run this again"
    )
    return _result(context, target, _NOT_JUDGED, Outcome.ERROR, lost)


def _moved_back(context: _Context, target: RecordedTask, move: Move, previous: Sequence[str]) -> PromoteResult:
    reason = f"the tag '{move.tag}' is back on {target.name} ({target.id[:8]}): {move.reason}"
    return _result(context, target, _NOT_JUDGED, Outcome.PASSED, reason, previous=previous)


def _check_of(check: Check, move: Move) -> Check:
    """The check with the pull request that a move is about."""
    pull = replace(check.pull_request, number=move.pull_request)
    return replace(check, pull_request=pull, commit=move.commit, merge_commit=move.merge_commit)


def _rollback_of(clearml: ClearML, run: Run, named: str) -> Move | None:
    """The move that undid that of the run `named`, or that this run made: a rollback started twice undoes no other."""
    done = [
        move for move in promotion_ledger.moves(clearml, run.project) if move.undoes and move.state == promotion.MOVED
    ]
    return next((move for move in done if move.run == run.id or move.undoes == named), None)


def _previous(clearml: ClearML, undone: Move) -> RecordedTask:
    """The task that gets the tag back. Raises UsageError."""
    reasons = []
    for task_id in undone.previous:
        try:
            task = task_records.read(clearml, task_id)
        except TaskGoneError:
            reasons.append(f"{task_id} is gone")
            continue
        if baseline.usable(task):
            return task
        reasons.append(f"{task.name} ({task_id}) {recorded_task.why_unfinished(task)}")
    why = "; ".join(reasons) or "there was none before"
    raise UsageError(f"{STAYS}: no earlier baseline can take it back ({why})")


def _result(
    context: _Context,
    task: RecordedTask,
    judged: CompareResult,
    outcome: Outcome,
    reason: str,
    *,
    previous: Sequence[str] | None = None,
) -> PromoteResult:
    """`previous`: the ids of the tasks that had the tag before, None if it did not move."""
    to = None if previous is None else task.id
    return {
        **judged,
        "outcome": outcome,
        "reason": reason,
        "candidate": recorded_task.as_document(task),
        "promotion": promotion.as_document(context.check, to=to, previous=previous or ()),
    }
