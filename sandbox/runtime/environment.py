"""Everything that a pull-request check needs, started and ended as one: servers, agents, tokens, a repository."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sandbox.runtime import agents, github_access, processes, remote_cleanup, sample_repository, state
from sandbox.runtime.agents import AgentSpec
from sandbox.runtime.clearml_access import Access, Client
from sandbox.runtime.processes import Process
from sandbox.runtime.state import GitHub, Queues, Sandbox
from sandbox.servers import clearml_server, github_server

PROJECT = "Digits"
PIPELINE_PROJECT = "ClearML CI"
EMBEDDED = "embedded"
OF_THE_ENVIRONMENT = "env"
# What the predecessors' workflows ask for: the job reads code and reports on the pull request.
JOB_PERMISSIONS = {
    "contents": "read",
    "pull_requests": "write",
    "issues": "write",
    "statuses": "write",
    "checks": "write",
}
Progress = Callable[[str], None]


@contextmanager
def started(
    directory: Path, *, server: str = EMBEDDED, with_agents: bool = True, progress: Progress = print
) -> Iterator[Sandbox]:
    """A running sandbox below `directory`; its addresses also stand in `directory`/sandbox.json.

    With `server="env"` the ClearML server is the one of the five CLEARML_* variables: queues and projects then
    carry a prefix, and all that carries it is deleted at the end.
    """
    processes.reach_loopback_directly()
    directory = directory.resolve()
    _clear(directory)
    with ExitStack() as stack:
        stack.callback(state.forget, directory)
        access, prefix = _clearml(stack, directory, server, progress)
        github = github_server.start(directory / "github")
        stack.callback(github.stop)
        progress(f"GitHub stand-in on {github.url}")
        stack.callback(lambda: processes.end_trees(agents.recorded(directory)))
        hub = GitHub(github.url, github.api_url, github.owner_token, workflow_token="")
        sandbox = prepared(access, hub, directory, prefix=prefix, poll_seconds=1.0 if server != EMBEDDED else 0.3)
        if with_agents:
            stack.enter_context(staffed(sandbox, progress=progress))
        state.write(sandbox)
        yield sandbox
        progress("stopping")


def _clear(directory: Path) -> None:
    for name in ("clearml", "github", "developer", "trigger"):
        shutil.rmtree(directory / name, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)  # agents write their configuration, with its keys, readable by all users


def _clearml(stack: ExitStack, directory: Path, server: str, progress: Progress) -> tuple[Access, str]:
    if server == OF_THE_ENVIRONMENT:
        access = Access.from_environment(os.environ)
        prefix = f"sandbox-{secrets.token_hex(4)}"
        client = Client(access)
        stack.callback(remote_cleanup.delete, client, prefix, progress)
        progress(f"ClearML server {access.api_url}; all that is made there begins with {prefix}")
        return access, prefix
    embedded = clearml_server.start(directory / "clearml")
    stack.callback(embedded.stop)
    progress(f"ClearML stand-in: API {embedded.api_url}, pages {embedded.web_url}")
    return Access(
        api_url=embedded.api_url,
        web_url=embedded.web_url,
        files_url=embedded.files_url,
        access_key=embedded.access_key,
        secret_key=embedded.secret_key,
    ), ""


def beside(sandbox: Sandbox, name: str) -> Sandbox:
    """Another sandbox on the servers of a running one, with a repository, a project and queues of its own."""
    directory, prefix = sandbox.directory / name, f"{sandbox.prefix}-{name}".lstrip("-")
    _clear(directory)
    given: dict[str, Any] = {"prefix": prefix, "poll_seconds": sandbox.poll_seconds}
    return prepared(sandbox.clearml, sandbox.github, directory, repository=f"{sample_repository.NAME}-{name}", **given)


def prepared(
    access: Access,
    hub: GitHub,
    directory: Path,
    *,
    prefix: str,
    poll_seconds: float,
    repository: str = sample_repository.NAME,
) -> Sandbox:
    """A sample repository, a job's token, and the names of projects and queues, on servers that run."""
    project = f"{prefix}/{PROJECT}" if prefix else PROJECT
    owner = github_access.connect(hub.api_url, hub.owner_token)
    created = sample_repository.create(owner, directory / "developer", project=project, name=repository)
    token = github_access.token(hub, "workflow", repository=created.full_name, permissions=JOB_PERMISSIONS)
    return Sandbox(
        process=Process.of(os.getpid()),
        clearml=access,
        github=replace(hub, workflow_token=token),
        queues=Queues(*(f"{prefix}-{name}".lstrip("-") for name in ("ci-controllers", "ci-code"))),
        repository=created.full_name,
        project=project,
        pipeline_project=f"{prefix}/{PIPELINE_PROJECT}" if prefix else PIPELINE_PROJECT,
        prefix=prefix,
        directory=directory,
        poll_seconds=poll_seconds,
    )


@contextmanager
def staffed(sandbox: Sandbox, *, builds_environments: bool = True, progress: Progress = print) -> Iterator[Sandbox]:
    """A sandbox with an agent for each of its queues; with `builds_environments` that of pull-request code does."""
    specs = _agent_specs(sandbox, builds_environments=builds_environments)
    running = agents.start(sandbox.clearml, sandbox.directory / "agents", specs, progress=progress)
    try:
        yield sandbox
    finally:
        agents.stop(sandbox.clearml, running)


def _agent_specs(sandbox: Sandbox, *, builds_environments: bool) -> list[AgentSpec]:
    """Only the agent of the controllers, which runs their steps, is given the means to report to GitHub."""
    hub, queues = sandbox.github, sandbox.queues
    token = github_access.token(hub, "personal", permissions=JOB_PERMISSIONS)
    common: dict[str, Any] = {"poll_seconds": sandbox.poll_seconds, "command": sandbox.agent}
    reporting = {"GITHUB_TOKEN": token, "GITHUB_API_URL": hub.api_url}
    return [
        AgentSpec("controllers", queues.controllers, environment=reporting, **common),
        AgentSpec("code", queues.code, builds_environments=builds_environments, **common),
    ]
