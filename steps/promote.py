"""After a merge: the best tag moves to the task that was judged for the pull request, where it is as good or better."""

from typing import Any

from clearml_ci import (
    check,
    clearml_baseline,
    clearml_gateway,
    clearml_runs,
    clearml_tasks,
    evidence,
    github_reads,
    moving,
    promotion,
    step,
)
from clearml_ci.check import Check
from clearml_ci.clearml_gateway import ClearML, ClearMLError
from clearml_ci.clearml_runs import Run
from clearml_ci.errors import UsageError
from clearml_ci.evidence import RecordedTask
from clearml_ci.github_gateway import GitHubError

AT_THE_CHECK = "the tag is moved by the check itself (promote: on-pass); this merge was recorded"


def promote(clearml: ClearML, run: Run) -> dict[str, Any]:
    """`{"outcome", "reason", "candidate", "baseline", "gates", "promotion", "notes", ...}`."""
    wanted = check.from_arguments(run.arguments)
    if wanted.action == "rollback":
        return moving.rollback(clearml, run, wanted)
    if wanted.action == "check":
        return _at_the_check(clearml, run, wanted)
    notes = _require_merged(wanted)
    candidate, reason = _candidate(clearml, run, wanted)
    if candidate is None:
        said = f"the tag stays where it is: pull request #{wanted.pull_request.number} was merged, but {reason}"
        return {"outcome": "no_evidence", "reason": said, "candidate": None, "notes": notes}
    clearml_baseline.add_tag(clearml, candidate.id, clearml_baseline.MAIN_TAG)
    if wanted.promote == promotion.ON_PASS:
        document = evidence.as_document(candidate)
        return {"outcome": "passed", "reason": AT_THE_CHECK, "candidate": document, "notes": notes}
    return {**moving.promote(clearml, run, wanted, candidate), "notes": notes}


def _at_the_check(clearml: ClearML, run: Run, wanted: Check) -> dict[str, Any]:
    """The predecessor's way: the tag moves as soon as a pull request passes, merged or not."""
    results = {name: one.result or {} for name, one in clearml_runs.steps(clearml, run.id).items()}
    candidate = next((results[n]["candidate"] for n in ("find_task", "remote_run") if _found(results, n)), None)
    judged = results.get("compare", {})
    if candidate is None or judged.get("outcome") not in ("passed", "improved", "no_baseline"):
        return {"outcome": "passed", "reason": "the tag stays where it is: the check does not pass"}
    task = clearml_tasks.recorded_task(clearml, candidate["id"])
    return moving.promote(clearml, run, wanted, task, judged=judged)


def _found(results: dict[str, dict[str, Any]], name: str) -> bool:
    return bool(results.get(name, {}).get("candidate"))


def _require_merged(wanted: Check) -> list[str]:
    """Notes, where GitHub cannot be asked. Raises UsageError where this commit was not merged."""
    hub, number = step.github_if_any(wanted), wanted.pull_request.number
    if hub is None:
        return []
    try:
        pull = github_reads.pull(hub, number)
    except GitHubError as error:
        return [str(error)]
    if not pull.merged:
        raise UsageError(f"pull request #{number} is not merged ({pull.state}): the tag stays where it is")
    if pull.head_sha != wanted.commit:
        raise UsageError(f"pull request #{number} was merged at {pull.head_sha[:10]}, not at {wanted.commit[:10]}")
    return []


def _candidate(clearml: ClearML, run: Run, wanted: Check) -> tuple[RecordedTask | None, str]:
    """The task that was judged for this commit, else the one that a check would judge; and why there is none."""
    judged = clearml_baseline.judged_candidate(clearml, run, commit=wanted.commit, name=wanted.name)
    if judged:
        try:
            task = clearml_tasks.recorded_task(clearml, judged["id"])
        except ClearMLError:  # it was deleted
            task = None
        if task and not evidence.unusable(task):
            return task, ""
    project = clearml_gateway.existing_project_id(clearml, wanted.project) if wanted.project else None
    tasks = clearml_tasks.tasks_of_commit(clearml, commit=wanted.commit, project=project, task_name=wanted.task_name)
    choice = evidence.choose(wanted, tasks)
    unchecked = "" if judged else "it was never checked, and "
    return choice.candidate, "" if choice.candidate else unchecked + evidence.explain(wanted, choice)


if __name__ == "__main__":
    step.main(promote)
