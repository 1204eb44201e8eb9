"""The frame of every step: build its services, find its run, store its result, and store a fault as one."""

import json
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn, TypeVar

from clearml_ci.clearml_api import patience, pipeline_runs, run_results, sdk, task_parameters
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearMLError, UnansweredError
from clearml_ci.clearml_api.task_status import ENDED
from clearml_ci.core import console, redaction
from clearml_ci.core.errors import UsageError
from clearml_ci.core.poll import Clock
from clearml_ci.core.step_results import StepResult
from clearml_ci.operations import ended_run, github_access, rerun
from clearml_ci.operations.services import Services
from clearml_ci.report import facts, step_facts

Step = Callable[[Services, Run], StepResult]
T = TypeVar("T")


def main(step: Step) -> None:
    """Run a step for the run whose id is on the command line, by its controller or by hand.

    The ids of the run's earlier steps may follow it. Without any, an agent runs it for the run in its own `Args/run`.
    The result is stored on the step's own task (by hand: printed). The console has in a few lines what the step did,
    found and decided. A fault is a result as well, so that the report can name it; it fails the step, unless the step
    found a reason to do nothing, such as a wrong parameter.
    """
    console.protect(os.environ)
    signal.signal(signal.SIGTERM, _exit)
    try:
        _run(step, os.environ.get("CLEARML_TASK_ID", ""))
    finally:  # what an exception interrupts in the SDK's exit handlers, Python prints as a traceback
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _run(step: Step, own_task: str) -> None:
    if len(sys.argv) < 2 and not own_task:
        sys.exit(f"usage: python {sys.argv[0]} <id of a pipeline run>")
    try:
        github = github_access.from_environment(os.environ)
        clock = Clock()
        sdk.be_patient(clock)
        services = Services(_patiently(clock, lambda: clearml_session.connect(clock)), github, clock, own_task)
        result = result_of(step, services, _run_id(services))
        if own_task:
            _patiently(clock, lambda: store(services, result))
    except (ClearMLError, UsageError) as error:
        sys.exit(redaction.outgoing(f"{error}{error.log_only}"))
    for line in facts.lines(step_facts.of_step(step.__name__, result)):
        console.log(line)
    if not own_task:  # an agent has stored it
        console.log(json.dumps(result, indent=1))
    if "fault" in result and not result.get("refused"):
        sys.exit(1)


def result_of(step: Step, services: Services, run_id: str) -> StepResult:
    """The step's result for this run; with a `fault` if it failed, or found a reason to do nothing.

    While the server does not answer, the step is executed again: whatever it has done before, it finds.
    """
    try:
        return _patiently(services.clock, lambda: _executed(step, services, run_id))
    except UsageError as error:
        console.log(f"{error}{error.log_only}")
        return {"fault": str(error), "refused": True}
    except ClearMLError as error:
        console.log(f"{error}{error.log_only}")
        return {"fault": str(error)}
    except Exception as error:  # an unexpected fault is reported as one, and not only printed
        console.log_error(error)
        return {"fault": redaction.mask(f"{type(error).__name__}: {error}")}


def _executed(step: Step, services: Services, run_id: str) -> StepResult:
    on_agent = bool(services.own_task)
    run = pipeline_runs.read(services.clearml, run_id, steps=sys.argv[2:])
    if on_agent and run.status in ENDED:  # an older server leaves the steps of an aborted run queued
        ended_run.set_error(services, run)
        return {"fault": f"the run {run_id} has ended already (status '{run.status}')", "refused": True}
    if on_agent and run.unwanted:
        return {"fault": f"nothing was done for the run {run_id}: {run.unwanted}", "refused": True}
    return step(services, rerun.judged(services.clearml, run, step=services.own_task))


def _run_id(services: Services) -> str:
    """The run on the command line, or in the step's own arguments."""
    if len(sys.argv) > 1:
        return sys.argv[1]
    return _patiently(services.clock, lambda: task_parameters.argument(services.clearml, services.own_task, "run"))


def _patiently(clock: Clock, request: Callable[[], T]) -> T:
    """The result, also if the server is away for up to `session.PATIENCE` since the request began."""
    return patience.result(clock, request, error=UnansweredError, report=console.log)


def store(services: Services, result: StepResult) -> None:
    """Store the result, and how many requests it took, on the step's own task. Raises ClearMLError."""
    result["requests"] = services.clearml.requests + 1  # and the one that stores it
    run_results.store(services.clearml, services.own_task, result)


def _exit(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  the signature is Python's
    sys.exit("ended by its agent")  # an agent's abort; what a step has to clean up, it cleans up on its way out
