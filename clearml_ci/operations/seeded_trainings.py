"""Prepare trainings that repeat a run of a commit with other seeds, for a check or an audit."""

import math
from dataclasses import replace

from clearml_ci.clearml_api.pipeline_runs import Run as PipelineRun
from clearml_ci.clearml_api.seeded_draft import Seeding
from clearml_ci.clearml_api.seeded_launch import Trainings
from clearml_ci.core import console, entry_script
from clearml_ci.core.errors import UsageError
from clearml_ci.decisions import samples
from clearml_ci.decisions.samples import Run
from clearml_ci.github_api.session import GitHub
from clearml_ci.operations import pull_request_code, remote_launch
from clearml_ci.operations.services import Services
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.remote_run import RemoteRun

_ADVICE = "give the script a hyperparameter `seed`, or name its own in the policy, such as `seed: Args/my_seed`"


def prepare(
    services: Services,
    run: PipelineRun,
    check: Check,
    launch: RemoteRun,
    *,
    github: GitHub | None,
    like: Run,
    hours: float = math.inf,
) -> Trainings:
    """Trainings of the check's commit that are like this run of it, but for their seeds; none is started yet.

    They may occupy agents for so many `hours`. Raises UsageError or GitHubError if they cannot be launched, or no seed
    can be put in, and ClearMLError.
    """
    code, _ = pull_request_code.launch_code(github, check, launch)
    return Trainings(
        services.clearml,
        launch,
        code,
        _seeding_like(check, launch, like, github=github, adds_task_init=code.inject_task_init),
        remote_launch.queue_of(services.clearml, run, launch),
        run.id,
        services.own_task,
        services.clock,
        console.log,
        hours=hours,
    )


def _seeding_like(
    check: Check, launch: RemoteRun, like: Run, *, github: GitHub | None, adds_task_init: bool
) -> Seeding:
    """The way of the seed into the script. Raises UsageError if there is none."""
    parameter = samples.seed_name(like.inputs, check.seed)
    if check.seed and not parameter:
        raise UsageError(f"the task {like.task.id} recorded no hyperparameter {check.seed}: {_ADVICE}")
    looked_at = f"the task {like.task.id}"
    found = seeding(check, launch, parameter, looked_at, github=github, adds_task_init=adds_task_init)
    return replace(found, like=like.task.id)


def seeding(
    check: Check, launch: RemoteRun, parameter: str, looked_at: str, *, github: GitHub | None, adds_task_init: bool
) -> Seeding:
    """The way of the seed into the script: the hyperparameter that holds it, as `Section/name`, if it has one.

    Raises UsageError if there is no way; `looked_at` are the runs that the hyperparameter was looked for in.
    """
    if parameter:
        return Seeding("", parameter)
    if adds_task_init:
        return Seeding("")
    source = pull_request_code.entry_source(github, check, launch)
    above = None if source is None else entry_script.line_before_code(source)
    if above is None:
        what = launch.entry or f"-m {launch.module}"
        raise UsageError(f"{looked_at} recorded no seed, and {what} could not be given one: {_ADVICE}")
    return Seeding("", above=above)
