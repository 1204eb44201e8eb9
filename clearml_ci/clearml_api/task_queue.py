"""Enqueue a task exactly once, also if the answer to the request is lost."""

import contextlib

from clearml_ci.clearml_api import task_status
from clearml_ci.clearml_api.session import ClearML, ClearMLError, LostAnswerError

_REQUESTS = 3


def enqueue(clearml: ClearML, task: str, *, queue: str) -> None:
    """Enqueue a draft on the queue of this id: ClearML would create an unknown queue of a name silently.

    A task that is a draft no more was enqueued by an earlier request whose answer was lost. Raises ClearMLError.
    """
    for _ in range(_REQUESTS - 1):
        with contextlib.suppress(LostAnswerError):
            return _request(clearml, task, queue)
    return _request(clearml, task, queue)


def _request(clearml: ClearML, task: str, queue: str) -> None:
    try:
        clearml.call("tasks.enqueue", task=task, queue=queue)
    except ClearMLError:
        if task_status.read(clearml, task) == "created":
            raise
