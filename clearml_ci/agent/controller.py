"""The frame of every pipeline's controller around its DAG: mark itself, read its parameters, start its steps.

An agent runs a file of pipelines/ as the controller. The DAG is built anew on every run, from the code at the run's own
commit, so a rerun from ClearML's web UI with edited parameters is a run like any other.
"""

import contextlib
import math
import os
import secrets
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from clearml import PipelineController, Task
from clearml.automation import controller as sdk_controller
from clearml.backend_api.session.session import LoginError
from clearml.backend_interface.task.development.worker import DevWorker

from clearml_ci.agent import step_process
from clearml_ci.agent.step_process import StepProcess
from clearml_ci.clearml_api import (
    ownership,
    patience,
    pipeline_runs,
    run_cancellation,
    run_labels,
    run_outcome,
    run_results,
    run_start,
    sdk,
    step_tasks,
)
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.project_lookup import root_of
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import console, poll, redaction, step_results
from clearml_ci.core.errors import UsageError
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.poll import Clock, Pace, TimedOutError
from clearml_ci.core.step_results import ReportResult
from clearml_ci.operations import rerun
from clearml_ci.parameters import catalogue, requested
from clearml_ci.report import console_text

# A controller that fails with its steps would hide the verdict: the report runs whatever happens.
CONTINUE = {
    "continue_on_fail": True,
    "continue_on_abort": True,
    "skip_children_on_fail": False,
    "skip_children_on_abort": False,
}


NOT_FOLLOWED = (
    "ClearML CI: the job that started this run had no answer to its request and does not follow it: run the job again"
)


Steps = Mapping[str, list[str]]
Plan = Callable[[Mapping[str, str]], Steps]


_STOPS_WITHIN = 6.0  # seconds of waiting for steps on a queue


_STOPS_HERE_WITHIN = step_process.ENDS_WITHIN + 4.0  # seconds of waiting for steps that end with this process


_ABORT = _STOPS_HERE_WITHIN + 6.0  # seconds that an abort may take before the SDK ends this process


_KILLED_WITHIN = 60.0  # seconds


_LOOK = 0.2  # seconds between two looks at the steps; the SDK asks the server at most once a second


_NO_QUEUE = "with the controller"  # of steps that run there, in place of a queue's name, which the SDK requires


_REPEATED = ("Launching the next ", "Launching step [", "Parameters:", "Configurations:", "Overrides:")


_LAST_STATUS = {"running": "aborted", "queued": "aborted", "pending": "skipped"}  # of a node of an ended run


def run(name: str, *, parameters: Mapping[str, str], plan: Plan) -> None:
    """Run the pipeline of this name as the controller that this process is.

    `parameters` are its `Args` with their defaults; `plan` maps them to its steps, each with those that it waits for.
    """
    console.protect(os.environ)
    try:
        _run(name, parameters, plan)
    except (ClearMLError, UsageError) as error:
        sys.exit(redaction.outgoing(f"{error}{error.log_only}"))
    except LoginError as error:  # of Task.init
        sys.exit(redaction.outgoing(f"ClearML gives no token: {redaction.mask(str(error))}: rerun when it does"))


def _run(name: str, parameters: Mapping[str, str], plan: Plan) -> None:
    # The reporting subprocess makes every close of a task wait for 11 seconds (sdk.development.report_use_subprocess).
    Task._report_subprocess_enabled = False
    DevWorker.report_period = 1.0  # seconds between two checks for an abort; the SDK has 30
    clock = Clock()
    sdk.be_patient(clock)
    sdk.load()
    clearml = clearml_session.connect(clock)
    run_id = os.environ["CLEARML_TASK_ID"]
    if not _is_followed(clearml, run_id):
        return
    arguments = _arguments(clearml, run_id, parameters)
    steps = plan(arguments)
    processes = {} if arguments["_steps_queue"] else step_process.prepare(steps)  # before the SDK has threads
    controller = Task.init(auto_connect_arg_parser=False, auto_connect_frameworks=False, auto_resource_monitoring=False)
    if not _is_to_run(clearml, run_id):
        return
    needed = _needed(name, steps, _labelled(clearml, run_id))
    pipeline = _pipeline(name, controller, arguments)
    _add_steps(pipeline, controller, needed, processes, clearml, queue=arguments["_steps_queue"])
    controlled = ControlledRun(clearml, run_id, pipeline, processes)
    controller.register_abort_callback(controlled.abort, callback_execution_timeout=_ABORT)
    controlled.end_after(_seconds(arguments["_deadline"]))
    controlled.follow()


def _arguments(clearml: ClearML, run: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """The run's `Args`, in order and described, before the SDK reads them."""
    pipeline_runs.restore_parameter_names(clearml, run)
    # Not by add_parameter: the SDK stores its descriptions under names without their section, and never finds them.
    descriptions = catalogue.descriptions(parameters)
    return pipeline_runs.describe_arguments(clearml, run, defaults=parameters, descriptions=descriptions)


def _pipeline(name: str, controller: Task, arguments: Mapping[str, str]) -> PipelineController:
    """The SDK's pipeline of this run, without its steps."""
    project = controller.get_project_name()
    # Connected before they are declared: defaults of add_parameter overwrite the arguments of a first run.
    controller.connect(dict(arguments), name="Args")
    pipeline = PipelineController(
        name=name, project=root_of(project), pool_frequency=_LOOK / 60, target_project=project
    )
    pipeline._update_execution_plot = lambda: _refresh_graph(pipeline)
    sdk_controller.print = _print
    for parameter, value in arguments.items():
        pipeline.add_parameter(parameter, value)
    return pipeline


def _add_steps(
    pipeline: PipelineController,
    controller: Task,
    steps: Steps,
    processes: Mapping[str, StepProcess],
    clearml: ClearML,
    *,
    queue: str,
) -> None:
    """Add the steps; those that have a process run as it, and the others on the queue."""
    clock, execution = clearml.clock, secrets.token_hex(8)
    created: dict[str, tuple[str, list[str]]] = {}  # the step of each task, and the tasks of the steps before it

    def create(step: str) -> Task:
        earlier, project = list(created), controller.get_project_name()
        task = step_tasks.create(
            clearml, controller, project=project, step=step, execution=execution, earlier=earlier, clock=clock
        )
        created[task.id] = (step, earlier)
        return task

    def run_here(task: str) -> Callable[[], str]:
        step, earlier = created[task]
        processes[step].run(task, [controller.id, *earlier], clock=clock)
        return lambda: processes[step].status

    jobs = step_tasks.process_job(run_here) if processes else step_tasks.queued_job(clearml, clock)
    pipeline._clearml_job_class = jobs
    for step, parents in steps.items():
        pipeline.add_step(
            name=step,
            parents=parents,
            base_task_factory=lambda _, step=step: create(step),
            execution_queue=queue or _NO_QUEUE,
            continue_behaviour=CONTINUE,
        )


def _is_followed(clearml: ClearML, run: str) -> bool:
    """False if the job that started the run does not learn of it: then it is ended.

    Nothing is written before: `tasks.edit` replaces the whole runtime, so the job's mark could get lost.
    """
    followed = run_start.is_followed(clearml, run, clock=clearml.clock)
    if not followed:
        run_cancellation.end(clearml, run, reason=NOT_FOLLOWED)
    return followed


def _is_to_run(clearml: ClearML, run: str) -> bool:
    """Mark the run as ours. False if it is to change nothing: then it is ended."""
    run_cancellation.forget_before_reset(clearml, run)
    ownership.mark(clearml, run, run=run, purpose="run")
    return not run_cancellation.end_unwanted(clearml, run)


def _labelled(clearml: ClearML, run_id: str) -> Mapping[str, str]:
    """Put the run's name and tags in order; the `Args` that it is judged by."""
    run = pipeline_runs.read(clearml, run_id)
    found = rerun.of(clearml, run, step="")
    judged = found.arguments if found else run.arguments
    run_labels.put_in_order(clearml, run.id, rerun=found is not None, arguments=judged)
    return judged


def _needed(name: str, steps: Steps, arguments: Mapping[str, str]) -> Steps:
    """The steps of a plan; if the `Args` are refused, the reporting one alone, which reports the refusal."""
    reason = requested.refusal(name, arguments)
    if not reason:
        return steps
    console.log(f"the parameters are refused, so only the report is made: {reason}")
    return {step: [] for step in steps if step in step_results.REPORTS}


def _refresh_graph(pipeline: PipelineController) -> None:
    """Refresh the graph of the run's page: as the SDK's own method, without its two plots of the flow among PLOTS."""
    pipeline._update_nodes_status()
    pipeline._force_task_configuration_update()


def _print(text: str) -> None:
    """Print a line of the SDK's controller that names a step, once; all that a step is given is the run's id."""
    if not text.startswith(_REPEATED):
        console.log(text)


def _seconds(text: str) -> float:
    """The seconds that an `Arg` holds; infinite for any other text."""
    return float(text) if text.isdecimal() else math.inf


@dataclass(frozen=True)
class ControlledRun:
    """The execution of a run's steps in this process; `ending` is set once they are stopped before the end."""

    clearml: ClearML
    run: str
    pipeline: PipelineController
    processes: Mapping[str, StepProcess]
    ending: threading.Event = field(default_factory=threading.Event)

    def follow(self) -> None:
        """Execute the steps, and show the verdict on the run; return only if they were not stopped."""
        self.pipeline.start(queue=None, wait=False)  # an agent runs this process: it is enqueued already
        self.pipeline.wait()
        if self.ending.is_set():
            # The SDK ends this process. If it ended by itself, the agent would take the run for completed.
            self.clearml.clock.sleep(_KILLED_WITHIN)
            sys.exit("the run was stopped")
        self.pipeline.stop()
        _conclude(self.clearml, self.run)

    def abort(self) -> None:
        """Stop the run's children, since older servers stop only the controller, and show that in the run's graph.

        The reporting step still starts, and sets the status of a commit for which no job waits.
        """
        self._stop("ClearML CI: the run was aborted")

    def end_after(self, seconds: float) -> None:
        """End the run after so many seconds: without a job that waits, nothing else does. An audit sets its status."""
        if seconds < threading.TIMEOUT_MAX:
            timer = threading.Timer(seconds, self._end, (f"ClearML CI: not ended within {seconds:.0f} s",))
            timer.daemon = True
            timer.start()

    def _end(self, reason: str) -> None:
        """End the run, also while the server is away for a while."""

        def ended() -> None:
            for node in list(self.pipeline._nodes.values()):
                node.skip_job = node.skip_job or not node.job
            self._stop(reason)
            run_cancellation.end(self.clearml, self.run, reason=reason)

        try:
            patience.result(self.clearml.clock, ended, report=console.log)
        except ClearMLError as error:
            console.log(f"{reason}, and it could not be stopped: {error}")

    def _stop(self, reason: str) -> None:
        """Stop the steps, and write their last statuses into the graph, which nothing updates afterwards.

        Not by `PipelineController.stop`, which makes a draft of a queued step.
        """
        self.ending.set()
        run_cancellation.stop_children(self.clearml, self.run, reason=reason)
        with contextlib.suppress(TimedOutError):
            within = _STOPS_HERE_WITHIN if self.processes else _STOPS_WITHIN
            poll.until(self.clearml.clock, self._has_stopped, pace=Pace(0.5), timeout=within)
        with contextlib.suppress(Exception):  # whatever the SDK raises: the graph is all that is not up to date
            self.pipeline._update_nodes_status()
            for node in list(self.pipeline._nodes.values()):
                node.status = _LAST_STATUS.get(node.status, node.status)
            self.pipeline._force_task_configuration_update()

    def _has_stopped(self) -> bool | None:
        """True if no further step will start, and those that did have ended; else None."""
        nodes = list(self.pipeline._nodes.values())
        waits = any(not (node.job or node.skip_job) for node in nodes)
        runs = any(process.status == "in_progress" for process in self.processes.values())
        return None if waits or runs else run_cancellation.have_children_ended(self.clearml, self.run) or None


def _conclude(clearml: ClearML, run: str) -> None:
    """Print the run's verdict at the end of its console; a run without one is an error."""
    try:
        steps = run_results.steps(clearml, run)
        found = next((steps[name].result for name in step_results.REPORTS if name in steps), None)
        report = cast(ReportResult, found or {})
        lines = console_text.of_run({name: step.document for name, step in steps.items()})
        if not report.get("verdict"):
            states = ", ".join(f"{step.name} {step.status}" for step in steps.values()) or "no step"
            missing = f"the run left no verdict ({states}): read the consoles of its steps, and rerun it"
            sentence = f"{Outcome.ERROR}: {report.get('fault') or missing}"
            run_outcome.conclude(clearml, run, outcome=Outcome.ERROR, sentence=sentence)
            lines.append(sentence)
        for line in lines:
            console.log(line)
    except ClearMLError as error:
        console.log(f"the verdict cannot be shown here: {error}")
