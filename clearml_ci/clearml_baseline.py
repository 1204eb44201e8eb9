"""The tag of the best, the stamps of those that get it, and the ledger of its moves. A part of the ClearML gateway.

A move is stored as a configuration object of the pipeline run that makes it, and the run is tagged, so that one request
finds all moves. Clones copy both: an entry counts only on the run that it names.
"""

import contextlib
import json
import re
from collections.abc import Sequence
from typing import Any

from clearml_ci import clearml_gateway, clearml_runs, promotion
from clearml_ci.check import NAME
from clearml_ci.check import PIPELINE as CHECKS
from clearml_ci.clearml_gateway import PAGE, ClearML, ClearMLError
from clearml_ci.clearml_runs import PIPELINES, Run
from clearml_ci.promotion import Move

MOVED_TAG = "moved the best"
LEDGER = "ledger"
MAIN_TAG = "main_branch"
_STAMP = "clearml_ci_best_since"  # a runtime property: clones do not copy it
_NOTE = "clearml_ci_baseline"


# --- tags and stamps ----------------------------------------------------------------------------------------


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
            present = clearml_gateway.fields_of(clearml, task, ["tags"]).get("tags") or []
            kept = [tag for tag in present if tag not in remove]
            clearml.call("tasks.edit", task=task, tags=sorted({*kept, *add}), force=True)


def stamps(clearml: ClearML, tasks: Sequence[str]) -> dict[str, float]:
    """When each task became the best, in seconds; 0 where it was tagged by hand. One request."""
    if not tasks:
        return {}
    found = clearml_gateway.fields_of_all(clearml, tasks, [f"runtime.{_STAMP}"])
    return {task["id"]: float((task.get("runtime") or {}).get(_STAMP) or 0) for task in found}


def stamp(clearml: ClearML, task: str, moment: float) -> None:
    """Before a task gets the tag, so that everyone who sees the tag sees the stamp."""
    clearml_gateway.add_runtime(clearml, task, {_STAMP: repr(moment)})


def note(clearml: ClearML, task: str, text: str) -> None:
    """A user property on a task: what the next person who looks at it must know. A task that is gone has no reader."""
    with contextlib.suppress(ClearMLError):
        clearml_gateway.set_properties(clearml, task, {_NOTE: text})


# --- what was judged ----------------------------------------------------------------------------------------


def judged_candidate(clearml: ClearML, run: Run, *, commit: str, name: str) -> dict[str, Any] | None:
    """The candidate of the newest completed check of a commit, as its verdict names it; None where there is none.

    `name` is that of the check: those of other models of the repository judged other tasks.
    """
    project = clearml_gateway.project_id(clearml, f"{run.project.rpartition(PIPELINES)[0]}{PIPELINES}{CHECKS}")
    if project is None:
        return None
    found = clearml.call(
        "tasks.get_all_ex",
        project=[project],
        type=["controller"],
        status=["completed"],
        only_fields=["id", "hyperparams.Args"],
        order_by=["-created"],
        page=0,
        page_size=PAGE,
        search_hidden=True,
        **{"hyperparams.Args.commit.value": [commit]},
    )["tasks"]
    for one in found:
        asked = clearml_gateway.values(one, "Args")
        if (asked.get("commit"), asked.get(NAME, "")) != (commit, name):
            continue
        report = clearml_runs.steps(clearml, one["id"]).get("report")
        candidate = (((report.result if report else None) or {}).get("verdict") or {}).get("candidate")
        if candidate:
            return dict(candidate)
    return None


# --- the ledger ---------------------------------------------------------------------------------------------


def record(clearml: ClearML, move: Move) -> None:
    """Store a move on the run that makes it."""
    item = {"name": LEDGER, "type": "json", "value": json.dumps(promotion.to_document(move), indent=1)}
    clearml.call(
        "tasks.edit_configuration", task=move.run, configuration=[item], replace_configuration=False, force=True
    )
    add_tag(clearml, move.run, MOVED_TAG)


def moves(clearml: ClearML, project: str) -> list[Move]:
    """The newest 100 moves, newest first, of the pipelines beside that of this ClearML project: two requests."""
    base = re.escape(f"{project.rpartition(PIPELINES)[0]}{PIPELINES}")
    both = clearml.call(
        "projects.get_all",
        name=f"^{base}({CHECKS}|{promotion.PIPELINE})$",
        only_fields=["id", "name"],
        search_hidden=True,
    )["projects"]
    if not both:
        return []
    found = clearml.call(
        "tasks.get_all_ex",
        project=[one["id"] for one in both],
        type=["controller"],
        tags=[MOVED_TAG],
        only_fields=["id", f"configuration.{LEDGER}"],
        order_by=["-created"],
        page=0,
        page_size=PAGE,
        search_hidden=True,
    )["tasks"]
    entries = [(task["id"], _entry(task)) for task in found]
    return [move for run, move in entries if move is not None and move.run == run]


def _entry(task: dict[str, Any]) -> Move | None:
    item = (task.get("configuration") or {}).get(LEDGER)
    try:
        return promotion.from_document(json.loads(item["value"])) if item else None
    except ValueError:  # somebody edited it
        return None
