"""Everything that a pull-request check needs, started and ended as one: servers, agents, tokens, a repository."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

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
def started(directory: Path, *, server: str = EMBEDDED, progress: Progress = print) -> Iterator[Sandbox]:
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
        sandbox = _sandbox(stack, directory, access, prefix, github, progress)
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


def _sandbox(
    stack: ExitStack,
    directory: Path,
    access: Access,
    prefix: str,
    github: github_server.GitHubServer,
    progress: Progress,
) -> Sandbox:
    project = f"{prefix}/{PROJECT}" if prefix else PROJECT
    owner = github_access.connect(github.api_url, github.owner_token)
    repository = sample_repository.create(owner, directory / "developer", project=project)
    queues = Queues(*(f"{prefix}-{name}" if prefix else name for name in ("ci-controllers", "ci-steps", "ci-code")))
    agent_token = github.token("personal", repository=repository.full_name, permissions=JOB_PERMISSIONS)
    reporting = {"GITHUB_TOKEN": agent_token, "GITHUB_API_URL": github.api_url}
    specs = _agent_specs(queues, prefix=prefix, reporting=reporting)
    running = agents.start(access, directory / "agents", specs, progress=progress)
    stack.callback(agents.stop, access, running)
    job_token = github.token("workflow", repository=repository.full_name, permissions=JOB_PERMISSIONS)
    return Sandbox(
        process=Process.of(os.getpid()),
        agents=tuple(agent.process for agent in running),
        clearml=access,
        github=GitHub(github.url, github.api_url, github.owner_token, job_token),
        queues=queues,
        repository=repository.full_name,
        project=project,
        pipeline_project=f"{prefix}/{PIPELINE_PROJECT}" if prefix else PIPELINE_PROJECT,
        prefix=prefix,
        directory=directory,
    )


def _agent_specs(queues: Queues, *, prefix: str, reporting: dict[str, str]) -> list[AgentSpec]:
    """Only the agent of the trusted steps is given the means to report to GitHub."""
    worker = f"{prefix or 'sandbox'}:"
    poll = agents.poll_seconds(prefix)
    return [
        AgentSpec("controllers", queues.controllers, f"{worker}controllers", poll_seconds=poll),
        AgentSpec("steps", queues.steps, f"{worker}steps", environment=reporting, poll_seconds=poll),
        AgentSpec("code", queues.code, f"{worker}code", builds_environments=True, poll_seconds=poll),
    ]
