"""Start a check as a ClearML pipeline and wait for its verdict. The pipeline decides; this only carries the word."""

import argparse
import os
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

from clearml_ci import clearml_gateway, source, verdict, watch, workflow
from clearml_ci import settings as trigger_settings
from clearml_ci.clearml_gateway import ClearML, ClearMLError, Queue
from clearml_ci.errors import UsageError
from clearml_ci.settings import Settings
from clearml_ci.verdict import Document

SIGNALS = (signal.SIGINT, signal.SIGTERM)
HELP = """\
Checks a pull request inside ClearML: finds the task that ran its head commit, compares it with the best,
comments, sets a commit status, and exits with the verdict.

  0  passed, improved, or the first model        3  inconclusive: the evidence cannot decide
  1  regressed, or no evidence for this commit   4  error: ClearML, a queue, an agent or GitHub failed
  2  wrong usage or configuration

Inside a GitHub workflow (on: pull_request) everything is read from the environment; README.md has the table.
"""


def main() -> int:
    """The exit code of one command."""
    parser = argparse.ArgumentParser(description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", default="pr", choices=["pr"], help="what to start (default: pr)")
    parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return pull_request()
    except (UsageError, ClearMLError) as error:
        workflow.fail(str(error))
        return 2 if isinstance(error, UsageError) else 4
    except KeyboardInterrupt:
        workflow.fail("cancelled before anything was started")
        return 4


def pull_request() -> int:
    """Check the pull request of the current event."""
    began = time.monotonic()
    settings = trigger_settings.from_environment(os.environ)
    clearml = clearml_gateway.connect()
    queue, draft = _prepare(clearml, settings)
    # A signal between these lines and the `try` would leave a run, or a pending status, that nobody ends.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    workflow.set_status(settings, state="pending", description="started in ClearML", url="")
    try:
        run_id = clearml_gateway.start(clearml, template=draft, queue=queue, arguments=settings.arguments)
    except ClearMLError as error:
        workflow.set_status(settings, state="error", description=str(error), url="")
        raise
    run = {"id": run_id, "url": ""}
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        run["url"] = clearml_gateway.run(clearml, run_id).url
        workflow.say(f"ClearML run: {run['url']} (enqueued after {time.monotonic() - began:.1f} s)")
        _supersede(clearml, settings, run)
        document, comment_url = _wait(clearml, settings, run, deadline=began + settings.deadline)
    except (KeyboardInterrupt, watch.DeadlineError, ClearMLError) as error:
        return _give_up(clearml, settings, run, str(error) or "cancelled")
    return _conclude(document, comment_url)


def _prepare(clearml: ClearML, settings: Settings) -> tuple[Queue, str]:
    """The controllers' queue and the template: everything that can be refused before a start."""
    names = settings.queues
    wanted = [names.controllers, names.steps, *([names.code] if settings.remote_run else [])]
    queues = clearml_gateway.watched_queues(clearml, wanted)
    clearml_gateway.refuse_deadlock([queues[name] for name in wanted])
    if settings.check.project and settings.check.candidate != "none":
        clearml_gateway.existing_project_id(clearml, settings.check.project)
    code = source.of_agents(configured_repository=settings.repository, configured_commit=settings.commit)
    draft, registered = clearml_gateway.template(
        clearml, project=settings.pipeline_project, name="pr_check", source=code, arguments=settings.arguments
    )
    if registered:
        workflow.say(f"registered the pipeline '{settings.pipeline_project}/pr_check' for this version")
    return queues[names.controllers], draft


def _supersede(clearml: ClearML, settings: Settings, run: dict[str, str]) -> None:
    """Stop the older checks of this pull request, and tell so where GitHub would wait for them for ever."""
    for older in clearml_gateway.supersede(clearml, run["id"]):
        workflow.say(f"superseded an older check of pull request #{settings.check.pull_request.number}: {older.url}")
        commit = older.arguments.get("commit", "")
        if commit != settings.check.commit:
            workflow.set_status(
                settings, state="error", description="superseded by a newer commit", url=run["url"], commit=commit
            )


def _wait(clearml: ClearML, settings: Settings, run: dict[str, str], *, deadline: float) -> tuple[Document, str]:
    """The verdict and the comment's address, once the run has ended."""
    ended, steps = watch.until_ended(clearml, run["id"], deadline=deadline, tell=workflow.say)
    report = (steps["report"].result if "report" in steps else None) or {}
    for warning in report.get("warnings", []):
        workflow.warn(warning)
    states = ", ".join(f"{step.name} {step.status}" for step in steps.values()) or f"no step: {ended.message}"
    if ended.superseded_by:
        return verdict.error(settings.check, run=run, reason=f"superseded by the newer run {ended.superseded_by}"), ""
    fault = verdict.doubt(settings.check, run=run, status=ended.status, states=states, report=report)
    if fault:
        return _unreported(settings, run, fault), ""
    document: Document = report["verdict"]
    if not report["status_set"]:
        outcome = verdict.OUTCOMES[document["outcome"]]
        workflow.set_status(settings, state=outcome.state, description=document["exit_reason"], url=run["url"])
    return document, report["comment_url"]


def _give_up(clearml: ClearML, settings: Settings, run: dict[str, str], reason: str) -> int:
    """Stop the run. A runner kills a cancelled job after seconds, so the word is told before the end is awaited."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    try:
        clearml_gateway.ask_to_stop(clearml, run["id"], reason=f"ClearML CI: {reason}")
        told = _conclude(_unreported(settings, run, f"{reason}; the run was stopped"), "")
        clearml_gateway.stop(clearml, run["id"], reason=f"ClearML CI: {reason}")
    except ClearMLError as error:
        told = _conclude(_unreported(settings, run, f"{reason}; the run may still be there: {error}"), "")
    return told


def _conclude(document: Document, comment_url: str) -> int:
    workflow.conclude(document, comment_url=comment_url)
    return verdict.OUTCOMES[document["outcome"]].exit_code


def _unreported(settings: Settings, run: dict[str, str], reason: str) -> Document:
    """The verdict of a run that could not tell it itself."""
    document = verdict.error(settings.check, run=run, reason=reason)
    workflow.set_status(settings, state="error", description=reason, url=run["url"])
    return document


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  the signature is Python's
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
