"""Compare the candidate's metrics with the best task's: the gates."""

from typing import Any

from clearml_ci.agent import step
from clearml_ci.clearml_api import run_results
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.operations import compare as comparison
from clearml_ci.parameters import check


def compare(clearml: ClearML, run: Run) -> dict[str, Any]:
    """`{"outcome", "reason", "baseline": task or None, "main_baseline", "gates", "differences", "warnings"}`."""
    wanted = check.from_arguments(run.arguments)
    steps = run_results.steps(clearml, run.id)
    results = [steps[name].result or {} for name in ("find_task", "remote_run") if name in steps]
    candidate = next((result["candidate"] for result in results if result.get("candidate")), None)
    if not candidate or not wanted.gates:
        return {"outcome": None, "reason": "nothing to compare: there is no candidate"}
    main = next((result["main_baseline"] for result in results if result.get("main_baseline")), None)
    return comparison.with_best(clearml, run, wanted, candidate, main=main if wanted.baseline_main else None)


if __name__ == "__main__":
    step.main(compare)
