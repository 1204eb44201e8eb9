"""Read the runs of the past of a repository: its checks, its merges, and what their promotions recorded."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from clearml_ci.clearml_api import paging, promotion_ledger, reference_ledger, task_parameters
from clearml_ci.clearml_api.project_lookup import PIPELINES
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions.promotion import Move
from clearml_ci.decisions.reference_tags import Change
from clearml_ci.parameters import check, promotion_mode

_MOST = 5000  # runs that are read, 500 a request


_FIELDS = [
    *("id", "status", "created", "completed", "project.name", "hyperparams.Args", "hyperparams.properties"),
    *promotion_ledger.FIELDS,
]


@dataclass(frozen=True)
class PastRun:
    """A run of `pr_check` or `promote`, by the name of its `pipeline`; `outcome` is None if it left no verdict.

    `ended` is the moment at which it ended, by the server's clock, or at which it was created if it has no end.
    """

    id: str
    pipeline: str
    status: str
    ended: str
    arguments: Mapping[str, str]
    outcome: Outcome | None
    move: Move | None
    change: Change | None


def read(clearml: ClearML, pipelines: str, *, name: str, most: int) -> list[PastRun]:
    """The newest checks and promotions below the ClearML project `pipelines`, newest first: 500 a request.

    They end with the checks of this name of so many commits, or after 5,000 runs: what was before them, the first
    promotion that is read has recorded.
    """
    names = f"^{re.escape(pipelines + PIPELINES)}({check.PIPELINE}|{promotion_mode.PIPELINE})$"
    projects = [found["id"] for found in paging.records(clearml, "projects", name=names, only_fields=["id"])]
    if not projects:
        return []
    runs = paging.records(
        clearml, "tasks", project=projects, type=["controller"], only_fields=_FIELDS, order_by=["-created"]
    )
    found: list[PastRun] = []
    commits: set[str] = set()
    for run in map(_run, islice(runs, _MOST)):
        if run.pipeline == check.PIPELINE and run.arguments.get(check.NAME, "") == name:
            commits.add(run.arguments.get("commit", ""))
        if len(commits) > most:
            break
        found.append(run)
    return found


def _run(run: Mapping[str, Any]) -> PastRun:
    return PastRun(
        id=run["id"],
        pipeline=str((run.get("project") or {}).get("name") or "").rpartition("/")[2],
        status=run.get("status") or "",
        ended=run.get("completed") or run.get("created") or "",
        arguments=task_parameters.values(run, "Args"),
        outcome=_outcome(task_parameters.values(run, "properties").get("outcome", "")),
        move=promotion_ledger.own_move(run),
        change=reference_ledger.entry(run),
    )


def _outcome(text: str) -> Outcome | None:
    return next((outcome for outcome in Outcome if outcome == text), None)
