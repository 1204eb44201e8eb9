"""The task that shows a backtest in ClearML: a page with plots, which ran no code and is no evidence for a commit."""

import secrets
from collections.abc import Sequence

from clearml_ci.clearml_api import paging, project_lookup, task_fields, task_plots
from clearml_ci.clearml_api.session import ClearML, ClearMLError, LostAnswerError
from clearml_ci.core import redaction
from clearml_ci.core.plot import Plot

TAG = "backtest"


def create(clearml: ClearML, *, project: str, name: str, comment: str, plots: Sequence[Plot]) -> str:
    """Create a completed task with these plots in the project of this name; the address of its page.

    Raises ClearMLError, also if there is no such project.
    """
    project_id = project_lookup.id_of(clearml, project)
    if project_id is None:
        raise ClearMLError(f"no ClearML project '{project}': it begins with the first check; run one, or `register`")
    task = _created(clearml, project_id, redaction.outgoing(name), redaction.outgoing(comment))
    clearml.call("tasks.started", task=task)
    try:
        task_plots.report(clearml, {task: plots})
    except ClearMLError:
        clearml.call("tasks.failed", task=task)
        raise
    clearml.call("tasks.completed", task=task)
    return clearml.task_url(task_fields.read(clearml, task, ["project.id"]))


def _created(clearml: ClearML, project: str, name: str, comment: str) -> str:
    """The id of a new task; if the answer is lost, it is found by a tag of its own."""
    key = f"{TAG} {secrets.token_hex(8)}"
    fields = {"project": project, "name": name, "comment": comment, "type": "custom", "tags": [TAG, key]}
    try:
        return str(clearml.call("tasks.create", **fields)["id"])
    except LostAnswerError:
        found = paging.records(clearml, "tasks", project=[project], tags=[key], only_fields=["id"])
        if task := next(found, None):
            return str(task["id"])
        raise
