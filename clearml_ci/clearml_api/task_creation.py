"""Create draft tasks through the SDK, which knows how an agent wants a script described."""

from collections.abc import Callable
from typing import Any

from clearml import PipelineController, Task

from clearml_ci.clearml_api.session import ClearMLError
from clearml_ci.core import redaction
from clearml_ci.core.git_source import Source

TaskTypes = Task.TaskTypes


def task(*, project: str, name: str, source: Source, **options: Any) -> str:
    """The id of a new draft of an agent's task; `options` are those of `Task.create`. Raises ClearMLError."""
    return _create(Task.create, project, name, source, options)


def pipeline(*, project: str, name: str, source: Source, **options: Any) -> str:
    """The id of a new draft of a pipeline; `options` are those of `PipelineController.create`. Raises ClearMLError."""
    return _create(PipelineController.create, project, name, source, options)


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
