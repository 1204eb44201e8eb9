"""The tag of the best changes hands: stamped, tagged, read back, and only then taken from the old one.

Every step of it may be interrupted, repeated, or done by two at once: `settling` says why it ends right. There is
never no best: the tag is only taken from a task while one that ranks higher was seen to carry it.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

from clearml_ci.clearml_api import best_tag, promotion_ledger, task_records
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import baseline
from clearml_ci.decisions import promotion, tag_ranking
from clearml_ci.decisions.promotion import Move
from clearml_ci.decisions.tag_ranking import Rule, Stamps

PATIENCE = 60.0  # seconds that another move may take to end


def give(
    clearml: ClearML, pipelines: str, move: Move, rule: Rule, *, tagged: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """The tag for `move.to` alone, unless another one ranks higher: who keeps it, and those that had it before.

    `tagged` are the ids of the tasks that carry it, `pipelines` is the ClearML project of the run that moves it. Raises
    ClearMLError, and a repetition then goes on.
    """
    promotion_ledger.record(clearml, move)
    present = best_tag.stamps(clearml, [move.to, *tagged])
    best_tag.stamp(clearml, move.to, tag_ranking.next_stamp(rule, present.values(), now=time.time()))
    best_tag.add_tag(clearml, move.to, move.tag)
    seen_before = move.to in tagged or present[move.to] is not None
    overtaken = seen_before and _wait_for_others(clearml, pipelines, move)
    stamps, highest = _settle(clearml, move, rule)
    if move.to not in stamps and not (highest and (overtaken or _taken(stamps, present))):
        raise ClearMLError(
            f"the tag '{move.tag}' was set on the task {move.to} but cannot be read back: nothing was taken from any "
            "other task; run this again"
        )
    losers = tag_ranking.losers(stamps, task=move.to, highest=highest)
    best_tag.remove_tag(clearml, losers, move.tag)
    if highest != move.to:
        promotion_ledger.record(clearml, replace(move, state=promotion.LOST))
        return highest, ()
    previous = tuple(dict.fromkeys([*move.previous, *losers]))
    done(clearml, replace(move, previous=previous))
    return highest, previous


def give_up(clearml: ClearML, move: Move, rule: Rule) -> None:
    """`move.to` was tagged before its move was interrupted, and is not to be the best any more: as give."""
    _, highest = _settle(clearml, move, rule)
    if highest != move.to:
        best_tag.remove_tag(clearml, [move.to], move.tag)
    promotion_ledger.record(clearml, replace(move, state=promotion.LOST))


def done(clearml: ClearML, move: Move) -> None:
    """The ledger, and a note on every task that the move touched."""
    promotion_ledger.record(clearml, replace(move, state=promotion.MOVED))
    merged = f", merged as {move.merge_commit[:10]}" if move.merge_commit else ""
    why = f"{move.action} of pull request #{move.pull_request}{merged}, run {move.run}"
    best_tag.note(clearml, move.to, f"carries '{move.tag}' since {move.at}: {why}")
    for task in move.previous:
        best_tag.note(clearml, task, f"lost '{move.tag}' to {move.to} at {move.at}: {why}")


def _wait_for_others(clearml: ClearML, pipelines: str, move: Move) -> bool:
    """Those who may take the tag from this task, by what it was before, are through; was there anybody?"""
    deadline, waited = time.monotonic() + PATIENCE, False
    while others := promotion_ledger.concurrent_moves(clearml, pipelines, move):
        if time.monotonic() > deadline:
            raise ClearMLError(
                f"the run {others[0].run} is moving the tag '{move.tag}' as well, and does not end: nothing was taken "
                "from any task; run this again when it has ended"
            )
        waited = True
        time.sleep(0.5)
    return waited


def _settle(clearml: ClearML, move: Move, rule: Rule) -> tuple[Stamps, str]:
    """All that carry the tag now, and the one that keeps it: empty where none of them can be compared with."""
    promotion_ledger.record(clearml, replace(move, state=promotion.SETTLING))
    found = task_records.tagged(clearml, projects=[move.project_id], task_name=move.task_name, tag=move.tag, gates=())
    stamps = {task.id: tag_ranking.stamp_of(task.stamp) for task, _ in found}
    usable = {task.id: stamps[task.id] for task, _ in found if baseline.usable(task)}
    by = tag_ranking.ruling(usable, otherwise=rule)
    metrics = task_records.with_metrics(clearml, list(usable), by.gates) if usable and by.gates else {}
    reported = {task: values for task, (_, values) in metrics.items()}
    return stamps, tag_ranking.highest(usable, by, reported) if usable else ""


def _taken(stamps: Stamps, present: Stamps) -> bool:
    """Did another one become the best meanwhile? Some of those that carry the tag now did not, or were stamped anew."""
    return any(task not in present or stamp != present[task] for task, stamp in stamps.items())
