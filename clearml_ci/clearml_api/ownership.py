"""The mark of ownership: which run made a task, and for which purpose. Only marked tasks are stopped or archived.

The mark is in `runtime` and names the task itself: clones copy tags and the parent, but no runtime.
"""

from collections.abc import Mapping
from typing import Any

from clearml_ci.clearml_api import task_fields
from clearml_ci.clearml_api.session import ClearML

OWN_MARK, RUN_MARK, PURPOSE_MARK = "clearml_ci_task", "clearml_ci_run", "clearml_ci_purpose"


FIELDS = [f"runtime.{mark}" for mark in (OWN_MARK, RUN_MARK, PURPOSE_MARK)]  # what the functions below read


def mark(clearml: ClearML, task: str, *, run: str, purpose: str) -> None:
    """Mark a task as made by a run. `purpose` is `run`, `step`, `schedule`, `probe`, `tests` or `training`."""
    task_fields.add_runtime(clearml, task, marks(task, run=run, purpose=purpose))


def marks(task: str, *, run: str, purpose: str) -> dict[str, str]:
    """The runtime properties of a marked task."""
    return {OWN_MARK: task, RUN_MARK: run, PURPOSE_MARK: purpose}


def is_owned(clearml: ClearML, task: str, *, run: str) -> bool:
    """True if the task on the server carries this run's mark."""
    return is_marked(task_fields.read(clearml, task, FIELDS), run)


def is_marked(task: Mapping[str, Any], run: str) -> bool:
    """True if a task, read with FIELDS, carries this run's mark."""
    return bool(run) and run_of(task) == run


def purpose_of(task: Mapping[str, Any]) -> str:
    """The purpose for which a run made this task; empty if it is not marked, or carries the mark of another task."""
    return _marked(task, PURPOSE_MARK)


def run_of(task: Mapping[str, Any]) -> str:
    """The run that made this task; empty if it is not marked, or carries the mark of another task."""
    return _marked(task, RUN_MARK)


def _marked(task: Mapping[str, Any], mark: str) -> str:
    runtime = task.get("runtime") or {}
    return str(runtime.get(mark, "")) if runtime.get(OWN_MARK) == task["id"] else ""
