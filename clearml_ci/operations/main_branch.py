"""The default branch as GitHub has it, and its head on an agent, launched as a check launches a pull request's."""

from dataclasses import dataclass

from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearMLError
from clearml_ci.core.errors import UsageError
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.step_results import MainLaunchDocument
from clearml_ci.github_api import reads
from clearml_ci.github_api.session import GitHub, GitHubError, NoCredentialsError
from clearml_ci.operations import github_access, remote_launch
from clearml_ci.operations.github_access import GitHubAccess
from clearml_ci.operations.services import Services
from clearml_ci.parameters import audit as audit_parameters
from clearml_ci.parameters.audit import Audit
from clearml_ci.parameters.remote_run import RemoteRun

UNREAD = "drift and baselines off the default branch were not checked"


@dataclass(frozen=True)
class MainBranch:
    """The default branch: `commits` are its newest ones, and the heads of pull requests merged into it lately.

    Without a connection, `github` is None and the commits are those that the job read. `unseen` says what could not be
    checked without any.
    """

    github: GitHub | None
    commits: tuple[str, ...]
    notes: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


def read(access: GitHubAccess, audit: Audit) -> MainBranch:
    """Read the default branch as it is now, or else as the job read it."""
    try:
        github = github_access.connect(access, audit_parameters.as_check(audit))
        return MainBranch(github, tuple(reads.recent_commits(github, audit.home.base)))
    except GitHubError as error:
        if not audit.home.recent:
            return MainBranch(None, (), unseen=(f"{UNREAD}: {error}",))
        notes = () if isinstance(error, NoCredentialsError) else (str(error),)
        return MainBranch(None, audit.home.recent, notes=notes)


def head_commit(github: GitHub | None, audit: Audit) -> str:
    """The default branch's head: the run's `commit`, or GitHub's, or the one that the job read. Raises UsageError."""
    if audit.commit:
        return audit.commit
    if github is None and audit.home.recent:
        return audit.home.recent[0]
    if github is None:
        raise UsageError(
            "commit is empty, and the steps' agent has no GITHUB_TOKEN to read the default branch's head: set `commit`"
        )
    try:
        return reads.branch_head(github, audit.home.base)
    except GitHubError as error:
        raise UsageError(f"{error}; or set `commit`") from error


def launch(
    services: Services, run: Run, audit: Audit, remote_run: RemoteRun, *, github: GitHub | None, commit: str
) -> MainLaunchDocument:
    """Launch a commit of the default branch, as remote_launch.launch. Raises ClearMLError also if the run was ended."""
    check = audit_parameters.as_check(audit, commit=commit)
    document = remote_launch.launch(services, run, check, remote_run, github=github)
    if document["outcome"] == Outcome.ERROR and not document["phase"]:
        raise ClearMLError(document["reason"])
    return {**document, "commit": commit}
