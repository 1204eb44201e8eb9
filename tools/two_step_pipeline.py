"""A pipeline of two functions with ClearML's own defaults, for comparison: see `make bench`.

    python tools/two_step_pipeline.py PROJECT CONTROLLERS_QUEUE STEPS_QUEUE

It prints the id of the pipeline's task, enqueues it, and ends; an agent runs this script again as the controller.
"""

import os
import sys
import tempfile
from pathlib import Path

from clearml import PipelineController


def first(number):  # type: ignore[no-untyped-def]  # the SDK copies its source into a task
    """Return a number that the second step takes."""
    return number + 1


def second(number):  # type: ignore[no-untyped-def]
    """Print what the first step returned."""
    print(f"the first step returned {number}")


def _hide_repositories() -> None:
    """Keep git from looking above the folders in which an agent runs this script.

    They lie in the clone of ClearML CI, which the SDK would take for the functions' own repository, with its packages.
    """
    parents = [*Path.cwd().parents, *Path(tempfile.gettempdir()).parents]
    os.environ["GIT_CEILING_DIRECTORIES"] = os.pathsep.join(map(str, parents))


def main(project: str, controllers: str, steps: str) -> None:
    """Declare the pipeline, and start it on the queues."""
    _hide_repositories()
    pipeline = PipelineController(name="two steps", project=project, repo="")
    print(f"pipeline {pipeline.task.id}", flush=True)
    pipeline.set_default_execution_queue(steps)
    pipeline.add_function_step("first", first, function_kwargs={"number": 1}, function_return=["number"])
    pipeline.add_function_step("second", second, function_kwargs={"number": "${first.number}"}, parents=["first"])
    pipeline.start(queue=controllers)  # the SDK ends this process here, unless an agent started it


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["", "", ""]))
