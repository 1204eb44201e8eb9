"""The tags of tasks: read them, add some, remove some; users' other tags stay."""

from collections.abc import Sequence

from clearml_ci.clearml_api import task_fields
from clearml_ci.clearml_api.session import ClearML, ClearMLError, LostAnswerError


def read(clearml: ClearML, tasks: Sequence[str]) -> dict[str, list[str]]:
    """The tags of those of these tasks that exist, by id: one request."""
    return {id_: task.get("tags") or [] for id_, task in task_fields.read_existing(clearml, tasks, ["tags"]).items()}


def update(clearml: ClearML, tasks: Sequence[str], *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
    """Add and remove tags of tasks in any status; without a task or a tag, nothing is requested.

    If the answer is lost, the tags are read back, and the rest is requested once more.
    """
    if not tasks or not (add or remove):
        return
    try:
        _request(clearml, tasks, add=add, remove=remove)
    except LostAnswerError:
        present = read(clearml, tasks)
        left = [task for task in present if not {*add} <= {*present[task]} or {*remove} & {*present[task]}]
        if left:
            _request(clearml, left, add=add, remove=remove)


def _request(clearml: ClearML, tasks: Sequence[str], *, add: Sequence[str], remove: Sequence[str]) -> None:
    """Add and remove tags. Older servers lack `tasks.update_tags`: then the tags are read and written."""
    try:
        clearml.call("tasks.update_tags", ids=list(tasks), add_tags=list(add), remove_tags=list(remove))
    except ClearMLError as error:
        if "endpoint" not in str(error).split("refused:")[-1].lower():
            raise
        for task in tasks:
            present = task_fields.read(clearml, task, ["tags"]).get("tags") or []
            kept = [tag for tag in present if tag not in remove]
            clearml.call("tasks.edit", task=task, tags=sorted({*kept, *add}), force=True)
