"""Launch a commit on an agent, for a check or an audit, and follow it to its end."""

from clearml_ci.clearml_api import task_launch, worker_queues
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.worker_queues import Queue
from clearml_ci.core import console, recorded_task
from clearml_ci.core.errors import UsageError
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.step_results import LaunchDocument
from clearml_ci.decisions import launch_outcome
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.operations import pull_request_code
from clearml_ci.operations.services import Services
from clearml_ci.parameters import remote_run as remote_run_parameters
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.remote_run import RemoteRun


def launch(
    services: Services, run: Run, check: Check, remote_run: RemoteRun, *, github: GitHub | None, number: int = 0
) -> LaunchDocument:
    """Launch the check's commit and return what came of it; `number` counts the launches of a step.

    What a user has to correct is an outcome with the phase in which it failed. Raises ClearMLError for the rest.
    """
    try:
        code, notes = pull_request_code.launch_code(github, check, remote_run)
    except GitHubError as error:
        return launch_outcome.not_launched(Outcome.ERROR, phase="settings", reason=str(error))
    try:
        queue = queue_of(services.clearml, run, remote_run)
    except (UsageError, ClearMLError) as error:
        console.log(f"{error}{error.log_only}")
        return launch_outcome.not_launched(Outcome.ERROR, phase="queue", reason=str(error))
    launched = task_launch.run(
        services.clearml,
        remote_run,
        code,
        queue=queue.id,
        run=run.id,
        own_task=services.own_task,
        clock=services.clock,
        report=console.log,
        number=number,
    )
    task = recorded_task.as_document(launched.task)
    return launch_outcome.as_document(remote_run, launched.outcome, launched.snapshot, task=task, notes=notes)


_TRUSTED = ("_controller_queue", "_steps_queue")  # the `Args` with queues whose agents may hold GitHub credentials


def queue_of(clearml: ClearML, run: Run, launch: RemoteRun) -> Queue:
    """The queue of the launched code. Raises UsageError if it, or one of its agents, is a trusted one: see the job's.

    A rerun may name another queue than the job has looked at.
    """
    controllers = worker_queues.name_of(clearml, run.id)
    remote_run_parameters.refuse_shared_queue(run.arguments, code=launch.queue, controllers=controllers)
    # The queues as the job named them, and those on which the controller of an edited rerun is, and starts its steps.
    named = [arguments.get(name, "") for arguments in (run.arguments, run.recorded) for name in _TRUSTED]
    trusted = [*named, controllers]
    queues = worker_queues.served(clearml, [launch.queue], if_any=trusted)
    code = queues[launch.queue]
    if not remote_run_parameters.is_sharing_allowed(run.arguments):
        worker_queues.refuse_shared_workers([queues[name] for name in trusted if name in queues], code=code)
    return code
