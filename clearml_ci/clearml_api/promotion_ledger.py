"""The ledger of promotions: each move of the best tag, recorded on the run that makes it.

An entry is a configuration object of the run, and the run is tagged, so that one request finds all moves. Clones copy
both: an entry counts only on the run that it names.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from clearml_ci.clearml_api import best_tag, configuration_objects, paging, reference_ledger, run_results, task_tags
from clearml_ci.clearml_api.paging import Record
from clearml_ci.clearml_api.project_lookup import PIPELINES
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.clearml_api.task_status import LIVE
from clearml_ci.core import console
from clearml_ci.decisions import promotion
from clearml_ci.decisions.promotion import Move
from clearml_ci.decisions.reference_tags import Change
from clearml_ci.parameters import check, promotion_mode

MOVED_TAG = "moved the best"


LEDGER = "ledger"


FIELDS = [f"configuration.{LEDGER}", f"configuration.{reference_ledger.NAME}"]  # what `own_move` reads, and a change


_MOST = 5000  # entries that are read, 500 a request


def record(clearml: ClearML, move: Move) -> None:
    """Store a move on the run that makes it, and tag the run; a run whose move was lost is untagged."""
    configuration_objects.store(clearml, move.run, LEDGER, promotion.as_entry(move))
    if move.state == promotion.LOST:
        best_tag.remove_tag(clearml, [move.run], MOVED_TAG)
    else:
        best_tag.add_tag(clearml, move.run, MOVED_TAG)


def moves(clearml: ClearML, project: str, **filters: Any) -> list[Move]:
    """The moves among the newest 5,000 entries, newest first, of the repository that this run's ClearML project is of.

    `filters` narrow the runs that made them, as those of `paging.records`.
    """
    return list(_moves(_runs(clearml, project, [MOVED_TAG], **filters)))


def with_changes(clearml: ClearML, project: str) -> tuple[list[Move], list[Change]]:
    """The moves, and the changes of references, newest first: read as those of `moves`, in the same request."""
    runs = _runs(clearml, project, [MOVED_TAG, reference_ledger.CHANGED_TAG])
    return list(_moves(runs)), [change for run in runs if (change := reference_ledger.entry(run))]


def _runs(clearml: ClearML, project: str, tags: Sequence[str], **filters: Any) -> list[Record]:
    """The newest runs with one of these tags, and their entries."""
    base = re.escape(f"{project.rpartition(PIPELINES)[0]}{PIPELINES}")
    pipelines = f"^{base}({check.PIPELINE}|{promotion_mode.PIPELINE})$"  # those whose runs move the tag
    projects = [found["id"] for found in paging.records(clearml, "projects", name=pipelines, only_fields=["id"])]
    if not projects:
        return []
    runs = paging.records(
        clearml,
        "tasks",
        project=projects,
        type=["controller"],
        tags=tags,
        only_fields=FIELDS,
        order_by=["-created"],
        **filters,
    )
    newest = list(islice(runs, _MOST))
    if len(newest) == _MOST:
        console.log(f"only the newest {_MOST} promotions of '{project}' are read: older ones count as never made")
    return newest


def _moves(runs: Iterable[Mapping[str, Any]]) -> Iterator[Move]:
    """The moves of these runs."""
    return filter(None, map(own_move, runs))


def own_move(run: Mapping[str, Any]) -> Move | None:
    """The move that this run, read with FIELDS, recorded; None if it cannot be read, or names another run."""
    item = (run.get("configuration") or {}).get(LEDGER)
    try:
        move = promotion.from_entry(json.loads(item["value"])) if item else None
    except (ValueError, RecursionError):  # a user edited it
        return None
    return move if move and move.run == run["id"] else None


def concurrent_moves(clearml: ClearML, project: str, move: Move) -> list[Move]:
    """The other moves that this one waits for. One whose step has ended was interrupted, and changes nothing."""
    others = promotion.concurrent_moves(moves(clearml, project, status=list(LIVE)), move)
    steps = ((other, run_results.steps(clearml, other.run).get("promote")) for other in others)
    return [other for other, step in steps if step and step.status in LIVE]


def still_tagged(clearml: ClearML, moves: Sequence[Move]) -> set[str]:
    """The tasks to which these moves gave the tag and that carry it now: one request."""
    tags = task_tags.read(clearml, sorted({move.to for move in moves}))
    return {move.to for move in moves if move.tag in tags.get(move.to, [])}
