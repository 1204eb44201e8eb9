"""Find the task that ran exactly this commit, cleanly and to the end, or say why there is none."""

from dataclasses import replace

from clearml_ci.agent import step
from clearml_ci.clearml_api import project_lookup, task_records
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import recorded_task
from clearml_ci.core.step_results import FindTaskResult
from clearml_ci.decisions import evidence
from clearml_ci.decisions.evidence import Choice
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.operations import commit_history, github_access
from clearml_ci.parameters import check
from clearml_ci.parameters.check import Check

REUSED = "The evidence is that of commit {commit}: only paths changed since that no run depends on."


def find_task(clearml: ClearML, run: Run) -> FindTaskResult:
    """The candidate, if any, and the tasks that are none.

    `main_baseline` is the id of main's own task where the branch left it, or None.
    """
    wanted = check.from_arguments(run.arguments)
    project = project_lookup.existing_id(clearml, wanted.project) if wanted.project else None
    choice, hub, main = _choose(clearml, wanted, project), github_access.github_if_any(wanted), None
    notes: list[str] = []
    try:
        if not choice.candidate:
            choice = _reused(clearml, hub, wanted, project) or choice
        if choice.candidate and wanted.gates:
            main = _of_main(clearml, hub, wanted, project)
    except GitHubError as error:
        notes.append(str(error))
    if choice.candidate and choice.candidate.commit != wanted.commit:
        notes.append(REUSED.format(commit=choice.candidate.commit[:10]))
    return {
        "candidate": recorded_task.as_document(choice.candidate) if choice.candidate else None,
        "reason": "" if choice.candidate else evidence.explain(wanted, choice),
        "rejected": [{**recorded_task.as_document(near), "reason": reason} for near, reason in choice.rejected[:20]],
        "main_baseline": main,
        "notes": notes,
    }


def _choose(clearml: ClearML, wanted: Check, project: str | None, *, commit: str = "") -> Choice:
    asked = replace(wanted, commit=commit or wanted.commit)
    tasks = task_records.of_commit(clearml, commit=asked.commit, project=project, task_name=wanted.task_name)
    return evidence.choose(asked, tasks)


def _reused(clearml: ClearML, hub: GitHub | None, wanted: Check, project: str | None) -> Choice | None:
    """The evidence of an earlier commit of the pull request, where only ignored paths changed since."""
    choices = (_choose(clearml, wanted, project, commit=commit) for commit in commit_history.still_valid(hub, wanted))
    return next((choice for choice in choices if choice.candidate), None)


def _of_main(clearml: ClearML, hub: GitHub | None, wanted: Check, project: str | None) -> str | None:
    """The id of the task that main's own merge base was run or judged by."""
    if not wanted.baseline_main:
        return None
    choices = (_choose(clearml, wanted, project, commit=commit) for commit in commit_history.of_main(hub, wanted))
    return next((choice.candidate.id for choice in choices if choice.candidate), None)


if __name__ == "__main__":
    step.main(find_task)
