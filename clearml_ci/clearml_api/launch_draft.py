"""The draft of a task that a check launches: the code that it runs, and how its agent sets it up."""

from dataclasses import dataclass

from clearml_ci.clearml_api import ownership, task_creation
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.clearml_api.task_creation import TaskTypes
from clearml_ci.core.git_source import Source
from clearml_ci.parameters.remote_run import RemoteRun

_TASK_TYPES = {"probe": TaskTypes.testing, "tests": TaskTypes.testing, "training": TaskTypes.training}


@dataclass(frozen=True)
class Code:
    """The commit that the agent clones and the packages that it installs.

    `packages` None leaves the packages to the agent, which reads requirements.txt.
    """

    repository: str
    commit: str
    packages: list[str] | None
    inject_task_init: bool


def create(clearml: ClearML, launch: RemoteRun, code: Code, *, run: str) -> str:
    """The id of a draft that an agent can run, marked as this run's and a child of it. Raises ClearMLError."""
    task = task_creation.task(
        clearml,
        project=launch.project,
        name=launch.name,
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
    clearml.call("tasks.edit", task=task, parent=run)
    ownership.mark(clearml, task, run=run, purpose=launch.purpose)
    return task
