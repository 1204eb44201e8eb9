"""From settings to an exit code: start the pipeline, wait, and carry its verdict. Nothing is decided here."""

import signal
import time
from dataclasses import replace
from typing import Any

from clearml_ci import clearml_gateway, markdown, remote, source, verdict, voice, watch, workflow
from clearml_ci.clearml_gateway import ClearML, ClearMLError, Queue
from clearml_ci.errors import UsageError
from clearml_ci.settings import Settings
from clearml_ci.verdict import Document
from clearml_ci.voice import Voice

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def pull_request(settings: Settings, *, began: float) -> int:
    """Check a pull request; `began` is a time of `time.monotonic()`. Raises ClearMLError and UsageError."""
    job = voice.connect(settings.check, settings.github_token)
    try:
        clearml = clearml_gateway.connect()
        queue, draft = _prepare(clearml, settings)
    except (ClearMLError, UsageError) as error:
        job.status(state="error", description=str(error), url="")  # an older green must not stand for this
        raise
    asked = replace(settings.check, facts=job.facts())
    arguments = {**settings.arguments, **asked.to_arguments()}
    # A signal between these lines and the `try` would leave a run, or a pending status, that nobody ends.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    job.status(state="pending", description="started in ClearML", url="")
    try:
        run_id = clearml_gateway.start(clearml, template=draft, queue=queue, arguments=arguments)
    except ClearMLError as error:
        job.status(state="error", description=str(error), url="")
        raise
    run = {"id": run_id, "url": ""}
    try:
        clearml_gateway.mark(clearml, run_id, run=run_id, purpose="run")
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        run["url"] = clearml_gateway.run(clearml, run_id).url
        workflow.say(f"ClearML run: {run['url']} (enqueued after {time.monotonic() - began:.1f} s)")
        _supersede(clearml, job, run)
        if not settings.check.waited_for:
            workflow.handed_over(run, status=settings.check.pull_request.check_name)
            return 0
        job.started(run["url"])
        return _wait(clearml, job, run, deadline=began + settings.deadline)
    except KeyboardInterrupt:
        return _give_up(clearml, job, run, "cancelled")
    except Exception as error:  # whatever it is: a run that nobody waits for must not turn a status green later
        told = isinstance(error, watch.DeadlineError | ClearMLError)
        return _give_up(clearml, job, run, str(error) if told else f"{type(error).__name__}: {error}")


def _prepare(clearml: ClearML, settings: Settings) -> tuple[Queue, str]:
    """The controllers' queue and the template: everything that can be refused before a start."""
    names = settings.queues
    wanted = [names.controllers, names.steps, *([names.code] if settings.remote_run else [])]
    queues = clearml_gateway.watched_queues(clearml, wanted)
    clearml_gateway.refuse_deadlock([queues[name] for name in wanted])
    if settings.remote_run and settings.arguments["_shared_queue"] != remote.SHARED:
        clearml_gateway.refuse_shared_workers(steps=queues[names.steps], code=queues[names.code])
    if settings.check.project and settings.check.candidate != "none":
        clearml_gateway.existing_project_id(clearml, settings.check.project)
    code = source.of_agents(configured_repository=settings.repository, configured_commit=settings.commit)
    draft, registered = clearml_gateway.template(
        clearml, project=settings.pipeline_project, name="pr_check", source=code, arguments=settings.arguments
    )
    if registered:
        workflow.say(f"registered the pipeline '{settings.pipeline_project}/pr_check' for this version")
    return queues[names.controllers], draft


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
    report = (steps["report"].result if "report" in steps else None) or {}
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
    if not report["posted"]:
        comment_url = job.verdict(document, report["markdown"])
    elif not report["status_set"]:
        job.status(state=document["state"], description=document["exit_reason"], url=document["pipeline"]["url"])
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
    job.ended(document, body or markdown.comment(document, []))
    workflow.conclude(document, comment_url=comment_url, body=body)
    return int(document["exit_code"])
