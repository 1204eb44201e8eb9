"""The plan of a calibration: which seeds are trained, which run, and which are to be started."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clearml_ci.core import recorded_task
from clearml_ci.core.recorded_task import RecordedTask


@dataclass(frozen=True)
class Plan:
    """The tasks of each seed: one that counts, else one that runs or waits, else a draft that was not enqueued.

    `missing` are the seeds that have none of these.
    """

    counted: dict[str, RecordedTask]
    live: dict[str, RecordedTask]
    drafts: dict[str, RecordedTask]
    missing: tuple[str, ...]


def seeds(number: int) -> tuple[str, ...]:
    """The seeds of a calibration of so many runs: a larger one goes on with those of a smaller one."""
    return tuple(str(seed) for seed in range(1, number + 1))


def plan(chosen: Sequence[str], launched: Iterable[tuple[str, RecordedTask]]) -> Plan:
    """The plan for these seeds, from the tasks that calibrations of the commit have launched, each with its seed."""
    found = Plan({}, {}, {}, ())
    for seed, task in launched:
        if seed in chosen and (kind := _kind(found, task)) is not None:
            kind.setdefault(seed, task)
    live = _without(found.live, found.counted)
    drafts = _without(found.drafts, {**found.counted, **live})
    known = {**found.counted, **live, **drafts}
    return Plan(found.counted, live, drafts, tuple(seed for seed in chosen if seed not in known))


def _kind(of: Plan, task: RecordedTask) -> dict[str, RecordedTask] | None:
    """The trainings among which this task belongs; None if its seed has to be trained again."""
    if recorded_task.is_clean_run(task):
        return of.counted
    if task.archived or task.status not in recorded_task.RUNNING:
        return None
    return of.drafts if task.status == "created" else of.live


def _without(tasks: dict[str, RecordedTask], others: dict[str, RecordedTask]) -> dict[str, RecordedTask]:
    return {seed: task for seed, task in tasks.items() if seed not in others}
