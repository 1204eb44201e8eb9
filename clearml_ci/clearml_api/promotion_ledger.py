import json
import re
from collections.abc import Sequence
from typing import Any

from clearml_ci.clearml_api import pipeline_runs
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.best_tag import add_tag, remove_tag
from clearml_ci.clearml_api.pipeline_runs import PIPELINES, Run
from clearml_ci.clearml_api.session import LIVE, PAGE, ClearML
from clearml_ci.core.documents import TaskDocument
from clearml_ci.decisions import promotion
from clearml_ci.decisions.promotion import Move
from clearml_ci.parameters import promotion_mode
from clearml_ci.parameters.check import NAME
from clearml_ci.parameters.check import PIPELINE as CHECKS

MOVED_TAG = "moved the best"


LEDGER = "ledger"


def judged_candidate(clearml: ClearML, run: Run, *, commit: str, name: str) -> TaskDocument | None:
    """The candidate of the newest completed check of a commit, as its verdict names it; None where there is none.

    `name` is that of the check: those of other models of the repository judged other tasks.
    """
    project = clearml_session.project_id(clearml, f"{run.project.rpartition(PIPELINES)[0]}{PIPELINES}{CHECKS}")
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
        asked = clearml_session.values(one, "Args")
        if (asked.get("commit"), asked.get(NAME, "")) != (commit, name):
            continue
        verdict = pipeline_runs.results(clearml, one["id"])["report"].get("verdict")
        if verdict and verdict["candidate"]:
            return verdict["candidate"]
    return None


def record(clearml: ClearML, move: Move) -> None:
    """Store a move on the run that makes it. The tag, by which all moves are found, is not for one that was lost."""
    item = {"name": LEDGER, "type": "json", "value": json.dumps(promotion.as_entry(move), indent=1)}
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
        name=f"^{base}({CHECKS}|{promotion_mode.PIPELINE})$",
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
    found = promotion.concurrent_moves(moves(clearml, project, status=list(LIVE)), of)
    steps = ((move, pipeline_runs.steps(clearml, move.run).get("promote")) for move in found)
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
        return promotion.from_entry(json.loads(item["value"])) if item else None
    except ValueError:  # somebody edited it
        return None
