"""Find the task that ran exactly this commit, cleanly and to the end, or say why there is none."""

from dataclasses import replace
from typing import Any

from clearml_ci import check, clearml_gateway, evidence, lineage, step
from clearml_ci.check import Check
from clearml_ci.clearml_gateway import ClearML, Run
from clearml_ci.evidence import Choice
from clearml_ci.github_gateway import GitHub, GitHubError


def find_task(clearml: ClearML, run: Run) -> dict[str, Any]:
    """`{"candidate": task or None, "reason": why none, "rejected": [task with its reason], "main_baseline", "notes"}`."""
    wanted = check.from_arguments(run.arguments)
    project = clearml_gateway.existing_project_id(clearml, wanted.project) if wanted.project else None
    choice, notes = _choose(clearml, wanted, project), []
    hub = step.github_if_any(wanted)
    try:
        if not choice.candidate and hub:
            choice, notes = _reused(clearml, hub, wanted, project) or (choice, notes)
        main = _of_main(clearml, hub, wanted, project) if choice.candidate and hub and wanted.gates else None
    except GitHubError as error:
        main, notes = None, [*notes, str(error)]
    return {
        "candidate": evidence.as_document(choice.candidate) if choice.candidate else None,
        "reason": "" if choice.candidate else evidence.explain(wanted, choice),
        "rejected": [{**evidence.as_document(near), "reason": reason} for near, reason in choice.rejected[:20]],
        "main_baseline": main,
        "notes": notes,
    }


def _choose(clearml: ClearML, wanted: Check, project: str | None, *, commit: str = "") -> Choice:
    asked = replace(wanted, commit=commit or wanted.commit)
    tasks = clearml_gateway.tasks_of_commit(clearml, commit=asked.commit, project=project, task_name=wanted.task_name)
    return evidence.choose(asked, tasks)


def _reused(clearml: ClearML, hub: GitHub, wanted: Check, project: str | None) -> tuple[Choice, list[str]] | None:
    """The evidence of an earlier commit of the pull request, where only ignored paths changed since."""
    for commit in lineage.still_valid(hub, wanted):
        choice = _choose(clearml, wanted, project, commit=commit)
        if choice.candidate:
            return choice, [
                f"the evidence is that of {commit[:10]}: since then, only paths changed that no run depends on"
            ]
    return None


def _of_main(clearml: ClearML, hub: GitHub, wanted: Check, project: str | None) -> str | None:
    """The id of the task that main's own merge base was run or judged by."""
    if not wanted.baseline_main:
        return None
    choices = (_choose(clearml, wanted, project, commit=commit) for commit in lineage.of_main(hub, wanted))
    return next((choice.candidate.id for choice in choices if choice.candidate), None)


if __name__ == "__main__":
    step.main(find_task)
