"""Find the task that ran exactly this commit, cleanly and to the end, or the reasons why there is none."""

from clearml_ci.agent import step
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.core import recorded_task
from clearml_ci.core.step_results import FindTaskResult
from clearml_ci.decisions import evidence
from clearml_ci.operations import candidate_search, github_access
from clearml_ci.operations.services import Services
from clearml_ci.parameters import check as check_parameters


def find_task(services: Services, run: Run) -> FindTaskResult:
    """The candidate or the reason why there is none, the rejected tasks, and the base branch's own task."""
    check = check_parameters.from_arguments(run.arguments)
    found = candidate_search.search(services.clearml, github_access.connect_if_possible(services.github, check), check)
    choice = found.choice
    return {
        "candidate": recorded_task.as_document(choice.candidate) if choice.candidate else None,
        "doubt": choice.doubt,
        "reason": "" if choice.candidate else evidence.explain(check, choice),
        "rejected": [{**recorded_task.as_document(task), "reason": reason} for task, reason in choice.rejected[:20]],
        "runs": [{"id": task.id, "doubt": doubt} for task, doubt in choice.others],
        "main_baseline": found.main,
        "notes": found.notes,
    }


if __name__ == "__main__":
    step.main(find_task)
