"""Runs that report to commits, with their signs of life: which of them may still post a verdict."""

from collections.abc import Mapping, Sequence
from typing import Any

from clearml_ci.clearml_api import (
    ownership,
    pipeline_runs,
    project_lookup,
    server_time,
    task_fields,
    task_parameters,
    worker_queues,
)
from clearml_ci.clearml_api.paging import Record
from clearml_ci.clearml_api.project_lookup import PIPELINES
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.errors import UsageError
from clearml_ci.core.poll import Clock
from clearml_ci.decisions.stale_checks import KnownRun
from clearml_ci.parameters import check, promotion_mode

_REPORTING = (check.PIPELINE, promotion_mode.PIPELINE)


_FIELDS = [
    *(
        "type",
        "status",
        "status_changed",
        "last_update",
        "last_worker_report",
        "execution.queue",
        "project.id",
        "project.name",
    ),
    *("hyperparams.Args", *ownership.FIELDS),
]


def newest(clearml: ClearML, *, root: str, clock: Clock) -> list[KnownRun]:
    """The newest 100 checks and promotions, each newest first, of the pipeline project `root`, and its drafts."""
    projects = [project_lookup.id_of(clearml, f"{root}{PIPELINES}{pipeline}") for pipeline in _REPORTING]
    found = [run for project in projects if project for run in pipeline_runs.newest(clearml, project, _FIELDS)]
    return _known(clearml, found, root, clock)


def of_ids(clearml: ClearML, ids: Sequence[str], *, root: str, clock: Clock) -> list[KnownRun]:
    """Those of these runs that exist, also below another pipeline project than `root`."""
    return _known(clearml, list(task_fields.read_existing(clearml, ids, _FIELDS).values()), root, clock)


def _known(clearml: ClearML, runs: Sequence[Record], root: str, clock: Clock) -> list[KnownRun]:
    waits = any(run["status"] == "queued" for run in runs)
    served = worker_queues.served_ids(clearml) if waits else frozenset()
    return [_signs(clearml, run, root, served, clock.now()) for run in runs]


def _signs(clearml: ClearML, run: Mapping[str, Any], root: str, served: frozenset[str], now: float) -> KnownRun:
    # While a run waits, it gives no sign of life: it counts how long it has been in its queue.
    queued = run["status"] == "queued"
    sign = str(run.get("status_changed") or "") if queued else server_time.sign_of_life(run)
    commit, name = _told_at(task_parameters.values(run, "Args"))
    return KnownRun(
        id=run["id"],
        url=clearml.task_url(run),
        commit=commit,
        name=name,
        status=run["status"],
        sign=sign,
        silent=server_time.age(clearml, sign, now=now),
        served=task_fields.reference_id((run.get("execution") or {}).get("queue")) in served,
        ours=ownership.is_marked(run, run["id"]) and run["project"]["name"].startswith(f"{root}{PIPELINES}"),
    )


def _told_at(arguments: Mapping[str, str]) -> tuple[str, str]:
    """Commit and name of the status to which a run reports; empty if it has none, or wrong parameters."""
    try:
        found = check.from_arguments(arguments)
    except UsageError:
        return "", ""
    return (found.status_commit, found.check_name) if found.has_status else ("", "")
