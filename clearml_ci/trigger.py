"""From settings to an exit code: start the pipeline, wait, and carry its verdict. Nothing is decided here."""

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from clearml_ci import (
    audit,
    audit_report,
    check,
    clearml_audit,
    clearml_baseline,
    clearml_gateway,
    markdown,
    promotion,
    publish,
    remote,
    settings,
    source,
    verdict,
    voice,
    watch,
    workflow,
)
from clearml_ci import rerun as reruns
from clearml_ci.check import Check
from clearml_ci.clearml_gateway import ClearML, ClearMLError, Queue, Run
from clearml_ci.errors import UsageError
from clearml_ci.settings import Settings
from clearml_ci.verdict import Document
from clearml_ci.voice import Voice

PIPELINES = (check.PIPELINE, promotion.PIPELINE, audit.PIPELINE)
REPORTS = ("report", "audit_report")  # the step that tells, of checks and promotions, and of audits
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(asked: Settings, *, began: float) -> int:
    """Start the pipeline that the settings ask for; `began` is a time of `time.monotonic()`.

    Raises ClearMLError and UsageError.
    """
    job = voice.connect(asked.check, asked.github_token)
    try:
        clearml = clearml_gateway.connect()
        queue, draft = _prepare(clearml, asked)
    except (ClearMLError, UsageError) as error:
        job.status(state="error", description=str(error), url="")  # an older green must not stand for this
        raise
    arguments = dict(asked.arguments)
    if asked.check.action == "check":
        arguments |= replace(asked.check, facts=job.facts()).to_arguments()
    return _carry(clearml, job, template=draft, queue=queue, arguments=arguments, ends=(began, asked.deadline))


def rerun(run_id: str, given: Sequence[str], environ: Mapping[str, str], *, began: float) -> int:
    """The very call of the web UI's New run, with `name=value` texts edited, and its verdict. As run."""
    clearml = clearml_gateway.connect()
    earlier = clearml_gateway.run(clearml, run_id)
    edits = reruns.edits(earlier, given)
    wanted = replace(_asked(earlier, {**earlier.arguments, **edits}), waited_for=True)
    name = settings.controller_queue(environ)
    queue = clearml_gateway.watched_queues(clearml, [name])[name]
    ends = (began, settings.deadline(environ))
    return _carry(clearml, Voice(None, wanted), template=run_id, queue=queue, arguments=edits, ends=ends)


def _asked(run: Run, arguments: Mapping[str, str]) -> Check:
    """What these `Args` ask of the pipeline of this run."""
    if run.project.endswith(f"{clearml_gateway.PIPELINES}{audit.PIPELINE}"):
        return audit.as_check(audit.from_arguments(arguments))
    return check.from_arguments(arguments)


def rollback(environ: Mapping[str, str], *, began: float) -> int:
    """Undo the last promotion of this GitHub repository. As run."""
    clearml = clearml_gateway.connect()
    repository = settings.github_repository(environ)
    project = f"{settings.pipeline_project(environ)}/{repository}{clearml_gateway.PIPELINES}{promotion.PIPELINE}"
    last = promotion.last(clearml_baseline.moves(clearml, project))
    if last is None:
        raise UsageError(f"no promotion is recorded for {repository}: there is nothing to roll back")
    asked = check.from_arguments(clearml_gateway.run(clearml, last.run).arguments)
    return run(settings.for_rollback(environ, asked), began=began)


def register(environ: Mapping[str, str]) -> int:
    """The templates of this version, so that the first run of each pipeline finds its own. As run."""
    clearml = clearml_gateway.connect()
    project = f"{settings.pipeline_project(environ)}/{settings.github_repository(environ)}"
    for name in PIPELINES:
        _template(clearml, project, name, settings.agents_code(environ), arguments={}, always=True)
    return 0


def _carry(
    clearml: ClearML,
    job: Voice,
    *,
    template: str,
    queue: Queue,
    arguments: Mapping[str, str],
    ends: tuple[float, float],
) -> int:
    """Pending status, start, wait, verdict. `ends`: when the job began, and the seconds that it may take."""
    # A signal between these lines and the `try` would leave a run, or a pending status, that nobody ends.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    job.status(state="pending", description="started in ClearML", url="")
    try:
        run_id = clearml_gateway.start(clearml, template=template, queue=queue, arguments=arguments)
    except ClearMLError as error:
        job.status(state="error", description=str(error), url="")
        raise
    run = {"id": run_id, "url": ""}
    began, deadline = ends
    try:
        clearml_gateway.mark(clearml, run_id, run=run_id, purpose="run")
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        run["url"] = clearml_gateway.run(clearml, run_id).url
        workflow.say(f"ClearML run: {run['url']} (enqueued after {time.monotonic() - began:.1f} s)")
        if job.check.action == "check":
            _supersede(clearml, job, run)
        if not job.check.waited_for:
            workflow.handed_over(run, status=job.check.pull_request.check_name)
            return 0
        job.started(run["url"])
        return _wait(clearml, job, run, deadline=began + deadline)
    except KeyboardInterrupt:
        return _give_up(clearml, job, run, "cancelled")
    except Exception as error:  # whatever it is: a run that nobody waits for must not turn a status green later
        told = isinstance(error, watch.DeadlineError | ClearMLError)
        return _give_up(clearml, job, run, str(error) if told else f"{type(error).__name__}: {error}")


def _prepare(clearml: ClearML, asked: Settings) -> tuple[Queue, str]:
    """The controllers' queue and the template: everything that can be refused before a start."""
    names = asked.queues
    wanted = [names.controllers, names.steps, *([names.code] if asked.remote_run else [])]
    queues = clearml_gateway.watched_queues(clearml, wanted)
    clearml_gateway.refuse_deadlock([queues[name] for name in wanted])
    if asked.remote_run and asked.arguments.get("_shared_queue", "") != remote.SHARED:
        clearml_gateway.refuse_shared_workers(steps=queues[names.steps], code=queues[names.code])
    require_projects(clearml, asked)
    code = {"repository": asked.repository, "commit": asked.commit}
    draft = _template(clearml, asked.pipeline_project, asked.pipeline, code, arguments=asked.arguments)
    return queues[names.controllers], draft


def require_projects(clearml: ClearML, asked: Settings) -> None:
    """Raises UsageError where a project that somebody named does not exist."""
    if asked.pipeline == audit.PIPELINE:
        clearml_audit.named(clearml_audit.projects(clearml), audit.names(asked.arguments["projects"]))
    elif asked.check.project and asked.check.candidate != "none":
        clearml_gateway.existing_project_id(clearml, asked.check.project)


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
    found = source.of_agents(configured_repository=code["repository"], configured_commit=code["commit"])
    draft, registered = clearml_gateway.template(clearml, project=project, name=name, source=found, arguments=arguments)
    if registered:
        workflow.say(f"registered the pipeline '{project}/{name}' for this version")
    elif always:
        workflow.say(f"the pipeline '{project}/{name}' is registered for this version already")
    return draft


def _supersede(clearml: ClearML, job: Voice, run: dict[str, str]) -> None:
    """Stop the older checks of this pull request, and tell so where GitHub would wait for them for ever."""
    for older in clearml_gateway.supersede(clearml, run["id"]):
        workflow.say(f"superseded an older check of pull request #{job.check.pull_request.number}: {older.url}")
        commit = older.arguments.get("commit", "")
        if commit != job.check.commit:
            job.status(state="error", description="superseded by a newer commit", url=run["url"], commit=commit)


def _wait(clearml: ClearML, job: Voice, run: dict[str, str], *, deadline: float) -> int:
    """The exit code, once the run has ended and its verdict is told."""
    ended, steps = watch.until_ended(clearml, run["id"], deadline=deadline, tell=workflow.say)
    report = next((steps[name].result for name in REPORTS if name in steps), None) or {}
    for warning in report.get("warnings", []):
        workflow.warn(warning)
    if ended.superseded_by:
        document = verdict.error(job.check, run=run, reason=f"superseded by the newer run {ended.superseded_by}")
        return _conclude(job, document)
    states = ", ".join(f"{step.name} {step.status}" for step in steps.values()) or f"no step: {ended.message}"
    fault = verdict.doubt(job.check, run=run, status=ended.status, states=states, report=report)
    return _unreported(job, run, fault) if fault else _reported(job, report)


def _reported(job: Voice, report: dict[str, Any]) -> int:
    """The run's own verdict; what its agent could not say on GitHub, the job says."""
    document: Document = report["verdict"]
    comment_url: str = report["comment_url"]
    if document["rerun"]:  # whoever starts one speaks for no workflow
        return _conclude(job, document, comment_url=comment_url, body=report["markdown"])
    if not report["posted"]:
        comment_url = job.verdict(document, report["markdown"])
    elif not report["status_set"]:
        job.status(state=document["state"], description=publish.described(document), url=document["pipeline"]["url"])
    return _conclude(job, document, comment_url=comment_url, body=report["markdown"])


def _give_up(clearml: ClearML, job: Voice, run: dict[str, str], reason: str) -> int:
    """Stop the run. A runner kills a cancelled job after seconds, so the word is told before the end is awaited."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    try:
        clearml_gateway.ask_to_stop(clearml, run["id"], reason=f"ClearML CI: {reason}")
        told = _unreported(job, run, f"{reason}; the run was stopped")
        clearml_gateway.stop(clearml, run["id"], reason=f"ClearML CI: {reason}")
    except ClearMLError as error:
        told = _unreported(job, run, f"{reason}; the run may still be there: {error}")
    return told


def _unreported(job: Voice, run: dict[str, str], reason: str) -> int:
    """The verdict of a run that could not tell it itself."""
    document = verdict.error(job.check, run=run, reason=reason)
    job.status(state="error", description=reason, url=run["url"])
    return _conclude(job, document)


def _conclude(job: Voice, document: Document, *, comment_url: str = "", body: str = "") -> int:
    if job.check.action == audit.PIPELINE:
        title, text = audit_report.title(document), body or audit_report.issue(document)
    else:
        title, text = markdown.headline(document), body or markdown.comment(document, [])
    job.ended(document, text)
    workflow.conclude(document, title=title, comment_url=comment_url, body=text)
    return int(document["exit_code"])
