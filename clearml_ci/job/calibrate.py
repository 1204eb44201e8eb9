"""The job of a calibration: train the default branch's head with several seeds, and print the noise of its gates."""

from collections.abc import Mapping

from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api import task_records, worker_queues
from clearml_ci.clearml_api.calibration_tasks import Seeded
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import console
from clearml_ci.core.formatting import count
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.poll import Clock
from clearml_ci.decisions import calibration_plan
from clearml_ci.github_api import credentials
from clearml_ci.github_api import session as github_session
from clearml_ci.job import calibration_settings, event_context, workflow_output
from clearml_ci.job import settings as job_settings
from clearml_ci.job.calibration_settings import CalibrationSettings
from clearml_ci.operations import (
    github_access,
    noise_figures,
    pull_request_code,
    reference_change,
    seed_parameter,
    seeded_trainings,
)
from clearml_ci.operations.calibration_runs import Calibration
from clearml_ci.operations.services import Services
from clearml_ci.report import noise_table


def run(environ: Mapping[str, str], number: str, clock: Clock) -> int:
    """Train the head with so many seeds, print the noise, and return the exit code.

    A job that is interrupted leaves its trainings running; the next one counts them. Raises ClearMLError, GitHubError
    and UsageError.
    """
    seeds = calibration_plan.seeds(calibration_settings.number(number))
    home = event_context.home(environ, needed_by="a calibration")
    token = credentials.token(environ)
    policy = event_context.read_policy(home.main, token, job_settings.policy_file(environ))
    settings = calibration_settings.from_environment(environ, home, policy)
    clearml = clearml_session.connect(clock)
    calibration = _calibration(clearml, settings, token, clock)
    commit, branch = settings.check.commit[:10], home.base
    queue = calibration.queue
    console.log(
        f"{count(len(seeds), 'training')} of {commit}, the head of {branch}, on the queue '{queue.name}' with "
        f"{count(len(queue.workers), 'worker')}"
    )
    try:
        tasks = calibration.train(seeds)
    except KeyboardInterrupt:
        workflow_output.fail(_interrupted(calibration, number))
        return int(Outcome.ERROR.exit_code)
    services = Services(clearml, github_access.from_environment(environ), clock)
    for note in reference_change.after_calibration(services, settings.check, tasks, branch):
        workflow_output.note(note)
    task = task_records.read(clearml, tasks[0])
    figures = noise_figures.read(clearml, settings.check, project_id=task.project_id, branch=branch)
    for line in noise_table.lines(figures[task.name]):
        console.log(line)
    return 0


def _calibration(clearml: ClearML, settings: CalibrationSettings, token: str, clock: Clock) -> Calibration:
    check, launch = settings.check, settings.launch
    queue = worker_queues.served(clearml, [launch.queue])[launch.queue]
    pull = check.pull_request
    github = github_session.connect(api_url=pull.github_api, token=token, repository=pull.repository)
    code, notes = pull_request_code.launch_code(github, check, launch)
    for note in notes:
        workflow_output.note(note)
    parameter = seed_parameter.of_model(clearml, check, launch)
    seeding = seeded_trainings.seeding(
        check, launch, parameter, "this model's last runs", github=github, adds_task_init=code.inject_task_init
    )
    return Calibration(clearml, Seeded(launch, code, seeding), queue, check.gates, clock, console.log)


def _interrupted(calibration: Calibration, number: str) -> str:
    live = count(len(calibration.live), "training")
    counted = count(len(calibration.counted), "run")
    return (
        f"interrupted with {counted}; {live} on the queue '{calibration.queue.name}' go on, unless you abort them in "
        f"ClearML: `python ci_trigger.py calibrate {number}` counts both, and trains the rest"
    )
