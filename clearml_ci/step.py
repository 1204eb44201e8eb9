"""What every step does around its one decision: find its run, leave its result, tell a fault."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from clearml_ci import clearml_gateway
from clearml_ci.clearml_gateway import ClearML, ClearMLError, Run
from clearml_ci.errors import UsageError

Decide = Callable[[ClearML, Run], dict[str, Any]]


def main(decide: Decide) -> None:
    """Run a step: on an agent for the run in its own `Args/run`, by hand for the run id on the command line.

    The result goes onto the step's own task (by hand: to the terminal only). A fault is a result as well, so that
    the report can tell it, and fails the step.
    """
    own_task = os.environ.get("CLEARML_TASK_ID", "")
    if len(sys.argv) != 2 and not own_task:
        sys.exit(f"usage: python {sys.argv[0]} <id of a pipeline run>")
    try:
        clearml = clearml_gateway.connect()
        run_id = sys.argv[1] if len(sys.argv) == 2 else clearml_gateway.argument(clearml, own_task, "run")
        result = _result(decide, clearml, run_id)
        if own_task:
            result["requests"] = clearml.requests + 1  # and the one that stores it
            clearml_gateway.store_result(clearml, own_task, result)
    except (ClearMLError, UsageError) as error:
        sys.exit(str(error))
    print(json.dumps(result, indent=1))  # noqa: T201  the step's console is where a person looks
    if "fault" in result:
        sys.exit(1)


def _result(decide: Decide, clearml: ClearML, run_id: str) -> dict[str, Any]:
    try:
        return decide(clearml, clearml_gateway.run(clearml, run_id))
    except (ClearMLError, UsageError) as error:
        return {"fault": str(error)}
