"""Read the runs of the past of a repository: its checks, its merges, and what their promotions recorded."""

import re
from collections.abc import Mapping, Sequence
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


def read(clearml: ClearML, pipelines: str) -> list[PastRun]:
    """The newest 5,000 checks and promotions below the ClearML project `pipelines`, newest first: 500 a request."""
    names = f"^{re.escape(pipelines + PIPELINES)}({check.PIPELINE}|{promotion_mode.PIPELINE})$"
    projects = [found["id"] for found in paging.records(clearml, "projects", name=names, only_fields=["id"])]
    if not projects:
        return []
    runs = paging.records(
        clearml, "tasks", project=projects, type=["controller"], only_fields=_FIELDS, order_by=["-created"]
    )
    return [_run(run) for run in islice(runs, _MOST)]


def of_pipeline(runs: Sequence[PastRun], pipeline: str) -> list[PastRun]:
    """Those of the runs that are of this pipeline."""
    return [run for run in runs if run.pipeline == pipeline]


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
