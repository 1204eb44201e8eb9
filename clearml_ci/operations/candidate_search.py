"""Search for the candidate of a check: the task of its commit, or that of an earlier commit that still counts."""

from dataclasses import dataclass, replace

from clearml_ci.clearml_api import project_lookup, task_records
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.documents import TaskDocument
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.core.step_results import OtherRun
from clearml_ci.decisions import evidence
from clearml_ci.decisions.evidence import Choice
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.operations import commit_history, continued_task
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.remote_run import TRAINING

REUSED = "The evidence is that of commit {commit}: only paths changed since that no run depends on."


@dataclass(frozen=True)
class Search:
    """The choice among the tasks, the id of the base branch's own task if it is compared with, and notes."""

    choice: Choice
    main: str | None
    notes: list[str]


def search(clearml: ClearML, github: GitHub | None, check: Check) -> Search:
    """Choose the candidate. The base branch's own commit, and earlier ones that still count, are read from GitHub."""
    project = project_lookup.existing_id(clearml, check.project) if check.project else None

    def choose(commit: str, most: int = 1) -> Choice:
        return _choose(clearml, github, replace(check, commit=commit), project, most=most)

    def choose_sample(commit: str) -> Choice:
        return choose(commit, evidence.MOST_RUNS if check.gates else 1)

    choice, main, notes = choose_sample(check.commit), None, []
    try:
        if not choice.candidate:
            reused = map(choose_sample, commit_history.reusable_commits(github, check))
            choice = next((earlier for earlier in reused if earlier.candidate), choice)
        if choice.candidate and check.gates and check.baseline_main:
            of_main = map(choose, commit_history.merge_base_commits(github, check))
            main = next((found.candidate.id for found in of_main if found.candidate), None)
    except GitHubError as error:
        notes.append(str(error))
    if choice.candidate and choice.candidate.commit != check.commit:
        notes.append(REUSED.format(commit=choice.candidate.commit[:10]))
    return Search(choice, main, notes)


def others(clearml: ClearML, github: GitHub | None, check: Check, candidate: TaskDocument) -> list[OtherRun]:
    """The clean runs of the check's commit in the candidate's project but for the candidate itself, newest first."""

    def doubt(task: RecordedTask) -> str:
        return "" if task.id == candidate["id"] else continued_task.doubt(clearml, github, check, task)

    project = candidate["project_id"] if check.project else None
    tasks = task_records.of_commit(clearml, commit=check.commit, project=project, task_name=check.task_name)
    choice = evidence.choose(check, tasks, doubt=doubt, most=evidence.MOST_RUNS)
    runs = [(choice.candidate, choice.doubt), *choice.others] if choice.candidate else []
    return [{"id": task.id, "doubt": why} for task, why in runs if task.id != candidate["id"]]


def _choose(clearml: ClearML, github: GitHub | None, check: Check, project: str | None, *, most: int) -> Choice:
    """Choose among the tasks of the check's commit."""
    tasks = task_records.of_commit(clearml, commit=check.commit, project=project, task_name=check.task_name)
    choice = evidence.choose(
        check, tasks, doubt=lambda task: continued_task.doubt(clearml, github, check, task), most=most
    )
    return evidence.without_doubtful(choice) if check.candidate in TRAINING else choice
