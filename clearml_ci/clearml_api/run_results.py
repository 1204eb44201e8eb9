"""What the steps of a run leave: a result on each step's task, and the verdict on the run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clearml import Task

from clearml_ci.clearml_api import ownership, pipeline_runs, task_fields, task_parameters
from clearml_ci.clearml_api.session import ClearML, ClearMLError

RESULT = "result"  # a configuration object


@dataclass(frozen=True)
class Step:
    """One step of a run: its ClearML status, and its result, or None before it has left one."""

    id: str
    name: str
    status: str
    result: dict[str, Any] | None


def steps(clearml: ClearML, run_id: str) -> dict[str, Step]:
    """The steps that the run has started so far, by name: of several with one name, the newest."""
    tasks = pipeline_runs.own_tasks(clearml, run_id, fields=["name", "status", f"configuration.{RESULT}"])
    own = [task for task in tasks if ownership.purpose_of(task) == "step"]
    return {task["name"]: Step(task["id"], task["name"], task["status"], _result(task)) for task in own}


def _result(task: Mapping[str, Any]) -> dict[str, Any] | None:
    item = (task.get("configuration") or {}).get(RESULT)
    return json.loads(item["value"]) if item else None


def store(clearml: ClearML, task: str, result: Mapping[str, Any]) -> None:
    """Store a step's result on its own task, in a form that people can read in the web UI."""
    item = {"name": RESULT, "type": "json", "value": json.dumps(result, indent=1)}
    clearml.call("tasks.edit", task=task, configuration={RESULT: item}, force=True)


def publish_verdict(clearml: ClearML, run_id: str, verdict: Mapping[str, Any]) -> None:
    """Store the verdict as an artifact of the run, and its summary in the user properties. Raises ClearMLError."""
    task = Task.get_task(task_id=task_fields.require_id(run_id))
    if not task.upload_artifact("verdict", dict(verdict), wait_on_upload=True):
        raise ClearMLError(f"the verdict could not be stored on the run {run_id}: check ClearML's file server")
    summary = {key: str(verdict[key] or "") for key in ("outcome", "exit_reason", "commit", "pull_request")}
    if verdict["rerun"]:
        summary["rerun"] = verdict["rerun"]["said"]
    task_parameters.set_properties(clearml, run_id, summary)
