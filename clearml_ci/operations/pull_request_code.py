"""The pull request's code as GitHub knows it: whether it may run on an agent, and what it needs there."""

from clearml_ci.clearml_api.launch_draft import Code
from clearml_ci.core import entry_script, requirements_file
from clearml_ci.core.errors import UsageError
from clearml_ci.decisions import fork_approval
from clearml_ci.decisions.fork_approval import Labeling
from clearml_ci.github_api import file_contents, pull_request_labels, pull_requests, repository_info
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.remote_run import RemoteRun

_FOUND_BY_AGENTS = "requirements.txt"


def approval_error(github: GitHub | None, check: Check, launch: RemoteRun) -> str | None:
    """Reason why this code must not run on an agent, or None. Raises GitHubError.

    Without `github` an approval counts that the job has read.
    """
    pull = check.pull_request
    if not pull.head_url:
        return fork_approval.DELETED
    if not pull.is_fork:
        return None
    label = launch.approval_label
    if github is None:
        return None if check.facts.approved else fork_approval.advice(check, label=label)
    labeling = pull_request_labels.labeling(github, pull.number, label)
    return None if _approved(github, check, labeling) else fork_approval.advice(check, label=label, labeling=labeling)


def is_approved(github: GitHub, check: Check, *, label: str) -> bool:
    """True if a user with write access to the repository approved this commit. Raises GitHubError."""
    return _approved(github, check, pull_request_labels.labeling(github, check.pull_request.number, label))


def _approved(github: GitHub, check: Check, labeling: Labeling | None) -> bool:
    """Comments that a program wrote are left out, ours above all: they quote what others wrote."""
    comments = pull_requests.comments(github, check.pull_request.number)
    of_people = [
        (comment.login, comment.body)
        for comment in comments
        if not comment.by_program and comment.login.lower() not in github.trusted
    ]
    claims = fork_approval.approvers(check, of_people, labeling)
    return any(repository_info.permission(github, login) in fork_approval.WRITERS for login in claims)


def launch_code(github: GitHub | None, check: Check, launch: RemoteRun) -> tuple[Code, list[str]]:
    """The code to clone and what to install, and notes on what could not be read. Raises GitHubError."""
    source = entry_source(github, check, launch)
    inject, notes = launch.inject_task_init and bool(launch.script), []
    if source is not None:
        inject = not entry_script.calls_task_init(source)
    elif launch.script:
        added = "is added" if inject else "is not added"
        notes.append(f"{launch.entry} could not be read at this commit: a call of Task.init {added} (inject_task_init)")
    packages = _packages(github, check, launch, inject=inject)
    return Code(check.pull_request.head_url, check.commit, packages, inject_task_init=inject), notes


def entry_source(github: GitHub | None, check: Check, launch: RemoteRun) -> str | None:
    """The text of the entry script at the check's commit; None if there is none, or it cannot be read."""
    return _read(github, check, launch.entry)


def _packages(github: GitHub | None, check: Check, launch: RemoteRun, *, inject: bool) -> list[str] | None:
    """None: the agent installs what it finds. The SDK's call of Task.init needs the list, to add `clearml` to it."""
    chosen = launch.requirements not in ("", _FOUND_BY_AGENTS)
    if not (chosen or launch.packages or inject):
        return None
    text = _read(github, check, launch.requirements or _FOUND_BY_AGENTS)
    if chosen and text is None:
        raise GitHubError(f"the requirements file '{launch.requirements}' could not be read at this commit")
    return [*requirements_file.lines(text or ""), *launch.packages] or None


def _read(github: GitHub | None, check: Check, path: str) -> str | None:
    """A file's text; None if it cannot be read: the agent, which fetches it itself, then reports what is wrong."""
    if github is None or not path:
        return None
    try:
        return file_contents.read(github, path=path, commit=check.commit)
    except (GitHubError, UsageError):
        return None
