"""The best tag: add it to tasks, remove it, and the stamp with the moment from which a task carries it."""

import contextlib
from collections.abc import Sequence

from clearml_ci.clearml_api import task_fields, task_parameters, task_tags
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.task_records import STAMP
from clearml_ci.decisions import tag_ranking
from clearml_ci.decisions.tag_ranking import Stamp

MAIN_TAG = "main_branch"


_NOTE = "clearml_ci_baseline"  # a user property


def add_tag(clearml: ClearML, task: str, tag: str) -> None:
    """Add a tag to a task in any status; its other tags stay."""
    task_tags.update(clearml, [task], add=[tag])


def add_to_all(clearml: ClearML, tasks: Sequence[str], tag: str) -> None:
    """Add a tag to tasks in any status; their other tags stay."""
    task_tags.update(clearml, tasks, add=[tag])


def remove_tag(clearml: ClearML, tasks: Sequence[str], tag: str) -> None:
    """Remove a tag from tasks in any status; their other tags stay."""
    task_tags.update(clearml, tasks, remove=[tag])


def stamps(clearml: ClearML, tasks: Sequence[str], name: str = STAMP) -> dict[str, Stamp | None]:
    """The stamps of tasks, by id; None if a user tagged the task, or it was never tagged. One request.

    `name` is that of the runtime property, for tags of the reference.
    """
    found = task_fields.read_all(clearml, tasks, [f"runtime.{name}"])
    return {task["id"]: tag_ranking.parse_stamp(str((task.get("runtime") or {}).get(name) or "")) for task in found}


def stamp(clearml: ClearML, task: str, stamp: Stamp, name: str = STAMP) -> None:
    """Stamp a task, before it gets the tag: every process that sees the tag then sees the stamp."""
    task_fields.add_runtime(clearml, task, {name: tag_ranking.stamp_text(stamp)})


def note(clearml: ClearML, task: str, text: str) -> None:
    """Write a user property for the next person who looks at the task; nothing if the task was deleted."""
    with contextlib.suppress(ClearMLError):
        task_parameters.set_properties(clearml, task, {_NOTE: text})
