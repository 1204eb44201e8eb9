"""What every step does around its one decision: find its run, leave its result, tell a fault."""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from clearml_ci import clearml_gateway, clearml_runs, credentials, github_gateway
from clearml_ci.check import Check
from clearml_ci.clearml_gateway import ClearML, ClearMLError
from clearml_ci.clearml_runs import Run
from clearml_ci.errors import UsageError
from clearml_ci.github_gateway import GitHub, GitHubError

Decide = Callable[[ClearML, Run], dict[str, Any]]


class NoCredentialsError(GitHubError):
    """This agent is not given anything to sign in to GitHub with, which is in order: a job that waits speaks for it."""


def say(line: str) -> None:
    """A line of the step's console, at once."""
    print(line, flush=True)  # noqa: T201  the console is where a person looks


def main(decide: Decide) -> None:
    """Run a step: on an agent for the run in its own `Args/run`, by hand for the run id on the command line.

    The result goes onto the step's own task (by hand: to the terminal only). A fault is a result as well, so that
    the report can tell it, and fails the step.
    """
    own_task = os.environ.get("CLEARML_TASK_ID", "")
    signal.signal(signal.SIGTERM, _leave)
    if len(sys.argv) != 2 and not own_task:
        sys.exit(f"usage: python {sys.argv[0]} <id of a pipeline run>")
    try:
        clearml = clearml_gateway.connect()
        run_id = sys.argv[1] if len(sys.argv) == 2 else clearml_gateway.argument(clearml, own_task, "run")
        result = _result(decide, clearml, run_id, on_agent=bool(own_task))
        if own_task:
            result["requests"] = clearml.requests + 1  # and the one that stores it
            clearml_runs.store_result(clearml, own_task, result)
    except (ClearMLError, UsageError) as error:
        sys.exit(str(error))
    say(json.dumps(result, indent=1))
    if "fault" in result:
        sys.exit(1)


def _result(decide: Decide, clearml: ClearML, run_id: str, *, on_agent: bool) -> dict[str, Any]:
    try:
        run = clearml_runs.run(clearml, run_id)
        if (
            on_agent and run.status in clearml_gateway.ENDED
        ):  # an older server leaves the steps of an aborted run queued
            return {"fault": f"the run {run_id} has ended already (status '{run.status}')"}
        if on_agent and run.superseded_by:
            return {"fault": f"the run {run_id} was superseded by the newer run {run.superseded_by}"}
        return decide(clearml, run)
    except (ClearMLError, UsageError) as error:
        return {"fault": str(error)}
    except Exception as error:  # a fault that nobody thought of is told as one, and not left in a console
        traceback.print_exc()
        return {"fault": f"{type(error).__name__}: {error}"}


def require_own_repository(repository: str, run: Run) -> None:
    """A run's parameters can be edited by anyone on the ClearML server; its project says whose checks it holds."""
    if not repository or f"/{repository}{clearml_runs.PIPELINES}" not in f"/{run.project}/":
        raise UsageError(f"a run in the project '{run.project}' must not report to the repository '{repository}'")


def github(wanted: Check) -> GitHub:
    """The pull request's repository, with this agent's own credentials. Raises GitHubError, and where it has none
    NoCredentialsError.
    """
    pull = wanted.pull_request
    try:
        signed = credentials.from_environment(os.environ)
    except UsageError as error:
        raise GitHubError(f"the steps' agent: {error}") from error
    if not signed:
        raise NoCredentialsError("the steps' agent has no GITHUB_TOKEN and no GitHub App in its environment")
    api_url = os.environ.get("GITHUB_API_URL", "https://api.github.com")
    if pull.github_api.rstrip("/") != api_url.rstrip("/"):
        # A run's parameters can be edited by anyone on the ClearML server; the token goes where its owner said.
        raise GitHubError(
            f"the run asks to report to {pull.github_api}, but the steps' agent reports to {api_url}: "
            "set GITHUB_API_URL in the agent's environment"
        )
    return github_gateway.connect(
        api_url=api_url, credentials=signed, repository=pull.repository, comment_authors=wanted.comment_authors
    )


def voice(wanted: Check) -> tuple[GitHub | None, str]:
    """GitHub, where this agent has credentials, else why not; nothing where a job waits that speaks for it."""
    try:
        return github(wanted), ""
    except GitHubError as error:
        say(f"nothing is told on GitHub by this step: {error}")
        in_order = isinstance(error, NoCredentialsError) and wanted.waited_for
        return None, "" if in_order else str(error)


def github_if_any(wanted: Check) -> GitHub | None:
    """As github, and None where this agent cannot ask: then what GitHub would know stays unknown."""
    try:
        return github(wanted)
    except GitHubError:
        return None


def _leave(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  the signature is Python's
    sys.exit("ended by its agent")  # an agent's abort; what a step has to clean up, it cleans up on its way out
