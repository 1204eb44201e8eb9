"""Create draft tasks through the SDK, which knows how an agent wants a script described.

The SDK sends a request again if its answer is lost, and the first draft stays. A new draft therefore has a key in its
name, until the others with that key are deleted.
"""

import contextlib
import re
import secrets
from collections.abc import Callable
from typing import Any

from clearml_ci.clearml_api import paging, patience, sdk, task_fields
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import redaction
from clearml_ci.core.git_source import Source


def task(
    clearml: ClearML, *, project: str, name: str, source: Source, task_type: str = "training", **options: Any
) -> str:
    """The id of a new draft of an agent's task; `options` are those of `Task.create`. Raises ClearMLError.

    No other draft is left, also after an error or an abort: a server that does not answer is waited for.
    """
    task_class = sdk.load().Task
    keyed = f"{name} {secrets.token_hex(16)}"
    try:
        draft = _create(
            task_class.create, project, keyed, source, {**options, "task_type": task_class.TaskTypes[task_type]}
        )
        _delete(clearml, keyed, but=draft)
        clearml.call("tasks.edit", task=draft, name=name)
    except BaseException:  # also the exit of a step that its agent ends
        with contextlib.suppress(ClearMLError):
            patience.result(clearml.clock, lambda: _delete(clearml, keyed))
        raise
    return draft


def pipeline(*, project: str, name: str, source: Source, **options: Any) -> str:
    """The id of a new draft of a pipeline; `options` are those of `PipelineController.create`. Raises ClearMLError."""
    return _create(sdk.load().PipelineController.create, project, name, source, options)


def _create(create: Callable[..., Any], project: str, name: str, source: Source, options: dict[str, Any]) -> str:
    try:
        draft = create(
            project_name=project,
            task_name=name,
            repo=source.repository,
            commit=source.commit,
            detect_repository=False,
            **options,
        )
    except Exception as error:  # the SDK raises whatever its layers raise
        reason = redaction.mask(str(error))
        raise ClearMLError(
            f"ClearML could not create the task '{project}/{name}': {reason}; correct what it names, and rerun"
        ) from error
    return str(draft.id)


def unfinished(name: str) -> str:
    """A pattern of the names that a draft of this name has until it is started."""
    return f"{re.escape(name)}( [0-9a-f]{{32}})?"


def _delete(clearml: ClearML, name: str, *, but: str = "") -> None:
    """Delete the drafts with this name, except one."""
    drafts = paging.records(clearml, "tasks", name=f"^{re.escape(name)}$", status=["created"], only_fields=["id"])
    for draft in [draft["id"] for draft in drafts if draft["id"] != but]:
        delete(clearml, draft)


def delete(clearml: ClearML, draft: str) -> None:
    """Delete a draft. Raises ClearMLError, and deletes nothing, if it is no draft any more."""
    try:
        clearml.call("tasks.delete", task=draft)
    except ClearMLError:  # a request whose answer was lost may have deleted it
        if task_fields.read_existing(clearml, [draft], ["id"]):
            raise
