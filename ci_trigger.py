"""Start a check as a ClearML pipeline and wait for its verdict. The pipeline decides; this only carries the word."""

import argparse
import os
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

from clearml_ci import clearml_gateway, github_gateway, source, verdict, watch, workflow
from clearml_ci import settings as trigger_settings
from clearml_ci.clearml_gateway import ClearML, ClearMLError
from clearml_ci.errors import UsageError
from clearml_ci.github_gateway import GitHubError
from clearml_ci.settings import Settings
from clearml_ci.verdict import Document

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
    except UsageError as error:
        workflow.fail(str(error))
        return 2
    except ClearMLError as error:
        workflow.fail(str(error))
        return 4
    except KeyboardInterrupt:
        workflow.fail("cancelled before anything was started")
        return 4


def pull_request() -> int:
    """Check the pull request of the current event."""
    began = time.monotonic()
    settings = trigger_settings.from_environment(os.environ)
    clearml = clearml_gateway.connect()
    run_id = _start(clearml, settings)
    url = clearml_gateway.run(clearml, run_id).url
    workflow.say(f"ClearML run: {url} (enqueued after {time.monotonic() - began:.1f} s)")
    try:
        document, comment_url = _wait(clearml, settings, run_id, deadline=began + settings.deadline)
    except KeyboardInterrupt:
        document, comment_url = _stopped(clearml, settings, run_id, url, "cancelled"), ""
    except watch.DeadlineError as error:
        reason = f"not ended after {settings.deadline:g} s ({error}); the run was stopped"
        document, comment_url = _stopped(clearml, settings, run_id, url, reason), ""
    workflow.conclude(document, comment_url=comment_url)
    return verdict.OUTCOMES[document["outcome"]].exit_code


def _start(clearml: ClearML, settings: Settings) -> str:
    queues = clearml_gateway.watched_queues(clearml, [settings.queues.controllers, settings.queues.steps])
    if queues[settings.queues.controllers].workers < 2 and settings.queues.controllers == settings.queues.steps:
        raise UsageError(
            f"controllers and steps share the queue '{settings.queues.steps}' with a single worker: a controller "
            "would wait for its own steps for ever; set CLEARML_CI_STEPS_QUEUE to a queue with its own worker"
        )
    if settings.check.project:
        clearml_gateway.existing_project_id(clearml, settings.check.project)
    code = source.of_agents(configured_repository=settings.repository, configured_commit=settings.commit)
    arguments = {**settings.check.to_arguments(), "_steps_queue": settings.queues.steps}
    draft, registered = clearml_gateway.template(
        clearml,
        project=settings.pipeline_project,
        name="pr_check",
        source=code,
        arguments=arguments,
    )
    if registered:
        workflow.say(f"registered the pipeline '{settings.pipeline_project}/pr_check' for this version")
    _set_status(settings, state="pending", description="started in ClearML", url="")
    return clearml_gateway.start(
        clearml, template=draft, queue=queues[settings.queues.controllers], arguments=arguments
    )


def _wait(clearml: ClearML, settings: Settings, run_id: str, *, deadline: float) -> tuple[Document, str]:
    run, steps = watch.until_ended(clearml, run_id, deadline=deadline, tell=workflow.say)
    report = steps["report"].result if "report" in steps else None
    if report and "verdict" in report:
        for warning in report["warnings"]:
            workflow.warn(warning)
        if report["verdict"]["outcome"] == "error":
            _set_status(settings, state="error", description=report["verdict"]["exit_reason"], url=run.url)
        return report["verdict"], report["comment_url"]
    states = ", ".join(f"{step.name} {step.status}" for step in steps.values()) or "no step was started"
    reason = (report or {}).get("fault") or f"the run ended '{run.status}' without a report ({states})"
    return _unreported(settings, run_id, run.url, reason), ""


def _stopped(clearml: ClearML, settings: Settings, run_id: str, url: str, reason: str) -> Document:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a runner signals again after seconds
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    clearml_gateway.stop(clearml, run_id, reason=f"ClearML CI: {reason}")
    return _unreported(settings, run_id, url, reason)


def _unreported(settings: Settings, run_id: str, url: str, reason: str) -> Document:
    """The verdict of a run that could not tell it itself."""
    document = verdict.error(settings.check, run={"id": run_id, "url": url}, reason=reason)
    _set_status(settings, state="error", description=reason, url=url)
    return document


def _set_status(settings: Settings, *, state: str, description: str, url: str) -> None:
    """The trigger's own word on the commit; without a token, or where it is refused, the job's result must do."""
    if not settings.github_token:
        return
    pull = settings.check.pull_request
    try:
        hub = github_gateway.connect(api_url=pull.github_api, token=settings.github_token, repository=pull.repository)
        github_gateway.set_status(hub, commit=settings.check.commit, state=state, description=description, url=url)
    except GitHubError as error:
        workflow.warn(str(error))


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  the signature is Python's
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
