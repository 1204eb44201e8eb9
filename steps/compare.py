"""Judge the candidate by the gates, against the baseline; train it again with other seeds if that is needed."""

from collections.abc import Sequence
from dataclasses import replace

from clearml_ci.agent import step
from clearml_ci.clearml_api import run_results
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.core import step_results
from clearml_ci.core.step_results import CompareResult, OtherRun, StepResults
from clearml_ci.github_api.session import GitHub
from clearml_ci.operations import accepted_losses, candidate_search, github_access, repeats
from clearml_ci.operations import compare as comparison
from clearml_ci.operations.compare import Comparison, Evidence
from clearml_ci.operations.services import Services
from clearml_ci.parameters import check as check_parameters
from clearml_ci.parameters.check import Check


def compare(services: Services, run: Run) -> CompareResult:
    """The gates' judgements, what differs, and warnings; the `outcome` is None without a candidate."""
    check = check_parameters.from_arguments(run.arguments)
    results = run_results.earlier(services.clearml, run)
    candidate = step_results.candidate(results)
    if not candidate or not check.gates:
        return {"outcome": None, "reason": "nothing to compare: there is no candidate"}
    github = github_access.connect_if_possible(services.github, check)
    evidence = Evidence(
        candidate,
        results["find_task"].get("doubt", ""),
        _others(services, github, check, results),
        results["find_task"].get("main_baseline") if check.baseline_main else None,
    )

    def compared(others: Sequence[OtherRun], allowed: int) -> Comparison:
        of_base = github if check.pull_request.base else None
        known = replace(evidence, others=others)
        return comparison.with_baseline(services.clearml, of_base, run, check, known, repeats=allowed)

    result = repeats.compare(services, run, check, compared, evidence.others)
    return accepted_losses.judge(services.clearml, github, run, check, result)


def _others(services: Services, github: GitHub | None, check: Check, results: StepResults) -> Sequence[OtherRun]:
    """The other clean runs of the candidate's commit: trained again until it is green, a commit is no better."""
    candidate = step_results.candidate(results)
    if results["find_task"].get("candidate") or not candidate:
        return results["find_task"].get("runs", [])
    return candidate_search.others(services.clearml, github, check, candidate)


if __name__ == "__main__":
    step.main(compare)
