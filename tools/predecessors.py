"""The work of the predecessors' two actions, by the same calls of the SDK, for comparison: see `make bench`.

    python -m tools.predecessors get-stats | detect-degradation

Project, task name, commit, metric and tag are read from the variables that the actions take.
"""

import os
import sys
from typing import Any

from clearml import Task


def _task_of_commit() -> Any:
    """The newest completed task of the commit without uncommitted changes."""
    found = Task.query_tasks(
        project_name=os.environ["CLEARML_PROJECT"],
        task_name=os.environ["CLEARML_TASK_NAME"],
        task_filter={
            "order_by": ["-last_update"],
            "_all_": {"fields": ["script.version_num"], "pattern": os.environ["COMMIT_ID"]},
            "status": ["completed"],
        },
        additional_return_fields=["script.diff"],
    )
    task = next(entry for entry in found if not entry["script.diff"])
    return Task.get_task(task_id=task["id"])


def get_stats() -> None:
    """Print the last values of the commit's task; the action posts them as a comment."""
    for title, series in _task_of_commit().get_last_scalar_metrics().items():
        for name, values in series.items():
            print(title, name, values)


def detect_degradation() -> None:
    """Compare the highest value of the commit's task with that of the tagged one."""
    task = _task_of_commit()
    best = Task.get_task(
        project_name=os.environ["CLEARML_PROJECT"],
        task_name=os.environ["CLEARML_TASK_NAME"],
        tags=[os.environ["CLEARML_BEST_TAGNAME"]],
    )
    print(_highest(task), _highest(best))


def _highest(task: Any) -> float:
    scalars = task.get_reported_scalars()[os.environ["CLEARML_SCALAR_TITLE"]]
    return float(max(scalars[os.environ["CLEARML_SCALAR_SERIES"]]["y"]))


ACTIONS = {"get-stats": get_stats, "detect-degradation": detect_degradation}


if __name__ == "__main__":
    ACTIONS[sys.argv[1]]()
