"""The tag of the best, the stamps of those that get it, and the ledger of its moves. A part of the ClearML gateway.

A move is stored as a configuration object of the pipeline run that makes it, and the run is tagged, so that one request
finds all moves. Clones copy both: an entry counts only on the run that it names.
"""

import contextlib
from collections.abc import Sequence

from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.task_records import STAMP
from clearml_ci.decisions import tag_ranking
from clearml_ci.decisions.tag_ranking import Stamp

MAIN_TAG = "main_branch"


_NOTE = "clearml_ci_baseline"


def add_tag(clearml: ClearML, task: str, tag: str) -> None:
    """Adds one tag to a task in any status; the others stay."""
    _update_tags(clearml, [task], add=[tag], remove=[])


def remove_tag(clearml: ClearML, tasks: Sequence[str], tag: str) -> None:
    """Takes one tag from tasks in any status; the others stay."""
    if tasks:
        _update_tags(clearml, tasks, add=[], remove=[tag])


def _update_tags(clearml: ClearML, tasks: Sequence[str], *, add: list[str], remove: list[str]) -> None:
    """Older servers do not have `tasks.update_tags`: there, what is written is what was just read."""
    try:
        clearml.call("tasks.update_tags", ids=list(tasks), add_tags=add, remove_tags=remove)
    except ClearMLError as error:
        if "endpoint" not in str(error).split("refused:")[-1].lower():
            raise
        for task in tasks:
            present = clearml_session.fields_of(clearml, task, ["tags"]).get("tags") or []
            kept = [tag for tag in present if tag not in remove]
            clearml.call("tasks.edit", task=task, tags=sorted({*kept, *add}), force=True)


def stamps(clearml: ClearML, tasks: Sequence[str]) -> dict[str, Stamp | None]:
    """The stamps of tasks, None where one was tagged by hand or never. One request."""
    found = clearml_session.fields_of_all(clearml, tasks, [f"runtime.{STAMP}"])
    return {task["id"]: tag_ranking.parse_stamp(str((task.get("runtime") or {}).get(STAMP) or "")) for task in found}


def stamp(clearml: ClearML, task: str, given: Stamp) -> None:
    """Before a task gets the tag, so that everyone who sees the tag sees the stamp."""
    clearml_session.add_runtime(clearml, task, {STAMP: tag_ranking.stamp_text(given)})


def note(clearml: ClearML, task: str, text: str) -> None:
    """A user property on a task: what the next person who looks at it must know. A task that is gone has no reader."""
    with contextlib.suppress(ClearMLError):
        clearml_session.set_properties(clearml, task, {_NOTE: text})
