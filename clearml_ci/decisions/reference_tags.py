"""The tags of the reference: people see in ClearML which runs stand for the default branch, and edit them there."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from clearml_ci.core import baseline, moment
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import tag_ranking
from clearml_ci.decisions.reference import Reference

Ids = tuple[str, ...]  # of tasks


@dataclass(frozen=True)
class Carriers:
    """The tasks of a reference, by their ids: `runs`, those that `showed` its gain, and the `earlier` reference."""

    runs: Ids = ()
    showed: Ids = ()
    earlier: Ids = ()


@dataclass(frozen=True)
class Change:
    """One change of a reference, as the run that makes it records it.

    `renewed` is the reason why it began anew, or "". `made`: all tags are as the change wants them. `undone`: a
    rollback took it back.
    """

    run: str
    before: Carriers
    after: Carriers
    renewed: str = ""
    made: bool = False
    undone: bool = False

    @property
    def is_settled(self) -> bool:
        """True if nothing is left to be made."""
        return self.made or self.undone


@dataclass(frozen=True)
class TagNames:
    """The names of the three tags."""

    runs: str
    showed: str
    earlier: str


def names(best_tag: str) -> TagNames:
    """The tags of the reference that belongs to this tag of the baseline."""
    return TagNames(f"{best_tag}: reference", f"{best_tag}: gain", f"{best_tag}: earlier reference")


def carriers(reference: Reference) -> Carriers:
    """The tasks of this reference."""
    kinds = (reference.runs, reference.showed, reference.earlier)
    return Carriers(*(tuple(run.task.id for run in runs) for runs in kinds))


def in_merge_order(tagged: Iterable[RecordedTask]) -> list[RecordedTask]:
    """The usable tagged tasks in the order in which promotions tagged them; a task that a user tagged, by its start."""
    return sorted(filter(baseline.usable, tagged), key=lambda task: (_since(task), task.id))


def without(change: Change, present: Carriers) -> Carriers:
    """The reference without this change. One that began anew gives way to the earlier one, with what came since."""
    if change.renewed:
        return change.before
    added = {*change.after.runs} - {*change.before.runs}
    return replace(present, runs=tuple(task for task in present.runs if task not in added))


def as_entry(change: Change) -> dict[str, Any]:
    """The change as JSON."""
    return asdict(change)


def from_entry(entry: object) -> Change | None:
    """The change of a JSON document; None if it is none, or a user edited it."""
    try:
        read: Mapping[str, Any] = entry if isinstance(entry, dict) else {}
        before, after = _carriers(read["before"]), _carriers(read["after"])
        return Change(
            str(read["run"]), before, after, str(read["renewed"]), read["made"] is True, read["undone"] is True
        )
    except (KeyError, TypeError):
        return None


def _carriers(entry: Mapping[str, Any]) -> Carriers:
    return Carriers(*(tuple(map(str, entry[name])) for name in ("runs", "showed", "earlier")))


def _since(task: RecordedTask) -> float:
    if stamp := tag_ranking.parse_stamp(task.stamp):
        return stamp.at
    started = moment.parse(task.started)
    return started.timestamp() if started else -math.inf
