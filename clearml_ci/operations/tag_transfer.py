"""Transfer the tag of the baseline to another task: stamp, tag, read back, and only then untag the old one.

Each step may be interrupted, repeated, or run concurrently: `tag_ranking` explains why the result is right. At least
one task carries the tag at any time: it is only taken from a task while one that ranks higher was seen to carry it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from clearml_ci.clearml_api import best_tag, promotion_ledger, task_records
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import baseline, poll
from clearml_ci.core.poll import Clock, Pace, TimedOutError
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import promotion, tag_ranking
from clearml_ci.decisions.promotion import Move
from clearml_ci.decisions.tag_ranking import RankingPolicy, Stamps

ReadTagged = Callable[[], Sequence[RecordedTask]]  # all tasks that carry the tag now


PATIENCE = 60.0  # seconds that a concurrent move may take to end


def transfer(
    clearml: ClearML,
    pipelines: str,
    move: Move,
    rule: RankingPolicy,
    *,
    tagged: Sequence[str],
    read_tagged: ReadTagged,
    clock: Clock,
) -> tuple[str, tuple[str, ...]]:
    """Give the tag to `move.to` alone, unless another task ranks higher: who keeps it, and which tasks had it before.

    `tagged` are the ids of the tasks that carry it, as `read_tagged` reads them anew, and `pipelines` is the ClearML
    project of the run that moves it. Raises ClearMLError; if it is called once more, it goes on.
    """
    promotion_ledger.record(clearml, move)
    present = best_tag.stamps(clearml, [move.to, *tagged])
    best_tag.stamp(clearml, move.to, tag_ranking.next_stamp(rule, present.values(), now=clock.now()))
    best_tag.add_tag(clearml, move.to, move.tag)
    seen_before = move.to in tagged or present[move.to] is not None
    overtaken = seen_before and _wait_for_others(clearml, pipelines, move, clock)
    stamps, winner = _settle(clearml, move, rule, read_tagged)
    if move.to not in stamps and not (winner and (overtaken or _retagged(stamps, present))):
        raise ClearMLError(
            f"the tag '{move.tag}' was set on the task {move.to} but cannot be read back: nothing was taken from any "
            "other task; run this again"
        )
    losers = tag_ranking.tags_to_remove(stamps, task=move.to, winner=winner)
    best_tag.remove_tag(clearml, losers, move.tag)
    if winner != move.to:
        promotion_ledger.record(clearml, replace(move, state=promotion.LOST))
        return winner, ()
    previous = tuple(dict.fromkeys([*move.previous, *losers]))
    complete(clearml, replace(move, previous=previous))
    return winner, previous


def abandon(clearml: ClearML, move: Move, rule: RankingPolicy, *, read_tagged: ReadTagged) -> None:
    """Untag `move.to`, which an interrupted move had tagged, unless it ranks highest; raises as transfer."""
    _, winner = _settle(clearml, move, rule, read_tagged)
    if winner != move.to:
        best_tag.remove_tag(clearml, [move.to], move.tag)
    promotion_ledger.record(clearml, replace(move, state=promotion.LOST))


def complete(clearml: ClearML, move: Move) -> None:
    """Record the move as done in the ledger, and as a note on every task that it touched."""
    promotion_ledger.record(clearml, replace(move, state=promotion.MOVED))
    merged = f", merged as {move.merge_commit[:10]}" if move.merge_commit else ""
    why = f"{move.action} of pull request #{move.pull_request}{merged}, run {move.run}"
    best_tag.note(clearml, move.to, f"carries '{move.tag}' since {move.at}: {why}")
    for task in move.previous:
        best_tag.note(clearml, task, f"lost '{move.tag}' to {move.to} at {move.at}: {why}")


def _wait_for_others(clearml: ClearML, pipelines: str, move: Move, clock: Clock) -> bool:
    """Wait for the concurrent moves that may untag this task because of its earlier stamp; True if there was any."""
    concurrent: list[Move] = []

    def settled() -> bool | None:
        unsettled = promotion_ledger.concurrent_moves(clearml, pipelines, move)
        concurrent.extend(unsettled)
        return None if unsettled else True

    try:
        poll.until(clock, settled, pace=Pace(0.5), timeout=PATIENCE)
    except TimedOutError as error:
        raise ClearMLError(
            f"the run {concurrent[-1].run} is moving the tag '{move.tag}' as well, and does not end: nothing was taken "
            "from any task; run this again when it has ended"
        ) from error
    return bool(concurrent)


def _settle(clearml: ClearML, move: Move, rule: RankingPolicy, read_tagged: ReadTagged) -> tuple[Stamps, str]:
    """All tasks that carry the tag now, and the one that keeps it: "" if none of them can be compared with."""
    promotion_ledger.record(clearml, replace(move, state=promotion.READS_BACK))
    tagged = read_tagged()
    stamps = {task.id: tag_ranking.parse_stamp(task.stamp) for task in tagged}
    usable = {task.id: stamps[task.id] for task in tagged if baseline.usable(task)}
    by = tag_ranking.ruling_policy(usable, default=rule)
    metrics = task_records.with_metrics(clearml, list(usable), by.gates) if usable and by.gates else {}
    reported = {task: values for task, (_, values) in metrics.items()}
    return stamps, tag_ranking.winner(usable, by, reported) if usable else ""


def _retagged(stamps: Stamps, present: Stamps) -> bool:
    """True if a concurrent move tagged or stamped one of these tasks since `present` was read."""
    return any(task not in present or stamp != present[task] for task, stamp in stamps.items())
