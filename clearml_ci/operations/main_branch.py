"""The main branch as GitHub has it, and its head on an agent, launched as a check launches a pull request's."""

from collections.abc import Callable
from dataclasses import dataclass

from clearml_ci.clearml_api import task_launch, worker_queues
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import recorded_task
from clearml_ci.core.errors import UsageError
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.step_results import MainLaunchDocument
from clearml_ci.decisions import launch_outcome
from clearml_ci.github_api import git_history, session
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.operations import github_access, pull_request_code
from clearml_ci.parameters import audit
from clearml_ci.parameters.audit import Audit
from clearml_ci.parameters.remote_run import RemoteRun

_DARK = "GitHub could not be asked which commits main has, so nothing is known of what drifts or is not on it"


@dataclass(frozen=True)
class Main:
    """What is known of the main branch: `commits` are its newest, and the heads of what was merged into it lately.

    `hub` is None where GitHub cannot be asked: then they are those that the job read. `unseen` says what nobody could
    look at where there are none.
    """

    hub: GitHub | None
    commits: tuple[str, ...]
    notes: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


def ask(wanted: Audit) -> Main:
    """Main as it is now, or as the job read it."""
    try:
        hub = github_access.github(audit.as_check(wanted))
        return Main(hub, tuple(git_history.recent_commits(hub, wanted.home.base)))
    except GitHubError as error:
        if not wanted.home.recent:
            return Main(None, (), unseen=(f"{_DARK}: {error}",))
        in_order = isinstance(error, session.NoCredentialsError)
        return Main(None, wanted.home.recent, notes=() if in_order else (str(error),))


def head(hub: GitHub | None, wanted: Audit) -> str:
    """Main's head as the run has it, as GitHub does, or as the job read it. Raises UsageError where none tells."""
    if wanted.commit:
        return wanted.commit
    if hub is None and wanted.home.recent:
        return wanted.home.recent[0]
    if hub is None:
        raise UsageError("commit is empty, and the steps' agent has no GITHUB_TOKEN to ask for main's head: give one")
    try:
        return git_history.branch_head(hub, wanted.home.base)
    except GitHubError as error:
        raise UsageError(f"{error}; or give the commit") from error


def launch(
    clearml: ClearML,
    run: Run,
    wanted: Audit,
    asked: RemoteRun,
    *,
    hub: GitHub | None,
    commit: str,
    tell: Callable[[str], None],
) -> MainLaunchDocument:
    """The result of the launch.

    What a person has to mend is an outcome with the phase in which it failed; raises ClearMLError for the rest."""
    try:
        code, notes = pull_request_code.of(hub, audit.as_check(wanted, commit=commit), asked)
        queue = worker_queues.served(clearml, [asked.queue])[asked.queue]
    except GitHubError as error:
        return {**launch_outcome.not_launched(Outcome.ERROR, phase="settings", reason=str(error)), "commit": commit}
    except (UsageError, ClearMLError) as error:
        return {**launch_outcome.not_launched(Outcome.ERROR, phase="queue", reason=str(error)), "commit": commit}
    launched = task_launch.run(clearml, asked, code, queue=queue.id, run=run.id, tell=tell)
    ending, task = launched.ending, recorded_task.as_document(launched.task)
    if ending.outcome == Outcome.ERROR and not ending.phase:
        raise ClearMLError(ending.reason)
    document = launch_outcome.as_document(asked, ending, launched.seen, task=task, notes=notes)
    return {**document, "commit": commit}
