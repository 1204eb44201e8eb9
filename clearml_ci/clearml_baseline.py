"""The tag of the best, the stamps of those that get it, and the ledger of its moves. A part of the ClearML gateway.

A move is stored as a configuration object of the pipeline run that makes it, and the run is tagged, so that one request
finds all moves. Clones copy both: an entry counts only on the run that it names.
"""

import contextlib
import json
import re
from collections.abc import Sequence
from typing import Any

from clearml_ci import clearml_gateway, clearml_runs, promotion, settling
from clearml_ci.check import NAME
from clearml_ci.check import PIPELINE as CHECKS
from clearml_ci.clearml_gateway import LIVE, PAGE, ClearML, ClearMLError
from clearml_ci.clearml_runs import PIPELINES, Run
from clearml_ci.clearml_tasks import STAMP
from clearml_ci.promotion import Move
from clearml_ci.settling import Stamp

MOVED_TAG = "moved the best"
LEDGER = "ledger"
MAIN_TAG = "main_branch"
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


def stamps(clearml: ClearML, tasks: Sequence[str]) -> dict[str, Stamp | None]:
    """The stamps of tasks, None where one was tagged by hand or never. One request."""
    found = clearml_gateway.fields_of_all(clearml, tasks, [f"runtime.{STAMP}"])
    return {task["id"]: settling.stamp_of(str((task.get("runtime") or {}).get(STAMP) or "")) for task in found}


def stamp(clearml: ClearML, task: str, given: Stamp) -> None:
    """Before a task gets the tag, so that everyone who sees the tag sees the stamp."""
    clearml_gateway.add_runtime(clearml, task, {STAMP: settling.stamp_text(given)})


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
    """Store a move on the run that makes it. The tag, by which all moves are found, is not for one that was lost."""
    item = {"name": LEDGER, "type": "json", "value": json.dumps(promotion.to_document(move), indent=1)}
    clearml.call(
        "tasks.edit_configuration", task=move.run, configuration=[item], replace_configuration=False, force=True
    )
    if move.state == promotion.LOST:
        remove_tag(clearml, [move.run], MOVED_TAG)
    else:
        add_tag(clearml, move.run, MOVED_TAG)


def moves(clearml: ClearML, project: str, **where: Any) -> list[Move]:
    """The newest 100 moves, newest first, of the pipelines beside that of this ClearML project: two requests.

    `where` narrows the runs that made them, as filters of `tasks.get_all_ex`.
    """
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
        **where,
    )["tasks"]
    entries = [(task["id"], _entry(task)) for task in found]
    return [move for run, move in entries if move is not None and move.run == run]


def in_the_way(clearml: ClearML, project: str, of: Move) -> list[Move]:
    """The other moves that this one waits for, while their steps are at it: what was interrupted changes nothing."""
    found = promotion.in_the_way(moves(clearml, project, status=list(LIVE)), of)
    steps = ((move, clearml_runs.steps(clearml, move.run).get("promote")) for move in found)
    return [move for move, step in steps if step and step.status in LIVE]


def carrying(clearml: ClearML, moves: Sequence[Move]) -> set[str]:
    """The tasks to which these moves gave the tag, and that carry it now; those that are gone do not. One request."""
    if not moves:
        return set()
    found = clearml.call(
        "tasks.get_all_ex",
        id=sorted({move.to for move in moves}),
        only_fields=["id", "tags"],
        page=0,
        page_size=PAGE,
        search_hidden=True,
    )["tasks"]
    tags = {task["id"]: task.get("tags") or [] for task in found}
    return {move.to for move in moves if move.tag in tags.get(move.to, [])}


def _entry(task: dict[str, Any]) -> Move | None:
    item = (task.get("configuration") or {}).get(LEDGER)
    try:
        return promotion.from_document(json.loads(item["value"])) if item else None
    except ValueError:  # somebody edited it
        return None
