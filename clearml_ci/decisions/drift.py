"""Is main still as good as its best, and as its own earlier runs? The audit's comparisons. Pure."""

import math
from collections.abc import Mapping, Sequence

from clearml_ci.core import baseline, gate, recorded_task
from clearml_ci.core.formatting import count
from clearml_ci.core.gate import Gate, Judgement, Reported, Summary
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions.audit_findings import FINDING, NOTE, Finding, Key, Tasks, Where, key_of, place

_SPREAD = 20  # earlier runs


def from_best(bests: Tasks, of_main: Tasks, gates: Sequence[Gate]) -> list[Finding]:
    """Where main's newest task is worse than the best by more than the gates allow. `of_main`: newest first."""
    newest: dict[Key, tuple[RecordedTask, Reported]] = {}
    for task, reported in of_main:
        if _is_run(task):
            newest.setdefault(key_of(task), (task, reported))
    found = []
    for key, (task, reported) in newest.items():
        own = {best.id: values for best, values in bests if key_of(best) == key and baseline.usable(best)}
        if own and task.id not in own:
            found += [_drifted(one, task, reported, own) for one in gates]
    return [one for one in found if one]


def _drifted(one: Gate, task: RecordedTask, reported: Reported, bests: Mapping[str, Reported]) -> Finding | None:
    told = gate.judge(one, {task.id: reported[one]}, {best: values[one] for best, values in bests.items()})
    if told.outcome not in (Outcome.REGRESSED, Outcome.INCONCLUSIVE):
        return None
    known = told.value is not None and told.baseline is not None
    numbers = f" ({told.value:.6g}, best {told.baseline:.6g})" if known else ""
    said = f"main's newest task, commit {task.commit[:10]}: {told.reason}{numbers}"
    return Finding(
        "drift", _severity(one, told), place(task), said, "find out which merge lost it, or train main again"
    )


def retrained(again: Tasks, of_main: Tasks, gates: Sequence[Gate]) -> list[Finding]:
    """Is main, trained `again`, within the spread of its own earlier runs? `of_main`: newest first; the last 20 count.

    The median of the new values must not be worse than the worst of the earlier ones by more than a gate allows.
    """
    ids = {task.id for task, _ in again}
    earlier = [(task, values) for task, values in of_main if task.id not in ids and _is_run(task)][:_SPREAD]
    where = place(again[0][0])
    if not earlier:
        said = "main was trained again, but has no earlier runs to be held against"
        return [Finding("retrained", NOTE, where, said, "nothing: the next audit has these")]
    return [found for one in gates if (found := _outside(one, again, earlier, where))]


def _outside(one: Gate, again: Tasks, earlier: Tasks, where: Where) -> Finding | None:
    told = gate.judge(one, {task.id: values[one] for task, values in again}, _worst(one, earlier))
    if told.outcome not in (Outcome.REGRESSED, Outcome.INCONCLUSIVE, Outcome.NO_BASELINE):
        return None
    if told.outcome == Outcome.NO_BASELINE:
        reason = f"none of the earlier runs has a finite {one.name}"
    elif told.absolute or told.outcome == Outcome.INCONCLUSIVE:
        reason = told.reason
    else:
        before = count(len(earlier), "earlier run")
        reason = (
            f"{one.name} is {told.value:.6g} (median), worse than in any of {before}: {told.baseline:.6g} or better"
        )
    said = f"main, trained again {count(len(again), 'time')}: {reason}"
    do = "look at what is not pinned: packages, data, hardware"
    return Finding("retrained", _severity(one, told), where, said, do)


def _worst(one: Gate, tasks: Tasks) -> dict[str, Summary]:
    """The one of these with the worst value that can be trusted, if any."""
    known = {task.id: values[one] for task, values in tasks}
    sound = {task: summary for task, summary in known.items() if summary is not None and _sound(one, summary)}
    pick = min if one.goal == "maximize" else max
    return dict([pick(sound.items(), key=lambda item: gate.value_of(one, item[1]))]) if sound else {}


def _sound(one: Gate, summary: Summary) -> bool:
    return math.isfinite(gate.value_of(one, summary)) and not gate.doubtful_zero(one, summary)


def _severity(one: Gate, told: Judgement) -> str:
    return FINDING if told.outcome == Outcome.REGRESSED and one.required else NOTE


def _is_run(task: RecordedTask) -> bool:
    """A clean, successful run of its commit, and no probe or test run of a check's."""
    return recorded_task.unusable(task) is None and task.purpose not in recorded_task.PURPOSES
