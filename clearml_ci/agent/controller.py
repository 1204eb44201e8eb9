"""The frame of every pipeline's controller around its DAG: mark itself, read its parameters, start its steps.

An agent runs a file of pipelines/ as the controller. The DAG is built anew on every run, from the code at the run's own
commit, so a rerun from ClearML's web UI with edited parameters is a run like any other.
"""

import math
import os
import secrets
import sys
import threading
from collections.abc import Callable, Mapping

from clearml import PipelineController, Task
from clearml.backend_api.session.session import LoginError
from clearml.backend_interface.task.development.worker import DevWorker

from clearml_ci.clearml_api import (
    ownership,
    patience,
    pipeline_runs,
    run_cancellation,
    run_labels,
    run_start,
    sdk_patience,
    step_tasks,
)
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.project_lookup import root_of
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import console, redaction
from clearml_ci.core.errors import UsageError
from clearml_ci.core.poll import Clock
from clearml_ci.operations import rerun
from clearml_ci.parameters import catalogue

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


Plan = Callable[[Mapping[str, str]], Mapping[str, list[str]]]


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
    sdk_patience.be_patient(clock)
    clearml = clearml_session.connect(clock)
    pipeline_runs.restore_parameter_names(clearml, os.environ["CLEARML_TASK_ID"])  # before the SDK reads them
    # Not by add_parameter: the SDK stores its descriptions under names without their section, and never finds them.
    descriptions = catalogue.descriptions(parameters)
    pipeline_runs.describe_arguments(
        clearml, os.environ["CLEARML_TASK_ID"], defaults=parameters, descriptions=descriptions
    )
    controller = Task.init(auto_connect_arg_parser=False, auto_connect_frameworks=False, auto_resource_monitoring=False)
    run_cancellation.forget_before_reset(clearml, controller.id)
    ownership.mark(clearml, controller.id, run=controller.id, purpose="run")
    if run_cancellation.end_unwanted(clearml, controller.id):
        return
    if not run_start.is_followed(clearml, controller.id, clock=clock):
        run_cancellation.end(clearml, controller.id, reason=NOT_FOLLOWED)
        return
    run = rerun.judged(clearml, pipeline_runs.read(clearml, controller.id), step="")
    is_rerun = rerun.of(clearml, run, step="") is not None
    run_labels.put_in_order(clearml, run.id, rerun=is_rerun, arguments=run.arguments)
    controller.register_abort_callback(lambda: _on_abort(clearml, controller.id), callback_execution_timeout=10.0)
    project = controller.get_project_name()
    # Connected before they are declared: defaults of add_parameter overwrite the arguments of a first run.
    arguments = controller.connect(dict(parameters), name="Args")
    pipeline = PipelineController(name=name, project=root_of(project), pool_frequency=1 / 60, target_project=project)
    pipeline._clearml_job_class = step_tasks.job_class(clearml, clock)
    execution = secrets.token_hex(8)
    for parameter in parameters:
        pipeline.add_parameter(parameter, arguments[parameter])
    for step, parents in plan({parameter: str(value or "") for parameter, value in arguments.items()}).items():
        pipeline.add_step(
            name=step,
            parents=parents,
            base_task_factory=lambda _, step=step: step_tasks.create(
                clearml, controller, project=project, step=step, execution=execution, clock=clock
            ),
            parameter_override={"Args/run": controller.id},
            execution_queue=arguments["_steps_queue"],
            continue_behaviour=CONTINUE,
        )
    _end_after(_seconds(str(arguments["_deadline"] or "")), clearml, controller.id)
    pipeline.start(queue=None)  # an agent runs this process: it is enqueued already


def _seconds(text: str) -> float:
    """The seconds that an `Arg` holds; infinite for any other text."""
    return float(text) if text.isdecimal() else math.inf


def _end_after(seconds: float, clearml: ClearML, run: str) -> None:
    """End the run after so many seconds: without a job that waits, nothing else does. An audit sets its status."""
    if seconds < threading.TIMEOUT_MAX:
        reason = f"ClearML CI: not ended within {seconds:.0f} s"
        timer = threading.Timer(seconds, _end, (clearml, run, reason))
        timer.daemon = True
        timer.start()


def _end(clearml: ClearML, run: str, reason: str) -> None:
    """End the run, also while the server is away for a while."""

    def ended() -> None:
        run_cancellation.end(clearml, run, reason=reason)

    try:
        patience.result(clearml.clock, ended, report=console.log)
    except ClearMLError as error:
        console.log(f"{reason}, and it could not be stopped: {error}")


def _on_abort(clearml: ClearML, run: str) -> None:
    """Stop the run's children: older servers stop only the controller."""
    run_cancellation.stop_children(clearml, run, reason="ClearML CI: the run was aborted")
