"""What a job starts: the pipeline that its settings ask for, a rerun, a rollback, or only the templates.

`carry` takes it from there. Nothing is decided here.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from clearml_ci.clearml_api import (
    pipeline_runs,
    pipeline_templates,
    project_lookup,
    promotion_ledger,
    worker_queues,
)
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.worker_queues import Queue
from clearml_ci.core.errors import UsageError
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import promotion
from clearml_ci.job import agent_code, audit_settings, event_context, follow, reporter, settings, workflow_output
from clearml_ci.job.events import Event
from clearml_ci.job.reporter import Voice
from clearml_ci.job.settings import Settings
from clearml_ci.operations import promote as moving
from clearml_ci.operations import rerun as reruns
from clearml_ci.parameters import audit, check, promotion_mode, remote_run
from clearml_ci.parameters.check import Check

PIPELINES = (check.PIPELINE, promotion_mode.PIPELINE, audit.PIPELINE)


def run(asked: Settings, *, began: float) -> int:
    """Start the pipeline that the settings ask for; `began` is a time of `time.monotonic()`.

    Raises ClearMLError and UsageError.
    """
    for note in asked.notes:
        workflow_output.note(note)
    job = reporter.connect(asked.check, asked.github_token)
    try:
        clearml = clearml_session.connect()
        queues, draft = prepare(clearml, asked)
    except (ClearMLError, UsageError) as error:
        job.status(state="error", description=str(error), url="")  # an older green must not stand for this
        raise
    arguments = dict(asked.arguments)
    if asked.check.action == "check":
        arguments |= replace(asked.check, facts=job.facts()).to_arguments()
    queue, ends = queues[asked.queues.controllers], (began, asked.deadline)
    supersedes = asked.check.action == "check"
    return follow.through(
        clearml, job, template=draft, queue=queue, arguments=arguments, ends=ends, supersedes=supersedes
    )


def promote(environ: Mapping[str, str], *, began: float) -> int:
    """After a merge: as run, for each pull request that the job's event merged, oldest first. The worst exit code.

    Where one ends in an error, or is cancelled, those after it are named and left. Raises GitHubError as well.
    """
    merged, said = event_context.merges(environ)
    for text in said:
        workflow_output.note(text)
    codes = [0]
    while merged and codes[-1] != Outcome.ERROR.exit_code:
        codes.append(_promote(environ, merged.pop(0), began=began))
        began = time.monotonic()
    if merged:
        left = ", ".join(f"#{event['pull_request']['number']}" for event in merged)
        workflow_output.warn(f"what was merged after that was not promoted ({left}): run this job again")
    return max(codes)


def _promote(environ: Mapping[str, str], event: Event, *, began: float) -> int:
    asked = settings.from_environment(environ, read_policy=event_context.read_policy, event=event, promotes=True)
    if asked.check.candidate == "none":
        number = asked.check.pull_request.number
        workflow_output.note(f"nothing is promoted for #{number}: this policy judges no model")
        return 0
    return run(asked, began=began)


def rerun(run_id: str, given: Sequence[str], environ: Mapping[str, str], *, began: float) -> int:
    """The very call of the web UI's New run, with `name=value` texts edited, and its verdict. As run."""
    clearml = clearml_session.connect()
    earlier = pipeline_runs.read(clearml, run_id)
    edits = reruns.edits(earlier, given)
    arguments = {**earlier.arguments, **edits}
    wanted = replace(_asked(earlier, arguments), waited_for=True)
    name = settings.controller_queue(environ)
    queue = worker_queues.served(clearml, [name])[name]
    ends = (began, deadline(earlier, arguments, environ))
    job = Voice(None, wanted)  # the run's own agent tells it, as after New run
    return follow.through(clearml, job, template=run_id, queue=queue, arguments=edits, ends=ends, supersedes=False)


def _asked(run: Run, arguments: Mapping[str, str]) -> Check:
    """What these `Args` ask of the pipeline of this run."""
    return audit.as_check(audit.from_arguments(arguments)) if _is_audit(run) else check.from_arguments(arguments)


def deadline(run: Run, arguments: Mapping[str, str], environ: Mapping[str, str]) -> float:
    """Seconds until a rerun of this run, with these `Args`, is stopped. Raises UsageError."""
    if _is_audit(run):
        return audit_settings.deadline(environ, arguments)
    return settings.deadline(environ, remote_run.from_arguments(arguments))


def _is_audit(run: Run) -> bool:
    return run.project.endswith(f"{project_lookup.PIPELINES}{audit.PIPELINE}")


def rollback(environ: Mapping[str, str], *, began: float) -> int:
    """Undo the last promotion of this GitHub repository, of the checks of one name where one is set. As run."""
    clearml = clearml_session.connect()
    repository = settings.github_repository(environ)
    project = f"{settings.pipeline_project(environ)}/{repository}{project_lookup.PIPELINES}{promotion_mode.PIPELINE}"
    name = settings.name(environ)
    last = moving.last(clearml, promotion.of_name(promotion_ledger.moves(clearml, project), name))
    if last is None:
        of = f"{repository} and the name '{name}'" if name else repository
        raise UsageError(f"no promotion is recorded for {of}: there is nothing to roll back")
    asked = check.from_arguments(pipeline_runs.read(clearml, last.run).arguments)
    moving.to_undo(clearml, project, asked)  # what it would refuse is refused before a start
    return run(settings.for_rollback(environ, asked), began=began)


def register(environ: Mapping[str, str]) -> int:
    """The templates of this version, so that the first run of each pipeline finds its own. As run."""
    clearml = clearml_session.connect()
    project = f"{settings.pipeline_project(environ)}/{settings.github_repository(environ)}"
    for name in PIPELINES:
        _template(clearml, project, name, settings.agents_code(environ), arguments={}, always=True)
    return 0


def prepare(clearml: ClearML, asked: Settings, *, also: Sequence[str] = ()) -> tuple[dict[str, Queue], str]:
    """The queues, by their names, and the template: everything that can be refused before a start.

    `also` are names of queues whose workers are busy besides those of the run. Raises ClearMLError and UsageError.
    """
    queues = _queues(clearml, asked, also)
    _require_projects(clearml, asked)
    code = {"repository": asked.repository, "commit": asked.commit}
    draft = _template(clearml, asked.pipeline_project, asked.pipeline, code, arguments=asked.arguments)
    return queues, draft


def _queues(clearml: ClearML, asked: Settings, also: Sequence[str]) -> dict[str, Queue]:
    """A code queue that nobody serves is an audit's own finding; one that is served must be as safe as a check's."""
    names = asked.queues
    needed = [*also, names.controllers, names.steps, *([names.code] if asked.remote_run else [])]
    audits = asked.pipeline == audit.PIPELINE and audit.launches(asked.arguments)
    queues = worker_queues.served(clearml, needed, if_any=[names.code] if audits else [])
    used = [*needed, *([names.code] if audits and names.code in queues else [])]
    worker_queues.refuse_deadlock([queues[name] for name in used])
    if names.code in used and asked.arguments.get("_shared_queue", "") != remote_run.SHARED:
        worker_queues.refuse_shared_workers(steps=queues[names.steps], code=queues[names.code])
    return queues


def _require_projects(clearml: ClearML, asked: Settings) -> None:
    """Raises UsageError where a project that somebody named does not exist."""
    if asked.pipeline == audit.PIPELINE:
        project_lookup.named(project_lookup.all_projects(clearml), audit.names(asked.arguments["projects"]))
    elif asked.check.project and asked.check.candidate != "none":
        project_lookup.existing_id(clearml, asked.check.project)


def _template(
    clearml: ClearML,
    project: str,
    name: str,
    code: Mapping[str, str],
    *,
    arguments: Mapping[str, str],
    always: bool = False,
) -> str:
    """The draft of this version; told where it was registered just now, or `always`."""
    found = agent_code.of_agents(configured_repository=code["repository"], configured_commit=code["commit"])
    draft, registered = pipeline_templates.find_or_register(
        clearml, project=project, name=name, source=found, arguments=arguments
    )
    if registered:
        workflow_output.say(f"registered the pipeline '{project}/{name}' for this version")
    elif always:
        workflow_output.say(f"the pipeline '{project}/{name}' is registered for this version already")
    return draft
