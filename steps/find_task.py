"""Find the task that ran exactly this commit, cleanly and to the end, or the reasons why there is none."""

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
from clearml_ci.operations import commit_history, continued_task, github_access
from clearml_ci.operations.services import Services
from clearml_ci.parameters import check as check_parameters
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.remote_run import TRAINING

REUSED = "The evidence is that of commit {commit}: only paths changed since that no run depends on."


def find_task(services: Services, run: Run) -> FindTaskResult:
    """The candidate or the reason why there is none, the rejected tasks, and the base branch's own task.

    That one's commit, and earlier commits whose evidence still counts, are read from GitHub.
    """
    check = check_parameters.from_arguments(run.arguments)
    github = github_access.connect_if_possible(services.github, check)
    project = project_lookup.existing_id(services.clearml, check.project) if check.project else None

    def choose(commit: str) -> Choice:
        return _choose(services.clearml, github, replace(check, commit=commit), project)

    choice, main, notes = choose(check.commit), None, []
    try:
        if not choice.candidate:
            reused = map(choose, commit_history.reusable_commits(github, check))
            choice = next((earlier for earlier in reused if earlier.candidate), choice)
        if choice.candidate and check.gates and check.baseline_main:
            of_main = map(choose, commit_history.merge_base_commits(github, check))
            main = next((found.candidate.id for found in of_main if found.candidate), None)
    except GitHubError as error:
        notes.append(str(error))
    if choice.candidate and choice.candidate.commit != check.commit:
        notes.append(REUSED.format(commit=choice.candidate.commit[:10]))
    return {
        "candidate": recorded_task.as_document(choice.candidate) if choice.candidate else None,
        "doubt": choice.doubt,
        "reason": "" if choice.candidate else evidence.explain(check, choice),
        "rejected": [{**recorded_task.as_document(task), "reason": reason} for task, reason in choice.rejected[:20]],
        "main_baseline": main,
        "notes": notes,
    }


def _choose(clearml: ClearML, github: GitHub | None, check: Check, project: str | None) -> Choice:
    """Choose among the tasks of the check's commit."""
    tasks = task_records.of_commit(clearml, commit=check.commit, project=project, task_name=check.task_name)
    choice = evidence.choose(check, tasks, doubt=lambda task: continued_task.doubt(clearml, github, check, task))
    return evidence.without_doubtful(choice) if check.candidate in TRAINING else choice


if __name__ == "__main__":
    step.main(find_task)
