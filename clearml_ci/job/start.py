"""Start what a job is for: the pipeline that its settings ask for, a rerun, a rollback, or only the templates.

`follow` takes it from there. No decision is made here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from clearml_ci.clearml_api import pipeline_runs, pipeline_templates, project_lookup, promotion_ledger, worker_queues
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.pipeline_code import PipelineCode
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML, TaskGoneError
from clearml_ci.clearml_api.worker_queues import Queue
from clearml_ci.core import console, poll
from clearml_ci.core.errors import UsageError
from clearml_ci.core.git_source import Source
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.poll import Clock, Stopwatch
from clearml_ci.decisions import promotion
from clearml_ci.github_api import merge_groups
from clearml_ci.github_api.session import GitHubError
from clearml_ci.job import (
    acceptance_comment,
    agent_code,
    audit_settings,
    early_end,
    event_context,
    events,
    follow,
    merge_group,
    policy_change,
    reporter,
    workflow_output,
)
from clearml_ci.job import settings as job_settings
from clearml_ci.job.events import Event
from clearml_ci.job.follow import Launch
from clearml_ci.job.reporter import Reporter
from clearml_ci.job.settings import Settings
from clearml_ci.operations import promote as promotions
from clearml_ci.operations import rerun as reruns
from clearml_ci.parameters import audit, catalogue, promotion_mode, remote_run, texts
from clearml_ci.parameters import check as check_parameters
from clearml_ci.parameters.check import Check
from clearml_ci.policy import policy_file

CANCELLED = "cancelled before anything was started"


PIPELINES = (check_parameters.PIPELINE, promotion_mode.PIPELINE, audit.PIPELINE)


def check(environ: Mapping[str, str], stopwatch: Stopwatch) -> int:
    """Check the pull request of the job's event, and return the exit code. Raises also GitHubError; as run."""
    if acceptance_comment.is_one(environ):
        return _accept(environ, stopwatch)
    if merge_group.is_one(environ):
        return _check_group(environ, stopwatch)
    event = events.pull_request(environ)
    settings = _settings(environ, event, promotes=False, clock=stopwatch.clock)
    code = run(settings, environ, stopwatch)
    policy_change.post(environ, settings, event, stopwatch.clock)
    return code


def _accept(environ: Mapping[str, str], stopwatch: Stopwatch) -> int:
    """Check the pull request of a comment anew if that accepts a loss. Anybody can comment: else nothing changes."""
    event, reason = acceptance_comment.pull_request(environ)
    if event is not None:
        settings = job_settings.from_environment(environ, read_policy=event_context.read_policy, event=event)
        reason = acceptance_comment.refusal(environ, settings.check)
    if event is None or reason:
        workflow_output.note(f"{reason}: nothing is done")
        return 0
    return run(settings, environ, stopwatch)


def _check_group(environ: Mapping[str, str], stopwatch: Stopwatch) -> int:
    """Check the commit of a merge queue: its status is set whatever happens, because the queue waits for it."""
    group = merge_group.of_event(events.read(environ))
    if group is None:
        workflow_output.note(f"{merge_group.DISMISSED}: nothing is done")
        return 0
    settings = _settings(environ, group.event, promotes=False, clock=stopwatch.clock)
    try:
        github = event_context.connect(
            environ, events.repository(group.event), reason="GitHub knows what a merge queue has built"
        )
        if not merge_groups.exists(github, group.branch):
            workflow_output.note(f"{merge_group.DISMISSED}: nothing is done")
            return 0
        policy = job_settings.policy_file(environ) or policy_file.FILE
        planned = merge_group.plan(clearml_session.connect(stopwatch.clock), github, settings, group, policy=policy)
    except (Exception, KeyboardInterrupt) as error:
        early_end.set_error(environ, group.event, str(error) or CANCELLED, promotes=False, clock=stopwatch.clock)
        raise
    if isinstance(planned, Settings):
        return run(planned, environ, stopwatch)
    return merge_group.publish_carried(settings, planned)


def _settings(environ: Mapping[str, str], event: Event, *, promotes: bool, clock: Clock) -> Settings:
    """The settings of a check or a promotion. If they are wrong, the commit's status becomes an error."""
    try:
        return job_settings.from_environment(
            environ, read_policy=event_context.read_policy, event=event, promotes=promotes
        )
    except (GitHubError, UsageError, KeyboardInterrupt) as error:
        early_end.set_error(environ, event, str(error) or CANCELLED, promotes=promotes, clock=clock)
        raise


def run(settings: Settings, environ: Mapping[str, str], stopwatch: Stopwatch) -> int:
    """Start the pipeline that the settings ask for, and return its exit code; `stopwatch` runs since the job began.

    Raises ClearMLError and UsageError.
    """
    for note in settings.notes:
        workflow_output.note(note)
    job_reporter = reporter.connect(settings.check, settings.github_token)
    try:
        clearml = clearml_session.connect(stopwatch.clock)
        queues, draft, code = prepare(clearml, settings, environ)
        checks = settings.check.action == "check"
        facts = replace(settings.check, facts=job_reporter.facts(settings.remote_run)).to_arguments() if checks else {}
    except (Exception, KeyboardInterrupt) as error:  # any: no older success may stand, nor an issue that is closed
        reason = str(error) or CANCELLED
        job_reporter.be_patient(stopwatch.clock)
        job_reporter.set_status(state="error", description=reason, url="")
        if settings.pipeline == audit.PIPELINE:
            job_reporter.post_start_error(reason)
        raise
    launch = Launch(
        template=draft,
        queue=queues[settings.queues.controllers],
        arguments={**settings.arguments, **facts},
        deadline=settings.deadline,
        supersedes=checks and not settings.check.group,
        code=code,
    )
    return follow.run_to_verdict(clearml, job_reporter, launch, stopwatch)


def promote(environ: Mapping[str, str], stopwatch: Stopwatch) -> int:
    """After a merge: as run, for each pull request that the job's event merged, oldest first. The worst exit code.

    If one ends in an error, or is cancelled, those after it are not promoted, and a warning names them. Raises
    GitHubError as well.
    """
    merged, notes = event_context.merges(environ)
    for note in notes:
        workflow_output.note(note)
    codes = [0]
    while merged and codes[-1] != Outcome.ERROR.exit_code:
        codes.append(_promote(environ, merged.pop(0), stopwatch))
        stopwatch = poll.started(stopwatch.clock)
    if merged:
        left = ", ".join(f"#{event['pull_request']['number']}" for event in merged)
        workflow_output.warn(f"what was merged after that was not promoted ({left}): run this job again")
    return max(codes)


def _promote(environ: Mapping[str, str], event: Event, stopwatch: Stopwatch) -> int:
    settings = _settings(environ, event, promotes=True, clock=stopwatch.clock)
    if settings.check.candidate == "none":
        number = settings.check.pull_request.number
        workflow_output.note(f"nothing is promoted for #{number}: this policy judges no model")
        return 0
    return run(settings, environ, stopwatch)


def rerun(run_id: str, changes: Sequence[str], environ: Mapping[str, str], stopwatch: Stopwatch) -> int:
    """Send the call of the web UI's New run, with `name=value` texts edited, and return the exit code. As run."""
    clearml = clearml_session.connect(stopwatch.clock)
    earlier = _run(clearml, run_id)
    edits = reruns.edits(earlier, changes)
    arguments = {**earlier.arguments, **edits}
    check = replace(_check(earlier, arguments), waited_for=True)
    name = job_settings.controller_queue(environ)
    launch = Launch(
        template=run_id,
        queue=worker_queues.served(clearml, [name])[name],
        arguments=edits,
        deadline=deadline(earlier, arguments, environ),
        supersedes=False,
        rerun=True,
    )
    # The run's own agent posts, as after New run.
    return follow.run_to_verdict(clearml, Reporter(None, check), launch, stopwatch)


def _run(clearml: ClearML, run_id: str) -> Run:
    """The run of this id. Raises UsageError if there is none."""
    try:
        return pipeline_runs.read(clearml, run_id)
    except TaskGoneError as error:
        raise UsageError(f"no run {run_id}: give the id of a pipeline run (`ClearML run: .../<id>`)") from error


def _check(run: Run, arguments: Mapping[str, str]) -> Check:
    """The check that these `Args` ask of the pipeline of this run; an audit as a check."""
    return (
        audit.as_check(audit.from_arguments(arguments))
        if _is_audit(run)
        else check_parameters.from_arguments(arguments)
    )


def deadline(run: Run, arguments: Mapping[str, str], environ: Mapping[str, str]) -> float:
    """Seconds until a rerun of this run, with these `Args`, is stopped. Raises UsageError."""
    if _is_audit(run):
        return audit_settings.deadline(environ, arguments)
    times = 1 + int(catalogue.parameter("repeats").value(arguments.get("repeats", ""), "repeats"))
    return job_settings.deadline(environ, remote_run.from_arguments(arguments), times=times)


def _is_audit(run: Run) -> bool:
    return run.project.endswith(f"{project_lookup.PIPELINES}{audit.PIPELINE}")


def rollback(environ: Mapping[str, str], stopwatch: Stopwatch) -> int:
    """Undo the last promotion of this GitHub repository, of the checks of one name if it is set. As run."""
    clearml = clearml_session.connect(stopwatch.clock)
    repository = job_settings.github_repository(environ)
    project = (
        f"{job_settings.pipeline_project(environ)}/{repository}{project_lookup.PIPELINES}{promotion_mode.PIPELINE}"
    )
    name = job_settings.name(environ)
    last = promotions.last_undoable(clearml, promotion.moves_of_check(promotion_ledger.moves(clearml, project), name))
    if last is None:
        of = f"{repository} and the name '{name}'" if name else repository
        raise UsageError(f"no promotion is recorded for {of}: there is nothing to roll back")
    last_check = check_parameters.from_arguments(pipeline_runs.read(clearml, last.run).arguments)
    undo = promotions.to_undo(clearml, project, last_check)  # what it would refuse is refused before a start
    return run(job_settings.for_rollback(environ, last_check, undoes=undo.move.run), environ, stopwatch)


def register(environ: Mapping[str, str], clock: Clock) -> int:
    """Register the templates of this version, so that the first run of each pipeline finds its own. As run."""
    clearml = clearml_session.connect(clock)
    project = f"{job_settings.pipeline_project(environ)}/{job_settings.github_repository(environ)}"
    code = job_settings.agents_code(environ)
    source = agent_code.of_agents(
        configured_repository=code["repository"], configured_commit=code["commit"], environ=environ
    )
    for name in PIPELINES:
        _template(clearml, project, name, source, arguments={}, always=True)
    return 0


def prepare(
    clearml: ClearML, settings: Settings, environ: Mapping[str, str], *, also: Sequence[str] = ()
) -> tuple[dict[str, Queue], str, PipelineCode]:
    """The queues, by their names, the template and its code: everything that can be refused before a start.

    `also` are names of queues whose workers are busy besides those of the run. Raises ClearMLError and UsageError.
    """
    queues = _queues(clearml, settings, also)
    _require_projects(clearml, settings)
    source = agent_code.of_agents(
        configured_repository=settings.repository, configured_commit=settings.commit, environ=environ
    )
    draft = _template(clearml, settings.pipeline_project, settings.pipeline, source, arguments=settings.arguments)
    return queues, draft, PipelineCode(source, settings.pipeline)


def _queues(clearml: ClearML, settings: Settings, also: Sequence[str]) -> dict[str, Queue]:
    """The queues of the run. A code queue without workers is an audit's finding; one with workers must be safe."""
    names = settings.queues
    needed = [*also, *names.trusted, *([names.code] if settings.remote_run else [])]
    audits = settings.pipeline == audit.PIPELINE and audit.launches(settings.arguments)
    queues = worker_queues.served(clearml, needed, if_any=[names.code] if audits else [])
    used = [*needed, *([names.code] if audits and names.code in queues else [])]
    worker_queues.refuse_deadlock([queues[name] for name in used])
    if names.code in used and not remote_run.is_sharing_allowed(settings.arguments):
        worker_queues.refuse_shared_workers([queues[name] for name in names.trusted], code=queues[names.code])
    return queues


def _require_projects(clearml: ClearML, settings: Settings) -> None:
    """Refuse a project that does not exist. Raises UsageError that names it."""
    if settings.pipeline == audit.PIPELINE:
        project_lookup.named(project_lookup.all_projects(clearml), texts.names(settings.arguments["projects"]))
    elif settings.check.project and settings.check.candidate != "none":
        project_lookup.existing_id(clearml, settings.check.project)


def _template(
    clearml: ClearML,
    project: str,
    name: str,
    source: Source,
    *,
    arguments: Mapping[str, str],
    always: bool = False,
) -> str:
    """The draft of this version; logged if it was registered just now, or `always`."""
    draft, registered = pipeline_templates.find_or_register(
        clearml, project=project, name=name, source=source, arguments=arguments
    )
    if registered:
        console.log(f"registered the pipeline '{project}/{name}' for this version")
    elif always:
        console.log(f"the pipeline '{project}/{name}' is registered for this version already")
    return draft
