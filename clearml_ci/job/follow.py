"""Run one pipeline and publish its verdict: the pending status, the wait, the verdict, the exit code."""

import contextlib
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from clearml_ci.clearml_api import patience, pipeline_runs, run_cancellation, run_outcome, run_start
from clearml_ci.clearml_api.pipeline_code import PipelineCode
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML, ClearMLError, TaskGoneError
from clearml_ci.clearml_api.worker_queues import Queue
from clearml_ci.core import console
from clearml_ci.core.documents import RunDocument, VerdictDocument
from clearml_ci.core.poll import Clock, Stopwatch
from clearml_ci.core.redaction import mask
from clearml_ci.core.step_results import REPORTS, ReportResult
from clearml_ci.decisions import verdict, verdict_sentence
from clearml_ci.job import stale_checks, wait, workflow_output
from clearml_ci.job.reporter import Reporter
from clearml_ci.parameters import audit
from clearml_ci.report import audit_issue, comment, markdown

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Launch:
    """A run to start. `deadline`: the seconds since the job began after which it is stopped.

    `supersedes`: a check of the head stops the older ones, which a rerun must not do. `rerun`: the template
    is an earlier run.
    """

    template: str
    queue: Queue
    arguments: Mapping[str, str]
    deadline: float
    supersedes: bool
    rerun: bool = False
    code: PipelineCode | None = None  # of a first run; a rerun executes that of its run


def run_to_verdict(clearml: ClearML, reporter: Reporter, launch: Launch, stopwatch: Stopwatch) -> int:
    """Start the run, wait for its verdict, and return the exit code; `stopwatch` runs since the job began."""
    # A signal between these lines and the `try` would leave a run, or a pending status, that no process ends.
    _hold_signals(held=True)
    run = _start(clearml, reporter, launch, stopwatch.clock)
    try:
        _hold_signals(held=False)
        run["url"] = _take_over(clearml, run["id"], stopwatch.clock, rerun=launch.rerun)
        console.log(f"ClearML run: {run['url']} (enqueued after {stopwatch.elapsed():.1f} s)")
        reporter.link_status(run["url"])
        if launch.supersedes and reporter.is_of_head():
            _supersede(clearml, reporter, run)
        if not reporter.check.waited_for:
            return _hand_over(reporter, run)
        reporter.start_check_run(run["url"])
        return _wait(clearml, reporter, run, clock=stopwatch.clock, timeout=launch.deadline - stopwatch.elapsed())
    except KeyboardInterrupt:
        return _cancel(clearml, reporter, run, "cancelled", stopwatch.clock)
    except Exception as error:  # any error: a run that no job waits for must not turn a status green later
        known = isinstance(error, wait.DeadlineError | wait.DismissedError | ClearMLError)
        return _cancel(
            clearml, reporter, run, str(error) if known else mask(f"{type(error).__name__}: {error}"), stopwatch.clock
        )


def _hold_signals(*, held: bool) -> None:
    """Keep the signals that end a job waiting, or let them through. Windows has no masks of signals."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK if held else signal.SIG_UNBLOCK, SIGNALS)


def _start(clearml: ClearML, reporter: Reporter, launch: Launch, clock: Clock) -> RunDocument:
    reporter.set_status(state="pending", description="started in ClearML", url="")
    try:
        run_id = run_start.start(
            clearml,
            template=launch.template,
            queue=launch.queue,
            arguments=launch.arguments,
            clock=clock,
            code=launch.code,
        )
    except Exception as error:  # whatever it is: no other process makes this status final
        reporter.set_status(state="error", description=str(error), url="")
        _hold_signals(held=False)
        raise
    return {"id": run_id, "url": ""}


def _take_over(clearml: ClearML, run: str, clock: Clock, *, rerun: bool) -> str:
    """Mark the run as ours and as followed by this job; the address of its page."""

    def taken_over() -> str:
        run_start.acknowledge(clearml, run, rerun=rerun)
        return pipeline_runs.read(clearml, run).url

    return patience.result(clock, taken_over, report=console.log)


def _supersede(clearml: ClearML, reporter: Reporter, run: RunDocument) -> None:
    """Stop the older checks of this pull request; set the status of another commit, which would stay pending."""
    for older in run_cancellation.supersede(clearml, run["id"]):
        console.log(f"superseded an older check of pull request #{reporter.check.pull_request.number}: {older.url}")
        commit = older.arguments.get("commit", "")
        if commit != reporter.check.commit:
            reporter.set_status(
                state="error", description="superseded by a newer commit", url=run["url"], commit=commit
            )


def _hand_over(reporter: Reporter, run: RunDocument) -> int:
    check = reporter.check
    status = "" if check.action == audit.PIPELINE else check.check_name
    workflow_output.hand_over(run, status=status, notes=markdown.warnings_block(reporter.warnings))
    return 0


def _wait(clearml: ClearML, reporter: Reporter, run: RunDocument, *, clock: Clock, timeout: float) -> int:
    """The exit code, once the run has ended and its verdict is published."""
    ended, steps = wait.until_ended(
        clearml, run["id"], clock=clock, timeout=timeout, report=console.log, is_dismissed=reporter.is_dismissed
    )
    result = next((steps[name].result for name in REPORTS if name in steps), None)
    report = cast(ReportResult, result or {})
    for warning in report.get("warnings", []):
        reporter.warn(warning)
    reporter.be_patient(clock)
    if ended.superseded_by:
        return _conclude_superseded(clearml, reporter, run, ended.superseded_by, clock)
    states = ", ".join(f"{step.name} {step.status}" for step in steps.values()) or f"no step: {ended.message}"
    fault = verdict.why_invalid(reporter.check, run=run, status=ended.status, states=states, report=report)
    if fault:
        exit_code = conclude_unreported(reporter, run, fault, reported=bool(report.get("comment_url")))
        _label_error(clearml, run["id"], verdict.error(reporter.check, run=run, reason=fault))
        return exit_code
    exit_code = conclude_reported(reporter, report)
    _set_status_message(clearml, ended, report["verdict"])
    if stale_checks.are_left(report):
        stale_checks.finish(clearml, reporter, run["id"], clock)
    return exit_code


def _label_error(clearml: ClearML, run: str, document: VerdictDocument) -> None:
    """Show the error of a run that reported none, or another verdict, in ClearML, if that answers."""
    with contextlib.suppress(ClearMLError):
        sentence = verdict_sentence.of(document)
        run_outcome.conclude(clearml, run, outcome=document["outcome"], sentence=sentence)
        _set_status_message(clearml, pipeline_runs.read(clearml, run), document)


def _set_status_message(clearml: ClearML, run: Run, document: VerdictDocument) -> None:
    """Write the verdict into the status message of a run that has ended, if ClearML answers."""
    if run.status in run_outcome.ENDS:
        with contextlib.suppress(ClearMLError):
            sentence = verdict_sentence.of(document)
            run_outcome.set_status_message(clearml, run.id, status=run.status, sentence=sentence)


def _conclude_superseded(clearml: ClearML, reporter: Reporter, run: RunDocument, newer: str, clock: Clock) -> int:
    """The error of a superseded run; the status of the same commit is left to the newer run's job."""
    document = verdict.error(reporter.check, run=run, reason=f"superseded by the newer run {newer}")
    _label_error(clearml, run["id"], document)
    if newer != run["id"] and _commit_of(clearml, newer, clock) == reporter.check.commit:
        reporter.pending = False
    else:
        reporter.set_status(state="error", description=document["exit_reason"], url=run["url"])
    return _conclude(reporter, document)


def _commit_of(clearml: ClearML, run: str, clock: Clock) -> str:
    """The commit that a run checks; empty if the run does not exist."""
    try:
        found = patience.result(
            clock, lambda: pipeline_runs.read(clearml, run), final=(TaskGoneError,), report=console.log
        )
    except TaskGoneError:
        return ""
    return found.arguments.get("commit", "")


def conclude_reported(reporter: Reporter, report: ReportResult) -> int:
    """The run's own verdict; the job posts what the agent could not post on GitHub."""
    document = report["verdict"]
    if document["rerun"] and reporter.github is None:  # a rerun belongs to no workflow: this job posts nothing
        return _conclude(reporter, document, comment_url=report["comment_url"], body=report["markdown"])
    comment_url = reporter.post_rest(document, report)
    return _conclude(reporter, document, comment_url=comment_url, body=report["markdown"])


def _cancel(clearml: ClearML, reporter: Reporter, run: RunDocument, reason: str, clock: Clock) -> int:
    """Stop the run. GitHub kills a cancelled job after about 10 s: publish first, then wait for the end."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    status_reason = f"ClearML CI: {reason}"
    try:
        run_cancellation.give_up(clearml, run["id"], reason=status_reason)
        ending = f"{reason}; the run was stopped"
    except ClearMLError as error:
        ending = f"{reason}; the run may still be there: {error}"
    exit_code = conclude_unreported(reporter, run, ending)
    _stop_patiently(clearml, run, status_reason, clock)
    reporter.be_patient(clock)
    document = verdict.error(reporter.check, run=run, reason=ending)
    _set_error(reporter, document)  # its report may have come in between
    reporter.finish_check_run(document, comment.comment(document, []))
    _label_error(clearml, run["id"], document)
    return exit_code


def _stop_patiently(clearml: ClearML, run: RunDocument, reason: str, clock: Clock) -> None:
    """Stop the run, also if the server is unreachable for a while: no other process ends it."""

    def stopped() -> None:
        run_cancellation.give_up(clearml, run["id"], reason=reason)
        run_cancellation.stop(clearml, run["id"], reason=reason, clock=clock)

    try:
        patience.result(clock, stopped, report=console.log)
    except ClearMLError as error:
        workflow_output.warn(f"the run {run['id']} could not be stopped: {error}; abort it in ClearML")


def conclude_unreported(reporter: Reporter, run: RunDocument, reason: str, *, reported: bool = False) -> int:
    """The verdict of a run that could not report one itself, or ended otherwise after it had.

    `reported`: it has written the issue of an audit.
    """
    document = verdict.error(reporter.check, run=run, reason=reason)
    if verdict.is_audit(document):
        if reported:
            reporter.post_verdict(document, audit_issue.issue(document))
    else:
        _set_error(reporter, document)
    return _conclude(reporter, document)


def _set_error(reporter: Reporter, document: VerdictDocument) -> None:
    """Set the status, and the comment that the run may have written, to the error."""
    reporter.set_status(state="error", description=document["exit_reason"], url=document["pipeline"]["url"])
    reporter.correct_comment(document, comment.comment(document, []))


def _conclude(reporter: Reporter, document: VerdictDocument, *, comment_url: str = "", body: str = "") -> int:
    """Finish the check run, write the job's outputs, and return the exit code.

    A status that stays pending, because GitHub did not take the final one, is an error whatever the verdict.
    """
    if reporter.pending:
        commit = reporter.check.status_commit[:10]
        reason = (
            f"the status of {commit} stays pending, because GitHub did not take '{document['state']}': rerun this job"
        )
        document = verdict.as_error(document, f"{reason} (the verdict was {document['outcome']})")
    if verdict.is_audit(document):
        title, text = audit_issue.title(document), body or audit_issue.issue(document)
    else:
        title, text = comment.headline(document), body or comment.comment(document, [])
    reporter.finish_check_run(document, text)
    end = markdown.warnings_block(reporter.warnings)
    workflow_output.conclude(document, title=title, comment_url=comment_url, body=text + end)
    return int(document["exit_code"])
