"""What every step does around its one decision: find its run, leave its result, tell a fault."""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from clearml_ci.clearml_api import pipeline_runs, project_lookup, run_results, task_parameters, task_status
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core.console import say
from clearml_ci.core.errors import UsageError
from clearml_ci.core.step_results import StepResult

Decide = Callable[[ClearML, Run], StepResult]


def main(decide: Decide) -> None:
    """Run a step: on an agent for the run in its own `Args/run`, by hand for the run id on the command line.

    The result goes onto the step's own task (by hand: to the terminal only). A fault is a result as well, so that
    the report can tell it, and fails the step.
    """
    own_task = os.environ.get("CLEARML_TASK_ID", "")
    signal.signal(signal.SIGTERM, _leave)
    if len(sys.argv) != 2 and not own_task:
        sys.exit(f"usage: python {sys.argv[0]} <id of a pipeline run>")
    try:
        clearml = clearml_session.connect()
        run_id = sys.argv[1] if len(sys.argv) == 2 else task_parameters.argument(clearml, own_task, "run")
        result = _result(decide, clearml, run_id, on_agent=bool(own_task))
        if own_task:
            result["requests"] = clearml.requests + 1  # and the one that stores it
            run_results.store(clearml, own_task, result)
    except (ClearMLError, UsageError) as error:
        sys.exit(str(error))
    say(json.dumps(result, indent=1))
    if "fault" in result:
        sys.exit(1)


def _result(decide: Decide, clearml: ClearML, run_id: str, *, on_agent: bool) -> StepResult:
    try:
        run = pipeline_runs.read(clearml, run_id)
        if on_agent and run.status in task_status.ENDED:  # an older server leaves the steps of an aborted run queued
            return {"fault": f"the run {run_id} has ended already (status '{run.status}')"}
        if on_agent and run.superseded_by:
            return {"fault": f"the run {run_id} was superseded by the newer run {run.superseded_by}"}
        return decide(clearml, run)
    except (ClearMLError, UsageError) as error:
        return {"fault": str(error)}
    except Exception as error:  # a fault that nobody thought of is told as one, and not left in a console
        traceback.print_exc()
        return {"fault": f"{type(error).__name__}: {error}"}


def require_own_repository(repository: str, run: Run) -> None:
    """A run's parameters can be edited by anyone on the ClearML server; its project says whose checks it holds."""
    if not repository or f"/{repository}{project_lookup.PIPELINES}" not in f"/{run.project}/":
        raise UsageError(f"a run in the project '{run.project}' must not report to the repository '{repository}'")


def _leave(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  the signature is Python's
    sys.exit("ended by its agent")  # an agent's abort; what a step has to clean up, it cleans up on its way out
