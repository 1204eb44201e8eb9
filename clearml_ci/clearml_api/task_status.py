"""The statuses of tasks that ended and of tasks that are queued or run."""

from clearml_ci.clearml_api import task_fields
from clearml_ci.clearml_api.session import ClearML

ENDED = ("completed", "published", "closed", "failed", "stopped")


LIVE = ("queued", "in_progress")


def read(clearml: ClearML, task: str) -> str:
    """The current status of a task. Raises ClearMLError."""
    return str(task_fields.read(clearml, task, ["status"])["status"])
