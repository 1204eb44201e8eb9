"""The conclusion of a run: the outcome and its reason, from what the steps of the run left."""

from collections.abc import Iterator, Mapping

from clearml_ci.core import step_results
from clearml_ci.core.outcome import HOLDS, NOT_NEEDED, Outcome
from clearml_ci.core.step_results import PromoteResult, RemoteRunResult, StepDocument, StepResult, StepResults
from clearml_ci.parameters.check import Check, plan
from clearml_ci.parameters.remote_run import TRAINING

Reason = tuple[Outcome, str]


def of_check(check: Check, steps: Mapping[str, StepDocument]) -> Reason:
    """The worst outcome of promotion, remote run and evidence; a fault of any planned step comes before all."""
    for name in plan(check.to_arguments()):
        error = fault(name, steps)
        if error and name != "report":
            return Outcome.ERROR, error
    results = step_results.by_name(results_of(steps))
    if check.action != "check":
        return results["promote"]["outcome"], results["promote"]["reason"]
    reasons = [
        *_of_promotion(results["promote"]),
        *_of_remote_run(results["remote_run"]),
        *_of_evidence(check, results),
    ]
    bad = sorted((reason for reason in reasons if reason[0] not in HOLDS), key=lambda reason: reason[0].rank)
    if bad:
        return bad[0][0], "; ".join(dict.fromkeys(text for _, text in bad))
    nothing = (Outcome.ERROR, "nothing to check: set `candidate` or `remote_run`")
    return (reasons or [nothing])[-1]


def fault(name: str, steps: Mapping[str, StepDocument]) -> str | None:
    """The reason why this step left no usable result, or None."""
    step = steps.get(name, {})
    result = step.get("result") or {}
    if result.get("fault"):
        return f"step {name}: {result['fault']}"
    if not result:
        status = step.get("status", "never started")
        return f"step {name} left no result (status '{status}'): read its console in ClearML, and rerun"
    return None


def results_of(steps: Mapping[str, StepDocument]) -> dict[str, StepResult]:
    """The results of those steps that left one."""
    return {name: result for name, step in steps.items() if (result := step.get("result"))}


def _of_promotion(result: PromoteResult) -> Iterator[Reason]:
    """The reason of a check that moves the tag itself, if it could not."""
    if result.get("outcome") == Outcome.ERROR:
        yield Outcome.ERROR, result["reason"]


def _of_remote_run(result: RemoteRunResult) -> Iterator[Reason]:
    outcome = result.get("outcome", NOT_NEEDED)
    if outcome == NOT_NEEDED:
        return
    if outcome == Outcome.PASSED:
        yield outcome, f"this commit runs on an agent: {result['reason']}"
        return
    ran = "does not run" if result["task"] and outcome == Outcome.NO_EVIDENCE else "was not run"
    phase = f" (phase: {result['phase']})" if result["phase"] else ""
    yield outcome, f"this commit {ran} on an agent{phase}: {result['reason']}"


def _of_evidence(check: Check, results: StepResults) -> Iterator[Reason]:
    if check.candidate == "none":
        return
    found, compared = results["find_task"], results["compare"]
    if not step_results.candidate(results):
        if check.candidate not in TRAINING:  # a training that leaves no candidate has its own reason
            yield Outcome.NO_EVIDENCE, found["reason"]
        return
    if doubt := found.get("doubt"):
        yield Outcome.INCONCLUSIVE, doubt
    if not check.gates:
        yield Outcome.PASSED, "this commit ran cleanly; no metric is compared"
    else:  # a comparison that judged nothing, although there is a candidate, is never green
        yield compared["outcome"] or Outcome.ERROR, compared["reason"]
