"""The tags of the reference: people see in ClearML which runs stand for the default branch, and edit them there."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from clearml_ci.core import baseline, moment
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import tag_ranking
from clearml_ci.decisions.reference import Reference

Ids = tuple[str, ...]  # of tasks


_CLOCKS = 600.0  # seconds between the clocks of an agent, which stamps, and of the server


@dataclass(frozen=True)
class Carriers:
    """The tasks of a reference, by their ids: `runs`, those that `showed` its gain, and the `earlier` reference."""

    runs: Ids = ()
    showed: Ids = ()
    earlier: Ids = ()

    @property
    def ids(self) -> Ids:
        """The ids of all of them."""
        return (*self.runs, *self.showed, *self.earlier)


@dataclass(frozen=True)
class Change:
    """One change of a reference, as the run that makes it records it.

    The reference belongs to the baseline with the tag `best`, and to tasks named `name`; `project` is the id of that
    in which the merged task is, and `commit` the head of its pull request. `renewed` is the reason why it began anew,
    or "". `made`: all tags are as the change wants them. `undone`: a rollback took it back.
    """

    run: str
    before: Carriers
    after: Carriers
    renewed: str = ""
    best: str = ""
    project: str = ""
    name: str = ""
    commit: str = ""
    made: bool = False
    undone: bool = False

    @property
    def added(self) -> set[str]:
        """The tasks that it takes into the reference, and stamps."""
        return {*self.after.runs, *self.after.showed} - {*self.before.ids}

    @property
    def is_settled(self) -> bool:
        """True if nothing is left to be made."""
        return self.made or self.undone


@dataclass(frozen=True)
class TagNames:
    """The names of the tags: of the three kinds of runs of a reference, and of those that `calibrate` trained."""

    runs: str
    showed: str
    earlier: str
    calibrated: str


def names(best_tag: str) -> TagNames:
    """The tags of the reference that belongs to this tag of the baseline."""
    kinds = ("reference", "gain", "earlier reference", "calibration")
    return TagNames(*(f"{best_tag}: {kind}" for kind in kinds))


def carriers(reference: Reference) -> Carriers:
    """The tasks of this reference."""
    kinds = (reference.runs, reference.showed, reference.earlier)
    return Carriers(*(tuple(run.task.id for run in runs) for runs in kinds))


def in_merge_order(tagged: Iterable[RecordedTask]) -> list[RecordedTask]:
    """The usable tagged tasks in the order in which promotions tagged them; a task that a user tagged, by its start."""
    return sorted(filter(baseline.usable, tagged), key=lambda task: (_since(task), task.id))


RAN_AGAIN = "was reset or continued since it is in the reference: its values may be those of other code"


def ran_again(task: RecordedTask) -> bool:
    """True if a task with a tag ended after it was stamped."""
    stamp, ended = tag_ranking.parse_stamp(task.stamp), moment.parse(task.ended)
    return bool(stamp and ended and ended.timestamp() > stamp.at + _CLOCKS)


def without(change: Change, present: Carriers) -> Carriers:
    """The reference without this change. One that began anew gives way to the earlier one, with what came since."""
    if change.renewed:
        return change.before
    added = {*change.after.runs} - {*change.before.runs}
    return replace(present, runs=tuple(task for task in present.runs if task not in added))


def of_merge(changes: Iterable[Change], *, best: str, name: str, commit: str) -> list[Change]:
    """The changes that the merge of this commit made, or began to make, and that were not undone."""
    merge = (best, name, commit)
    return [change for change in changes if (change.best, change.name, change.commit) == merge and not change.undone]


def expected(changes: Sequence[Change]) -> Carriers:
    """The reference that these changes of it made, newest first, but for those that were undone."""
    lasting = next((change for change in changes if not change.undone), None)
    present = lasting.after if lasting else changes[-1].before
    for change in changes:
        if change.undone and change.added & {*present.ids}:
            present = without(change, present)
    return present


def as_entry(change: Change) -> dict[str, Any]:
    """The change as JSON."""
    return asdict(change)


def from_entry(entry: object) -> Change | None:
    """The change of a JSON document; None if it is none, or a user edited it."""
    try:
        read: Mapping[str, Any] = entry if isinstance(entry, dict) else {}
        names = ("run", "renewed", "best", "project", "name", "commit")
        run, renewed, best, project, name, commit = (str(read[field]) for field in names)
        made, undone = read["made"] is True, read["undone"] is True
        before, after = _carriers(read["before"]), _carriers(read["after"])
        return Change(run, before, after, renewed, best, project, name, commit, made, undone)
    except (KeyError, TypeError):
        return None


def _carriers(entry: Mapping[str, Any]) -> Carriers:
    return Carriers(*(tuple(map(str, entry[name])) for name in ("runs", "showed", "earlier")))


def _since(task: RecordedTask) -> float:
    if stamp := tag_ranking.parse_stamp(task.stamp):
        return stamp.at
    started = moment.parse(task.started)
    return started.timestamp() if started else -math.inf
