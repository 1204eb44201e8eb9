"""Create, enqueue and fail the task of a step: the SDK gives up after one refusal, and waits for the step forever."""

from collections.abc import Callable, Iterable
from typing import Any

from clearml import Task
from clearml.automation.job import ClearmlJob

from clearml_ci.clearml_api import (
    ownership,
    patience,
    pipeline_runs,
    run_results,
    task_creation,
    task_fields,
    task_queue,
    worker_queues,
)
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import console, redaction
from clearml_ci.core.git_source import Source
from clearml_ci.core.poll import Clock


def create(
    clearml: ClearML,
    controller: Task,
    *,
    project: str,
    step: str,
    execution: str,
    earlier: Iterable[str] = (),
    clock: Clock,
) -> Task:
    """A step's task: its script at the controller's own repository and commit.

    `execution` is of the controller's process: a run that was reset keeps the steps of its earlier execution. The
    command line names the run and the tasks of the `earlier` steps, so that the step does not have to look for them.
    """
    script = controller.data.script

    def created() -> str:
        return task_creation.task(
            clearml,
            project=project,
            name=step,
            source=Source(script.repository, script.version_num),
            task_type="data_processing",
            module=" ".join([f"steps.{step}", controller.id, *earlier]),
            working_directory=".",
            add_task_init_call=False,  # the default leaves a diff on the task for ever
        )

    task = patience.result(clock, created, report=console.log)
    marks = {**ownership.marks(task, run=controller.id, purpose="step"), pipeline_runs.EXECUTION: execution}
    marked = lambda: task_fields.add_runtime(clearml, task, marks)  # noqa: E731
    patience.result(clock, marked, report=console.log)
    return patience.result(clock, lambda: _read(task), report=console.log)


def _read(task: str) -> Task:
    try:
        return Task.get_task(task_id=task_fields.require_id(task))
    except Exception as error:  # the SDK raises whatever its layers raise
        raise ClearMLError(
            f"the task {task} could not be read: {redaction.mask(str(error))}; rerun when the server works"
        ) from error


def enqueue(clearml: ClearML, task: str, *, queue: str, clock: Clock) -> None:
    """Enqueue a step's task on the queue of this name. A refusal for good is the step's fault, which the report names.

    Raises ClearMLError if the fault cannot be stored.
    """

    def enqueued() -> None:
        task_queue.enqueue(clearml, task, queue=worker_queues.id_of(clearml, queue))

    try:
        patience.result(clock, enqueued, report=console.log)
    except ClearMLError as error:
        fail(clearml, task, f"the step could not be enqueued on the queue '{queue}': {error}")


def fail(clearml: ClearML, task: str, fault: str) -> None:
    """End a step that cannot run, with its fault, which the report names. Raises ClearMLError."""
    console.log(fault)
    run_results.store(clearml, task, {"fault": fault})
    clearml.call("tasks.failed", task=task, status_reason=f"ClearML CI: {fault}", force=True)


def queued_job(clearml: ClearML, clock: Clock) -> type[Any]:
    """The class of the jobs by which `PipelineController` puts steps on a queue, as `_clearml_job_class` of it."""

    class _QueuedJob(ClearmlJob):  # type: ignore[misc]  # the SDK has no types
        ran = False

        def launch(self, queue_name: str | None = None) -> bool:
            enqueue(clearml, self.task.id, queue=queue_name or "", clock=clock)
            return True

        def status(self, force: bool = False) -> str:
            """As the SDK has it, but a step that a user resets while it runs, and that is a draft then, has stopped."""
            status = str(super().status(force))
            self.ran = self.ran or status == "in_progress"
            return "stopped" if self.ran and status == "created" else status

    return _QueuedJob


def process_job(start: Callable[[str], Callable[[], str]]) -> type[Any]:
    """The class of the jobs by which `PipelineController` runs steps with it, as `_clearml_job_class` of it.

    `start` starts the process of a step's task, and returns what reads the status of that task.
    """

    class _ProcessJob(ClearmlJob):  # type: ignore[misc]
        status_here: Callable[[], str] | None = None

        def launch(self, queue_name: str | None = None) -> bool:  # noqa: ARG002  it has none
            self.status_here = start(self.task.id)
            return True

        def status(self, force: bool = False) -> str:  # noqa: ARG002  no request is needed
            self._last_status = self.status_here() if self.status_here else "created"
            return self._last_status

    return _ProcessJob
