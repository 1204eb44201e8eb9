"""One run, from its start to an exit code: the pending status, the wait, and the verdict's way onto every surface."""

import signal
import time
from collections.abc import Mapping
from typing import cast

from clearml_ci.clearml_api import ownership, pipeline_runs, run_cancellation
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.worker_queues import Queue
from clearml_ci.core.documents import RunDocument, VerdictDocument
from clearml_ci.core.step_results import ReportResult
from clearml_ci.decisions import verdict
from clearml_ci.job import wait, workflow_output
from clearml_ci.job.reporter import Voice
from clearml_ci.operations import publish
from clearml_ci.parameters import audit
from clearml_ci.report import audit_issue, comment
from clearml_ci.report import markdown as cells

REPORTS = ("report", "audit_report")  # the step that tells, of checks and promotions, and of audits


SIGNALS = (signal.SIGINT, signal.SIGTERM)


def through(
    clearml: ClearML,
    job: Voice,
    *,
    template: str,
    queue: Queue,
    arguments: Mapping[str, str],
    ends: tuple[float, float],
    supersedes: bool,
) -> int:
    """Pending status, start, wait, verdict. `ends`: when the job began, and the seconds that it may take.

    `supersedes`: older checks of the same pull request are stopped, which a rerun, maybe of an old commit, must not do.
    """
    # A signal between these lines and the `try` would leave a run, or a pending status, that nobody ends.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    job.status(state="pending", description="started in ClearML", url="")
    try:
        run_id = pipeline_runs.start(clearml, template=template, queue=queue, arguments=arguments)
    except ClearMLError as error:
        job.status(state="error", description=str(error), url="")
        raise
    run: RunDocument = {"id": run_id, "url": ""}
    began, deadline = ends
    try:
        ownership.mark(clearml, run_id, run=run_id, purpose="run")
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        run["url"] = pipeline_runs.read(clearml, run_id).url
        workflow_output.say(f"ClearML run: {run['url']} (enqueued after {time.monotonic() - began:.1f} s)")
        if supersedes:
            _supersede(clearml, job, run)
        if not job.check.waited_for:
            status = "" if job.check.action == audit.PIPELINE else job.check.check_name
            workflow_output.handed_over(run, status=status, notes=cells.afterword(job.warnings))
            return 0
        job.started(run["url"])
        return _wait(clearml, job, run, deadline=began + deadline)
    except KeyboardInterrupt:
        return _give_up(clearml, job, run, "cancelled")
    except Exception as error:  # whatever it is: a run that nobody waits for must not turn a status green later
        told = isinstance(error, wait.DeadlineError | ClearMLError)
        return _give_up(clearml, job, run, str(error) if told else f"{type(error).__name__}: {error}")


def _supersede(clearml: ClearML, job: Voice, run: RunDocument) -> None:
    """Stop the older checks of this pull request, and tell so where GitHub would wait for them for ever."""
    for older in run_cancellation.supersede(clearml, run["id"]):
        workflow_output.say(f"superseded an older check of pull request #{job.check.pull_request.number}: {older.url}")
        commit = older.arguments.get("commit", "")
        if commit != job.check.commit:
            job.status(state="error", description="superseded by a newer commit", url=run["url"], commit=commit)


def _wait(clearml: ClearML, job: Voice, run: RunDocument, *, deadline: float) -> int:
    """The exit code, once the run has ended and its verdict is told."""
    ended, steps = wait.until_ended(clearml, run["id"], deadline=deadline, tell=workflow_output.say)
    left = next((steps[name].result for name in REPORTS if name in steps), None)
    report = cast(ReportResult, left or {})
    for warning in report.get("warnings", []):
        job.warn(warning)
    if ended.superseded_by:
        document = verdict.error(job.check, run=run, reason=f"superseded by the newer run {ended.superseded_by}")
        return _conclude(job, document)
    states = ", ".join(f"{step.name} {step.status}" for step in steps.values()) or f"no step: {ended.message}"
    fault = verdict.why_invalid(job.check, run=run, status=ended.status, states=states, report=report)
    return _unreported(job, run, fault) if fault else _reported(job, report)


def _reported(job: Voice, report: ReportResult) -> int:
    """The run's own verdict; what its agent could not say on GitHub, the job says."""
    document, comment_url = report["verdict"], report["comment_url"]
    if document["rerun"]:  # whoever starts one speaks for no workflow
        return _conclude(job, document, comment_url=comment_url, body=report["markdown"])
    if not report["posted"]:
        comment_url = job.verdict(document, report["markdown"])
    elif not report["status_set"]:
        job.status(state=document["state"], description=publish.described(document), url=document["pipeline"]["url"])
    return _conclude(job, document, comment_url=comment_url, body=report["markdown"])


def _give_up(clearml: ClearML, job: Voice, run: RunDocument, reason: str) -> int:
    """Stop the run. A runner kills a cancelled job after seconds, so the word is told before the end is awaited."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    try:
        run_cancellation.ask_to_stop(clearml, run["id"], reason=f"ClearML CI: {reason}")
        told = _unreported(job, run, f"{reason}; the run was stopped")
        run_cancellation.stop(clearml, run["id"], reason=f"ClearML CI: {reason}")
    except ClearMLError as error:
        told = _unreported(job, run, f"{reason}; the run may still be there: {error}")
    return told


def _unreported(job: Voice, run: RunDocument, reason: str) -> int:
    """The verdict of a run that could not tell it itself."""
    document = verdict.error(job.check, run=run, reason=reason)
    job.status(state="error", description=reason, url=run["url"])
    return _conclude(job, document)


def _conclude(job: Voice, document: VerdictDocument, *, comment_url: str = "", body: str = "") -> int:
    if verdict.is_audit(document):
        title, text = audit_issue.title(document), body or audit_issue.issue(document)
    else:
        title, text = comment.headline(document), body or comment.comment(document, [])
    job.ended(document, text)
    workflow_output.conclude(document, title=title, comment_url=comment_url, body=text + cells.afterword(job.warnings))
    return document["exit_code"]
