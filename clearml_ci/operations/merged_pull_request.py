"""The pull request whose merge a promotion follows: verify the merge, and find the task that proves its commit."""

from clearml_ci.clearml_api import check_history, project_lookup, task_records
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML, TaskGoneError
from clearml_ci.core import recorded_task
from clearml_ci.core.documents import TaskDocument
from clearml_ci.core.errors import UsageError
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import evidence
from clearml_ci.decisions.promotion import STAYS
from clearml_ci.github_api import pull_requests
from clearml_ci.github_api.session import GitHub, GitHubError, NoCredentialsError
from clearml_ci.operations import github_access, publish, rerun
from clearml_ci.operations.services import Services
from clearml_ci.parameters.check import Check

UNCHECKED = "Pull request #{} was never checked: its model was judged only now."


_OF_THE_MERGE = ("commit", "pull_request", "merge_commit")


def verify(services: Services, run: Run, check: Check) -> tuple[GitHub | None, list[str]]:
    """Verify with GitHub that this commit was merged as this one: the connection, and notes.

    Without a connection the job's event counts, as it stands in the run's parameters. Raises UsageError.
    """
    github = None
    try:
        github = github_access.connect(services.github, check)
        pull = pull_requests.read(github, check.pull_request.number)
    except GitHubError as error:
        _require_as_started(services, run, error)
        return github, [] if isinstance(error, NoCredentialsError) else [str(error)]
    if mismatch := publish.merge_mismatch(pull, check):
        raise UsageError(f"{mismatch}: {STAYS}")
    return github, []


def _require_as_started(services: Services, run: Run, refusal: GitHubError) -> None:
    """Refuse a rerun that names another merge than the job did. Raises UsageError."""
    rerun_ = rerun.of(services.clearml, run, step=services.own_task)
    before = (rerun_.before or {}) if rerun_ else run.arguments
    if edited := [name for name in _OF_THE_MERGE if before.get(name) != run.arguments.get(name)]:
        raise UsageError(
            f"this rerun changes {', '.join(edited)}, and GitHub cannot confirm that this was merged ({refusal}): "
            f"{STAYS}"
        )


def candidate(clearml: ClearML, run: Run, check: Check) -> tuple[RecordedTask | None, str]:
    """The task that was judged for this commit, else the one that a check would judge; and a note, or why none."""
    judged = _judged(clearml, run, check)
    if judged:
        try:
            task = task_records.read(clearml, judged["id"])
        except TaskGoneError:
            task = None
        if task and not recorded_task.why_unusable(task):
            return task, ""
    project = project_lookup.existing_id(clearml, check.project) if check.project else None
    tasks = task_records.of_commit(clearml, commit=check.commit, project=project, task_name=check.task_name)
    choice = evidence.choose(check, tasks)
    if choice.candidate is None:
        return None, ("" if judged else "it was never checked, and ") + evidence.explain(check, choice)
    return choice.candidate, "" if judged else UNCHECKED.format(check.pull_request.number)


def _judged(clearml: ClearML, run: Run, check: Check) -> TaskDocument | None:
    """The candidate of the newest completed check of this commit; an edited rerun judged something else."""
    found = check_history.judged_candidates(clearml, run, commit=check.commit, name=check.name)
    return next((candidate for check_run, candidate in found if not rerun.is_edited(clearml, check_run)), None)
