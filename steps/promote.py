"""After a merge: the best tag moves to the task that was judged for the pull request, where it is as good or better."""

from collections.abc import Collection

from clearml_ci.agent import step
from clearml_ci.clearml_api import (
    best_tag,
    check_history,
    project_lookup,
    run_results,
    task_records,
)
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import recorded_task
from clearml_ci.core.errors import UsageError
from clearml_ci.core.outcome import HOLDS, NOT_NEEDED, Outcome
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.core.step_results import PromoteResult, StepResults
from clearml_ci.decisions import evidence
from clearml_ci.github_api import pull_requests, session
from clearml_ci.github_api.session import GitHubError
from clearml_ci.operations import github_access, publish, rerun
from clearml_ci.operations import promote as moving
from clearml_ci.parameters import check, promotion_mode
from clearml_ci.parameters.check import Check

UNCHECKED = "Pull request #{} was never checked: its model was judged only now."
_OF_THE_MERGE = ("commit", "pull_request", "merge_commit")
AT_THE_CHECK = "the tag is moved by the check itself (promote: on-pass); this merge was recorded"


def promote(clearml: ClearML, run: Run) -> PromoteResult:
    """What became of the tag, and the comparison that decided it."""
    wanted = check.from_arguments(run.arguments)
    if wanted.action == "rollback":
        return moving.rollback(clearml, run, wanted)
    if wanted.action == "check":
        return _at_the_check(clearml, run, wanted)
    notes = _require_merged(clearml, run, wanted)
    candidate, said = _candidate(clearml, run, wanted)
    if candidate is None:
        why = f"the tag stays where it is: pull request #{wanted.pull_request.number} was merged, but {said}"
        return {"outcome": Outcome.NO_EVIDENCE, "reason": why, "candidate": None, "notes": notes}
    moving.refuse_out_of_reach(wanted, candidate)
    notes += [said] if said else []
    best_tag.add_tag(clearml, candidate.id, best_tag.MAIN_TAG)
    if wanted.promote == promotion_mode.ON_PASS:
        document = recorded_task.as_document(candidate)
        return {"outcome": Outcome.PASSED, "reason": AT_THE_CHECK, "candidate": document, "notes": notes}
    return {**moving.promote(clearml, run, wanted, candidate), "notes": notes}


def _at_the_check(clearml: ClearML, run: Run, wanted: Check) -> PromoteResult:
    """The predecessor's way: the tag moves as soon as a pull request passes, merged or not."""
    results = run_results.results(clearml, run.id)
    candidate = results["find_task"].get("candidate") or results["remote_run"].get("candidate")
    if candidate is None or not _passes(check.plan(run.arguments), results):
        return {"outcome": Outcome.PASSED, "reason": "the tag stays where it is: the check does not pass"}
    if rerun.of(clearml, run) and (outdated := _outdated(wanted)):
        return {"outcome": Outcome.PASSED, "reason": f"the tag stays where it is: {outdated}"}
    task = task_records.read(clearml, candidate["id"])
    moving.refuse_out_of_reach(wanted, task)
    return moving.promote(clearml, run, wanted, task, judged=results["compare"] or None)


def _passes(planned: Collection[str], results: StepResults) -> bool:
    compared, launched = results["compare"].get("outcome"), results["remote_run"].get("outcome")
    return ("compare" not in planned or compared in HOLDS) and (
        "remote_run" not in planned or launched in (Outcome.PASSED, NOT_NEEDED)
    )


def _outdated(wanted: Check) -> str:
    """Why a rerun is about a pull request that nobody proposes like this any more, or cannot know it; or nothing."""
    try:
        return publish.outdated(github_access.github(wanted), wanted)
    except GitHubError as error:
        return str(error)


def _require_merged(clearml: ClearML, run: Run, wanted: Check) -> list[str]:
    """Notes, where GitHub cannot be asked: the job's event said that it was merged. Raises UsageError where it was not
    this commit, or not as this one.
    """
    try:
        pull = pull_requests.read(github_access.github(wanted), wanted.pull_request.number)
    except GitHubError as error:
        _require_as_the_job_said(clearml, run, error)
        return [] if isinstance(error, session.NoCredentialsError) else [str(error)]
    if refused := publish.not_the_merge(pull, wanted):
        raise UsageError(f"{refused}: the tag stays where it is")
    return []


def _require_as_the_job_said(clearml: ClearML, run: Run, refused: GitHubError) -> None:
    again = rerun.of(clearml, run)
    before = again.original.arguments if again else run.arguments
    if edited := [name for name in _OF_THE_MERGE if before.get(name) != run.arguments.get(name)]:
        raise UsageError(
            f"this rerun changes {', '.join(edited)}, and GitHub cannot be asked whether that was merged ({refused}): "
            "the tag stays where it is"
        )


def _candidate(clearml: ClearML, run: Run, wanted: Check) -> tuple[RecordedTask | None, str]:
    """The task that was judged for this commit, else the one that a check would judge; and what is to be said of it."""
    judged = check_history.judged_candidate(clearml, run, commit=wanted.commit, name=wanted.name)
    if judged:
        try:
            task = task_records.read(clearml, judged["id"])
        except ClearMLError:  # it was deleted
            task = None
        if task and not recorded_task.unusable(task):
            return task, ""
    project = project_lookup.existing_id(clearml, wanted.project) if wanted.project else None
    tasks = task_records.of_commit(clearml, commit=wanted.commit, project=project, task_name=wanted.task_name)
    choice = evidence.choose(wanted, tasks)
    if choice.candidate is None:
        return None, ("" if judged else "it was never checked, and ") + evidence.explain(wanted, choice)
    return choice.candidate, "" if judged else UNCHECKED.format(wanted.pull_request.number)


if __name__ == "__main__":
    step.main(promote)
