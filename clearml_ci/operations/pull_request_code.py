"""The pull request's code, as GitHub knows it: may it run on an agent, and what does it need there?"""

from clearml_ci.clearml_api.task_launch import Code
from clearml_ci.core import entry_script
from clearml_ci.core.errors import UsageError
from clearml_ci.decisions import fork_approval
from clearml_ci.github_api import file_contents, pull_requests, repository_info
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.remote_run import RemoteRun

_FOUND_BY_AGENTS = "requirements.txt"


def refusal(hub: GitHub | None, check: Check, launch: RemoteRun) -> str | None:
    """Why this code must not run on an agent, or None. Without `hub` the job's own word counts. Raises GitHubError."""
    pull = check.pull_request
    if not pull.head_url:
        return fork_approval.DELETED
    if not pull.is_fork:
        return None
    granted = is_approved(hub, check) if hub else check.facts.approved
    return None if granted else fork_approval.advice(check, label=launch.approval_label)


def is_approved(hub: GitHub, check: Check) -> bool:
    """Did someone who may write to the repository approve this commit? Raises GitHubError."""
    said = pull_requests.comments(hub, check.pull_request.number)
    claims = fork_approval.claims(check, said)
    return any(repository_info.permission(hub, login) in fork_approval.WRITERS for login in claims)


def of(hub: GitHub | None, check: Check, launch: RemoteRun) -> tuple[Code, list[str]]:
    """What is cloned and installed, and notes of what could not be found out. Raises GitHubError."""
    source = _read(hub, check, launch.entry)
    inject, notes = launch.inject_task_init and bool(launch.script), []
    if source is not None:
        inject = not entry_script.calls_task_init(source)
    elif launch.script:
        added = "is added" if inject else "is not added"
        notes.append(f"{launch.entry} could not be read at this commit: a call of Task.init {added} (inject_task_init)")
    packages = _packages(hub, check, launch, inject=inject)
    return Code(check.pull_request.head_url, check.commit, packages, inject_task_init=inject), notes


def _packages(hub: GitHub | None, check: Check, launch: RemoteRun, *, inject: bool) -> list[str] | None:
    """None: the agent installs what it finds. The SDK's call of Task.init needs the list, to add `clearml` to it."""
    chosen = launch.requirements not in ("", _FOUND_BY_AGENTS)
    if not (chosen or launch.packages or inject):
        return None
    text = _read(hub, check, launch.requirements or _FOUND_BY_AGENTS)
    if chosen and text is None:
        raise GitHubError(f"the requirements file '{launch.requirements}' could not be read at this commit")
    return [*entry_script.packages(text or ""), *launch.packages] or None


def _read(hub: GitHub | None, check: Check, path: str) -> str | None:
    """None where it cannot be read: the agent, which fetches with its own credentials, then tells what is wrong."""
    if hub is None or not path:
        return None
    try:
        return file_contents.read(hub, path=path, commit=check.commit)
    except (GitHubError, UsageError):
        return None
