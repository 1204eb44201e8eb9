"""Tags that were copied: a clone has the tags of its source, though no user and no promotion gave it one.

The server does not record who set a tag. A tag counts as copied if the task is a clone of one that carries it, and was
not created before a promotion gave it to that one. A user who wants the clone removes the tag from the source.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from clearml_ci.core import moment
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import tag_ranking


def sources(tagged: Sequence[RecordedTask], elsewhere: Mapping[str, str]) -> dict[str, str]:
    """The tasks with a copied tag, each with the task that it was copied from; all by their ids.

    `elsewhere` are the stamps of those `unknown_parents` that carry the tag.
    """
    return {task.id: source for task in tagged if _may_be_copied(task) and (source := _source(task, tagged, elsewhere))}


def unknown_parents(tagged: Sequence[RecordedTask]) -> list[str]:
    """The parents that have to be read: tasks in another project, or with another name, may carry the tag as well."""
    known = {task.id for task in tagged}
    return sorted({task.parent for task in tagged if _may_be_copied(task)} - known)


def _may_be_copied(task: RecordedTask) -> bool:
    """False for a task that a promotion stamped or a run launched: a clone has neither."""
    return bool(task.parent) and not task.purpose and tag_ranking.parse_stamp(task.stamp) is None


def _source(task: RecordedTask, tagged: Sequence[RecordedTask], elsewhere: Mapping[str, str]) -> str:
    stamps = {**elsewhere, **{other.id: other.stamp for other in tagged}}
    if task.parent in stamps:
        return task.parent if _is_after(task, stamps[task.parent]) is not False else ""
    siblings = (other for other in tagged if other.parent == task.parent and other.id != task.id)
    return next((other.id for other in siblings if _is_after(task, other.stamp)), "")


def _is_after(task: RecordedTask, stamp: str) -> bool | None:
    """True if the task was created after this stamp; None if that is unknown."""
    stamped, created = tag_ranking.parse_stamp(stamp), moment.parse(task.created)
    if stamped is None or created is None:
        return None
    return created >= datetime.fromtimestamp(stamped.at, timezone.utc)
