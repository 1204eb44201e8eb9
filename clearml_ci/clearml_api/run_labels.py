"""Name and tags of a run: what ClearML's list of runs shows.

The job labels the run that it starts, and each controller its own: a clone copies tags, properties and description.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from clearml_ci.clearml_api import (
    acceptance_ledger,
    promotion_ledger,
    reference_ledger,
    run_outcome,
    task_fields,
    task_parameters,
    task_tags,
)
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import console, redaction
from clearml_ci.decisions import run_labels
from clearml_ci.decisions.run_labels import OUTCOMES

_FIELDS = [
    *("name", "tags", "comment", "project.name", "hyperparams.Args", "hyperparams.properties"),
    *promotion_ledger.FIELDS,
]


def put_in_order(clearml: ClearML, run: str, *, rerun: bool, arguments: Mapping[str, str] | None = None) -> None:
    """Name a run that still has the server's name, and remove what its clone copied of an earlier verdict.

    Idempotent. `arguments` are those by which the run is judged, if they are not the recorded ones. A refusal is
    logged: no check depends on it.
    """
    try:
        _put_in_order(clearml, run, rerun, arguments)
    except ClearMLError as error:
        console.log(f"name and tags of the run {run} stay as they are: {error}")


def _put_in_order(clearml: ClearML, run: str, rerun: bool, arguments: Mapping[str, str] | None) -> None:
    task = task_fields.read(clearml, run, _FIELDS)
    pipeline = str(task["project"]["name"]).rpartition("/")[2]
    given = task_parameters.values(task, "Args") if arguments is None else arguments
    labels = run_labels.of(pipeline, given, date=_today(clearml), rerun=rerun)
    if re.fullmatch(rf"{re.escape(pipeline)}( #\d+)?", task["name"]):  # start_pipeline names it so
        clearml.call("tasks.update", task=run, name=redaction.outgoing(labels.name))
    tags = task.get("tags") or []
    task_tags.update(
        clearml,
        [run],
        add=sorted({*labels.tags} - {*tags}),
        remove=[*run_labels.stale(tags, labels.tags), *_of_other_runs(task)],
    )
    _forget_verdict(clearml, task)


def _today(clearml: ClearML) -> str:
    return datetime.fromtimestamp(clearml.clock.now() + clearml.ahead, tz=timezone.utc).date().isoformat()


def _of_other_runs(task: Mapping[str, Any]) -> list[str]:
    """The tags of a move or a change that another run made; a run that was reset keeps its own.

    An accepted loss is one of an earlier execution: this one has judged nothing yet.
    """
    own = {
        acceptance_ledger.TAG: None,
        promotion_ledger.MOVED_TAG: promotion_ledger.own_move(task),
        reference_ledger.CHANGED_TAG: reference_ledger.entry(task),
    }
    return [tag for tag in task.get("tags") or [] if tag in own and own[tag] is None]


def _forget_verdict(clearml: ClearML, task: Mapping[str, Any]) -> None:
    """Clear the verdict of an earlier run; a description that a user wrote stays."""
    properties = task_parameters.values(task, "properties")
    if copied := {name: "" for name in run_outcome.PROPERTIES if properties.get(name)}:
        task_parameters.set_properties(clearml, task["id"], copied)
    if (task.get("comment") or "").startswith(tuple(f"{outcome}: " for outcome in OUTCOMES)):
        clearml.call("tasks.update", task=task["id"], comment="")
