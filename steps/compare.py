"""Compare the candidate's metrics with the best task's: the gates."""

from clearml_ci.agent import step
from clearml_ci.clearml_api import run_results
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.step_results import CompareResult
from clearml_ci.operations import compare as comparison
from clearml_ci.parameters import check


def compare(clearml: ClearML, run: Run) -> CompareResult:
    """The gates' judgements; `outcome` is None without a candidate."""
    wanted = check.from_arguments(run.arguments)
    results = run_results.results(clearml, run.id)
    candidate = results["find_task"].get("candidate") or results["remote_run"].get("candidate")
    if not candidate or not wanted.gates:
        return {"outcome": None, "reason": "nothing to compare: there is no candidate"}
    main = results["find_task"].get("main_baseline")
    return comparison.with_best(clearml, run, wanted, candidate, main=main if wanted.baseline_main else None)


if __name__ == "__main__":
    step.main(compare)
