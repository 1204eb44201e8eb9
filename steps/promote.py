"""After a merge, move the baseline's tag to the task that was judged for the pull request, if it is good enough."""

from dataclasses import replace

from clearml_ci.agent import step
from clearml_ci.clearml_api import best_tag, run_results, task_records
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.core import recorded_task, step_results
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.core.step_results import CompareResult, PromoteResult
from clearml_ci.decisions import promotion as decisions
from clearml_ci.decisions.promotion import STAYS
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.operations import (
    accepted_losses,
    continued_task,
    github_access,
    merged_pull_request,
    publish,
    reference_change,
    rerun,
)
from clearml_ci.operations import promote as promotion
from clearml_ci.operations.services import Services
from clearml_ci.parameters import check as check_parameters
from clearml_ci.parameters import promotion_mode
from clearml_ci.parameters.check import Check

AT_THE_CHECK = "the tag is moved by the check itself (promote: on-pass); this merge was recorded"

ANEW = "; the reference begins anew"

EDITED = "a rerun with edited parameters moves no tag"


def promote(services: Services, run: Run) -> PromoteResult:
    """The move of the tag, or the reason why it stays, and the comparison that decided it."""
    check = check_parameters.from_arguments(run.arguments)
    if check.action == promotion_mode.ROLLBACK:
        return promotion.rollback(services, run, check)
    if check.action == "check":
        return _at_the_check(services, run, check)
    github, notes = merged_pull_request.verify(services, run, check)
    candidate, note = merged_pull_request.candidate(services.clearml, run, check)
    if candidate is None:
        reason = f"{STAYS}: pull request #{check.pull_request.number} was merged, but {note}"
        return {"outcome": Outcome.NO_EVIDENCE, "reason": reason, "candidate": None, "notes": notes}
    promotion.require_in_scope(check, candidate)
    notes += [note] if note else []
    if doubt := continued_task.doubt(services.clearml, github, check, candidate):
        task = recorded_task.as_document(candidate)
        return {"outcome": Outcome.INCONCLUSIVE, "reason": f"{STAYS}: {doubt}", "candidate": task, "notes": notes}
    best_tag.add_tag(services.clearml, candidate.id, best_tag.MAIN_TAG)
    judged, renewed = _judged(services, run, check, candidate, github)
    if judged and judged["outcome"] == Outcome.ACCEPTED:  # it is the baseline from now on, in any mode
        check = replace(check, promote=promotion_mode.PASSING)
    notes += [f"The reference begins anew: {renewed}."] if renewed else []
    result = _moved(services, run, check, candidate, judged)
    return {**result, "reason": result["reason"] + (ANEW if renewed else ""), "notes": notes}


def _moved(
    services: Services, run: Run, check: Check, candidate: RecordedTask, judged: CompareResult | None
) -> PromoteResult:
    """The result of a merge, with the tag moved if the promotion mode allows it."""
    if check.promote == promotion_mode.ON_PASS:
        task = recorded_task.as_document(candidate)
        return {"outcome": Outcome.PASSED, "reason": AT_THE_CHECK, "candidate": task}
    return promotion.promote(services, run, check, candidate, judged=judged)


def _judged(
    services: Services, run: Run, check: Check, candidate: RecordedTask, github: GitHub | None
) -> tuple[CompareResult | None, str]:
    """The comparison of the merged model, if there are gates, and the reason why the reference begins anew, or ""."""
    if not check.gates:
        return None, ""
    clearml = services.clearml
    begun = reference_change.begun(clearml, run, check, candidate)
    judged = promotion.compare_merged(services, run, check, candidate, github=github, changed=begun[:1])
    accepted = ""
    if judged.result["outcome"] == Outcome.REGRESSED and (granted := accepted_losses.of_merge(clearml, run, check)):
        # With tolerances, as in the check: a gate that held there is no loss here.
        check = replace(check, promote=promotion_mode.PASSING)
        judged = promotion.compare_merged(services, run, check, candidate, github=github, changed=begun[:1])
        judged = replace(judged, result=accepted_losses.applied(judged.result, granted))
        accepted = accepted_losses.summary(judged.result)
    renewed = reference_change.after_merge(services, run, check, candidate, judged, begun=begun, accepted=accepted)
    return judged.result, renewed


def _at_the_check(services: Services, run: Run, check: Check) -> PromoteResult:
    """Move the tag as soon as a pull request passes, merged or not, as the predecessor did."""
    results = run_results.results(services.clearml, run.id)
    candidate = step_results.candidate(results)
    if candidate is None or not decisions.check_passes(check_parameters.plan(run.arguments), results):
        return {"outcome": Outcome.PASSED, "reason": f"{STAYS}: the check does not pass"}
    rerun_ = rerun.of(services.clearml, run, step=services.own_task)
    if rerun_ and (refusal := EDITED if rerun_.is_edited else _outdated(services, check)):
        return {"outcome": Outcome.PASSED, "reason": f"{STAYS}: {refusal}"}
    task = task_records.read(services.clearml, candidate["id"])
    promotion.require_in_scope(check, task)
    return promotion.promote(services, run, check, task, judged=results["compare"] or None)


def _outdated(services: Services, check: Check) -> str:
    """Reason why the pull request changed since the run, or cannot be read; else ""."""
    try:
        return publish.outdated(github_access.connect(services.github, check), check)
    except GitHubError as error:
        return str(error)


if __name__ == "__main__":
    step.main(promote)
