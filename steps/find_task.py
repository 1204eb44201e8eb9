"""Find the task that ran exactly this commit, cleanly and to the end, or say why there is none."""

from typing import Any

from clearml_ci import check, clearml_gateway, evidence, step
from clearml_ci.clearml_gateway import ClearML, Run


def find_task(clearml: ClearML, run: Run) -> dict[str, Any]:
    """`{"candidate": task or None, "reason": why none, "rejected": [task with its reason]}`."""
    wanted = check.from_arguments(run.arguments)
    project = clearml_gateway.existing_project_id(clearml, wanted.project) if wanted.project else None
    tasks = clearml_gateway.tasks_of_commit(clearml, commit=wanted.commit, project=project, task_name=wanted.task_name)
    choice = evidence.choose(wanted, tasks)
    return {
        "candidate": evidence.as_document(choice.candidate) if choice.candidate else None,
        "reason": "" if choice.candidate else evidence.explain(wanted, choice),
        "rejected": [{**evidence.as_document(near), "reason": reason} for near, reason in choice.rejected[:20]],
    }


if __name__ == "__main__":
    step.main(find_task)
