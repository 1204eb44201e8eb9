"""The draft of a task that a check launches: the code that it runs, and how its agent sets it up."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clearml_ci.clearml_api import ownership, paging, pipeline_runs, task_creation, task_fields
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.git_source import Source
from clearml_ci.parameters.remote_run import RemoteRun

_STEP = "clearml_ci_step"  # beside the marks of ownership: the step that made the task
STEP_FIELD = f"runtime.{_STEP}"


_NAME = "ClearML CI draft of"  # of an incomplete draft; `task_creation` adds a key to it
INCOMPLETE = f"{_NAME} [0-9a-f]{{32}}( [0-9a-f]+)?"


_TASK_TYPES = {"probe": "testing", "tests": "testing", "training": "training"}  # names of `Task.TaskTypes`
PURPOSES = tuple(_TASK_TYPES)


@dataclass(frozen=True)
class Code:
    """The commit that the agent clones and the packages that it installs.

    `packages` None leaves the packages to the agent, which reads requirements.txt.
    """

    repository: str
    commit: str
    packages: list[str] | None
    inject_task_init: bool


def create(
    clearml: ClearML,
    launch: RemoteRun,
    code: Code,
    *,
    run: str,
    step: str = "",
    parent: str | None = None,
    marks: Mapping[str, str] | None = None,
) -> str:
    """The id of a draft that an agent can run, marked as this run's and a child of it. Raises ClearMLError.

    It has its own name once it is complete; before, its name is made of the id of the `step`. `parent` is another one
    than the run, "" for none. `marks` are further runtime properties.
    """
    task = task_creation.task(
        clearml,
        project=launch.project,
        name=_incomplete(step or run),
        source=Source(code.repository, code.commit),
        task_type=_TASK_TYPES[launch.purpose],
        script=launch.script or None,
        module=launch.module or None,
        working_directory=launch.folder,
        packages=code.packages,
        docker=launch.docker_image or None,
        docker_args=launch.docker_args or None,
        argparse_args=list(launch.args) or None,
        add_task_init_call=code.inject_task_init,
    )
    made = {**ownership.marks(task, run=run, purpose=launch.purpose), _STEP: step, **(marks or {})}
    child_of = {"parent": run if parent is None else parent}
    task_fields.add_runtime(clearml, task, made, **(child_of if child_of["parent"] else {}), name=launch.name)
    return task


def made_by(clearml: ClearML, launch: RemoteRun, *, run: str, step: str) -> list[str]:
    """The complete tasks that an interrupted execution of a step has made for this purpose, oldest first.

    Incomplete ones are deleted. A task that another ClearML user made is not the step's.
    """
    user = delete_incomplete(clearml, step)
    found = pipeline_runs.own_tasks(clearml, run, ["user", STEP_FIELD])
    return [
        task["id"]
        for task in found
        if ownership.purpose_of(task) == launch.purpose
        and step_of(task) == step
        and task_fields.reference_id(task.get("user")) == user
    ]


def delete_incomplete(clearml: ClearML, step: str) -> str:
    """Delete the incomplete drafts that an interrupted execution of a step has left; the id of the ClearML user.

    A draft that another user made is not the step's.
    """
    keyed = f"^{_incomplete(step)}( [0-9a-f]+)?$"
    drafts = paging.records(clearml, "tasks", name=keyed, status=["created"], only_fields=["user"])
    user = str(clearml.call("users.get_current_user")["user"]["id"])
    for draft in drafts:
        if task_fields.reference_id(draft.get("user")) == user:
            clearml.call("tasks.delete", task=draft["id"])
    return user


def step_of(task: Mapping[str, Any]) -> str:
    """The step that made this task, read with STEP_FIELD; empty if no agent ran the step."""
    return str((task.get("runtime") or {}).get(_STEP) or "")


def maker_of(name: str) -> str:
    """The step that made the incomplete draft of this name, or its run; empty if the name is none of ours."""
    return name.removeprefix(f"{_NAME} ").partition(" ")[0] if re.fullmatch(INCOMPLETE, name) else ""


def _incomplete(step: str) -> str:
    return f"{_NAME} {step}"
