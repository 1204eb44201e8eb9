"""The default branch as GitHub has it, and its head on an agent, launched as a check launches a pull request's."""

from collections.abc import Iterable
from dataclasses import dataclass

from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearMLError
from clearml_ci.core.errors import UsageError
from clearml_ci.core.merge import Merge
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.step_results import MainLaunchDocument
from clearml_ci.github_api import git_history, merge_history
from clearml_ci.github_api.session import GitHub, GitHubError, NoCredentialsError
from clearml_ci.operations import commit_history, github_access, remote_launch
from clearml_ci.operations.github_access import GitHubAccess
from clearml_ci.operations.services import Services
from clearml_ci.parameters import audit as audit_parameters
from clearml_ci.parameters.audit import Audit
from clearml_ci.parameters.remote_run import RemoteRun

MOST_LOOKED_UP = 50  # older commits of baselines, with two or three requests to GitHub each


UNREAD = "drift and baselines off the default branch were not checked"


@dataclass(frozen=True)
class MainBranch:
    """The default branch: `commits` are its newest ones, and the heads of pull requests merged into it lately.

    `merges` are its newest ones, newest first; none if an older version's job read them. Without a connection, `github`
    is None and the commits are those that the job read. `unseen` names what could not be checked without any.
    """

    github: GitHub | None
    commits: tuple[str, ...]
    merges: tuple[Merge, ...] = ()
    notes: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


def read(access: GitHubAccess, audit: Audit) -> MainBranch:
    """Read the default branch as it is now, or else as the job read it."""
    try:
        github = github_access.connect(access, audit_parameters.as_check(audit))
        history = merge_history.recent(github, audit.home.base)
        return MainBranch(github, history.commits, history.merges)
    except GitHubError as error:
        if not audit.home.recent:
            return MainBranch(None, (), unseen=(f"{UNREAD}: {error}",))
        notes = () if isinstance(error, NoCredentialsError) else (str(error),)
        return MainBranch(None, audit.home.recent, audit.home.merges, notes)


def membership(main: MainBranch, audit: Audit, commits: Iterable[str]) -> tuple[dict[str, bool | None], list[str]]:
    """The commits with True for those on the branch, None for unknown ones; and a note if some were not looked up.

    Without any commit of the branch nothing is known, and the result is empty.
    """
    if not main.commits:
        return {}, []
    commits = dict.fromkeys(commits)
    known: dict[str, bool | None] = {commit: True for commit in commits if commit in main.commits}
    older = [commit for commit in commits if commit not in known]
    looked_up = older[:MOST_LOOKED_UP] if main.github else older
    found = {commit: _is_on(main.github, audit, commit) for commit in looked_up}
    note = (
        f"{len(looked_up)} of {len(older)} older commits of baselines were looked up on GitHub: the others may not be "
        "on the default branch"
    )
    return known | found, [note] if len(looked_up) < len(older) else []


def _is_on(github: GitHub | None, audit: Audit, commit: str) -> bool | None:
    """True if a commit is on the default branch. A commit that GitHub does not know was never pushed."""
    if github is None:
        return None
    on_base = commit_history.is_on_base_branch(github, audit_parameters.as_check(audit), commit)
    try:
        return False if on_base is None and not git_history.exists(github, commit) else on_base
    except GitHubError:
        return None


def head_commit(github: GitHub | None, audit: Audit) -> str:
    """The default branch's head: the run's `commit`, or GitHub's, or the one that the job read. Raises UsageError."""
    if audit.commit:
        return audit.commit
    if github is None and audit.home.recent:
        return audit.home.recent[0]
    if github is None:
        raise UsageError(
            "commit is empty, and the agent that runs the steps has no GITHUB_TOKEN to read the default branch's head: "
            "set `commit`"
        )
    try:
        return git_history.branch_head(github, audit.home.base)
    except GitHubError as error:
        raise UsageError(f"{error}; or set `commit`") from error


def launch(
    services: Services,
    run: Run,
    audit: Audit,
    remote_run: RemoteRun,
    *,
    github: GitHub | None,
    commit: str,
    number: int = 0,
) -> MainLaunchDocument:
    """Launch a commit of the default branch, as remote_launch.launch. Raises ClearMLError also if the run was ended."""
    check = audit_parameters.as_check(audit, commit=commit)
    document = remote_launch.launch(services, run, check, remote_run, github=github, number=number)
    if document["outcome"] == Outcome.ERROR and not document["phase"]:
        raise ClearMLError(document["reason"])
    return {**document, "commit": commit}
