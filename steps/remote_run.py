"""Run the pull request's code on an agent: a probe, a training, or its tests. Whatever happens, it ends clean."""

from clearml_ci.agent import step
from clearml_ci.clearml_api import run_results, task_launch, worker_queues
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import console, recorded_task
from clearml_ci.core.errors import UsageError
from clearml_ci.core.outcome import NOT_NEEDED, LaunchState, Outcome
from clearml_ci.core.step_results import RemoteRunResult
from clearml_ci.decisions import launch_outcome
from clearml_ci.github_api.session import GitHubError
from clearml_ci.operations import github_access, pull_request_code
from clearml_ci.parameters import check
from clearml_ci.parameters import remote_run as remote
from clearml_ci.parameters.remote_run import RemoteRun


def remote_run(clearml: ClearML, run: Run) -> RemoteRunResult:
    """`outcome` is `not_needed` where nothing had to be launched; `candidate` is the task that a training leaves to be
    judged, and `phase` is where it failed: settings, approval, queue, clone, environment, import, script, progress.
    """
    wanted = check.from_arguments(run.arguments)
    try:
        launch = remote.from_arguments(run.arguments)
        if launch is None or _was_run_already(clearml, run, launch):
            return _unlaunched(NOT_NEEDED, "", "this commit was run already")
        remote.refuse_shared_queue(run.arguments, code=launch.queue)
        remote.refuse_out_of_reach(launch, project=wanted.project, task_name=wanted.task_name)
        hub = github_access.github_if_any(wanted)
        if refused := pull_request_code.refusal(hub, wanted, launch):
            return _unlaunched(Outcome.NO_EVIDENCE, "approval", refused)
        code, notes = pull_request_code.of(hub, wanted, launch)
    except (UsageError, GitHubError) as error:
        return _unlaunched(Outcome.ERROR, "settings", str(error))
    try:
        queue = worker_queues.served(clearml, [launch.queue])[launch.queue]
    except (UsageError, clearml_session.ClearMLError) as error:
        return _unlaunched(Outcome.ERROR, "queue", str(error))
    launched = task_launch.run(clearml, launch, code, queue=queue.id, run=run.id, tell=console.say)
    task = recorded_task.as_document(launched.task)
    document = launch_outcome.as_document(launch, launched.ending, launched.seen, task=task, notes=notes)
    trained = launched.ending.outcome == Outcome.PASSED and launch.purpose == "training"
    return {**document, "candidate": task if trained else None}


def _was_run_already(clearml: ClearML, run: Run, launch: RemoteRun) -> bool:
    found = run_results.results(clearml, run.id)["find_task"]
    return launch.candidate == "find-or-train" and bool(found.get("candidate"))


def _unlaunched(outcome: LaunchState, phase: str, reason: str) -> RemoteRunResult:
    return {**launch_outcome.not_launched(outcome, phase=phase, reason=reason), "candidate": None}


if __name__ == "__main__":
    step.main(remote_run)
