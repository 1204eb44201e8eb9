"""The mark of a run that a job started: its `Args` at the start, in `runtime`, with the id of the run itself.

Clones copy no `runtime`, and Reset clears it, so every run without the mark is a rerun.
"""

import json
from collections.abc import Mapping
from typing import Any

from clearml_ci.clearml_api import task_fields, task_parameters
from clearml_ci.clearml_api.session import ClearML

_OWN, _WITH = "clearml_ci_started", "clearml_ci_started_with"


REPORTED = "reported"  # a user property: the run's own id, and the step that has reported


FIELDS = [*(f"runtime.{name}" for name in (_OWN, _WITH)), f"hyperparams.properties.{REPORTED}"]


def mark(clearml: ClearML, run: str) -> None:
    """Mark a run as started by a job, with its `Args` as they are now. Idempotent while no user edits them."""
    arguments = task_parameters.values(task_fields.read(clearml, run, ["hyperparams.Args"]), "Args")
    task_fields.add_runtime(clearml, run, {_OWN: run, _WITH: json.dumps(arguments)})


def started_with(task: Mapping[str, Any]) -> dict[str, str] | None:
    """The `Args` that a job started this run with, read with FIELDS; None if no job did."""
    runtime = task.get("runtime") or {}
    if runtime.get(_OWN) != task["id"]:
        return None
    try:
        found = json.loads(runtime.get(_WITH) or "")
    except (ValueError, RecursionError):
        return None
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else None


def mark_reported(clearml: ClearML, run: str, *, step: str) -> None:
    """Record that this step has reported the run: from then on its next execution is a rerun."""
    task_parameters.set_properties(clearml, run, {REPORTED: f"{run} by {step}"})


def reported_by(task: Mapping[str, Any]) -> str:
    """The step that has reported this run, read with FIELDS; "" if none has. A clone copies that of another run."""
    own, _, step = task_parameters.values(task, "properties").get(REPORTED, "").partition(" by ")
    return step if own == task["id"] else ""
