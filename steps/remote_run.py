"""Run the pull request's code on an agent: a probe, which is stopped and archived, a training, or its tests."""

from clearml_ci.agent import step
from clearml_ci.clearml_api import run_results
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.core.errors import UsageError
from clearml_ci.core.outcome import NOT_NEEDED, LaunchState, Outcome
from clearml_ci.core.step_results import RemoteRunResult
from clearml_ci.decisions import launch_outcome
from clearml_ci.github_api.session import GitHubError
from clearml_ci.operations import github_access, pull_request_code, remote_launch
from clearml_ci.operations.services import Services
from clearml_ci.parameters import check as check_parameters
from clearml_ci.parameters import remote_run as launch_parameters


def remote_run(services: Services, run: Run) -> RemoteRunResult:
    """The result of the launch; `not_needed` if nothing had to be launched.

    `candidate` is the task that a training leaves to be judged. `phase` is the one that failed: settings, approval,
    queue, clone, environment, import, script, progress.
    """
    check = check_parameters.from_arguments(run.arguments)
    try:
        launch = launch_parameters.from_arguments(run.arguments)
        found = run_results.earlier(services.clearml, run)["find_task"].get("candidate")
        if launch is None or (launch.candidate == "find-or-train" and found):
            return _not_launched(NOT_NEEDED, "", "this commit was run already")
        launch_parameters.refuse_shared_queue(run.arguments, code=launch.queue)
        launch_parameters.refuse_out_of_reach(launch, project=check.project, task_name=check.task_name)
        github = github_access.connect_if_possible(services.github, check)
        if refusal := pull_request_code.approval_error(github, check, launch):
            return _not_launched(Outcome.NO_EVIDENCE, "approval", refusal)
    except (UsageError, GitHubError) as error:
        return _not_launched(Outcome.ERROR, "settings", str(error))
    document = remote_launch.launch(services, run, check, launch, github=github)
    trained = document["outcome"] == Outcome.PASSED and launch.purpose == "training"
    return {**document, "candidate": document["task"] if trained else None}


def _not_launched(outcome: LaunchState, phase: str, reason: str) -> RemoteRunResult:
    return {**launch_outcome.not_launched(outcome, phase=phase, reason=reason), "candidate": None}


if __name__ == "__main__":
    step.main(remote_run)
