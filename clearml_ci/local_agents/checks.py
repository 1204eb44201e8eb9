"""Checks of this machine before agents are started. Each problem is one line that states what to do."""

import getpass
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from clearml_ci.clearml_api.workers import Worker
from clearml_ci.core import redaction, repository_url, requirements_file
from clearml_ci.core.errors import UsageError
from clearml_ci.github_api import credentials
from clearml_ci.github_api import session as github_session
from clearml_ci.github_api.session import GitHubError
from clearml_ci.local_agents import settings
from clearml_ci.local_agents.plan import Agent, Plan, Role

ROOT = Path(__file__).parent.parent.parent

REQUIREMENTS = "requirements-agents.txt"

_SECONDS = 30  # for git and docker

_FREE = {Role.CONTROLLERS: 0.5, Role.STEPS: 0.5, Role.CODE: 5.0}  # GB: clones; of code also its packages

# Has git take the agent's user and password from its environment: a command line would show them.
_ASK = '!f() { echo "username=$CLEARML_CI_GIT_USER"; echo "password=$CLEARML_CI_GIT_PASS"; }; f'


def packages() -> Iterator[str]:
    """Problems with what is installed here, which is what controllers and steps run with."""
    install = f"run: {sys.executable} -m pip install -r {ROOT / REQUIREMENTS}"
    if importlib.util.find_spec("clearml_agent") is None:
        yield f"clearml-agent is not installed here: {install}"
    pins = requirements_file.versions((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    for name, version in pins.items():
        found = _installed(name)
        if found != version:
            state = f"{found} is installed" if found else "is not installed"
            yield f"controllers and steps need {name} {version}, and {state}: {install}"
            return


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def disk(plan: Plan) -> Iterator[str]:
    """Too little free space for clones and environments."""
    needed = sum(_FREE[role] for role in {agent.role for agent in plan.agents})
    free = shutil.disk_usage(plan.folder).free / 1e9
    if free < needed:
        yield (
            f"{free:.1f} GB are free in {plan.folder}, and these agents need {needed:g} GB: make room, or name a "
            "folder on another disk with --folder"
        )


def account(agent: Agent) -> Iterator[str]:
    """The other user cannot enter its folder, or cannot run this Python."""
    user = agent.account
    if user is None:
        return
    program = "import os, sys; os.chdir(sys.argv[1]); import clearml_agent"
    home = {"PATH": os.defpath, "HOME": str(agent.home)}
    done = _run([sys.executable, "-c", program, str(agent.files)], home, agent)
    if done is None or done.returncode:
        last = (done.stderr.strip().splitlines() if done else [])[-1:] or ["it may not"]
        yield (
            f"the user '{user.name}' cannot run {sys.executable} in {agent.files} ({last[0]}): put this clone, its "
            "environment and --folder into places that this user may enter, such as /opt and /var/lib"
        )


def docker(plan: Plan) -> Iterator[str]:
    """No docker that answers, although pull-request code is to run in it."""
    if not plan.image:
        return
    if shutil.which("docker") is None:
        yield "there is no docker command here: install docker, or use --code-user NAME in place of --docker"
        return
    done = _run(["docker", "version", "--format", "{{.Server.Version}}"], dict(plan.environ))
    if done is None or done.returncode:
        reason = "no answer" if done is None else " ".join(done.stderr.split())[:200]
        yield f"docker does not answer ({reason}): start it, and let this user use it"


def github(sections: Mapping[Role, Mapping[str, Any]], plan: Plan) -> tuple[str, list[str]]:
    """The login of the steps' credentials for GitHub, empty if there are none, and the problems with them."""
    if not plan.reporting:
        return "", []
    role = plan.reporting[0].role
    environ = settings.environment(role, sections[role], plan.environ)
    try:
        given = credentials.from_environment(environ)
        if given is None:
            return "", []
        login = github_session.owner(api_url=credentials.api_url(environ), credentials=given)
    except (UsageError, GitHubError) as error:
        return "", [str(error)]
    if not login:
        return "", ["the steps' GITHUB_TOKEN is a workflow's and ends with it: give a personal one, or a GitHub App"]
    return login, []


def git(plan: Plan, sections: Mapping[Role, Mapping[str, Any]]) -> Iterator[str]:
    """The agents cannot clone what they have to: ClearML CI, and the repository that GITHUB_REPOSITORY names."""
    if shutil.which("git") is None:
        yield "there is no git here: install it"
        return
    for role in (Role.STEPS, Role.CONTROLLERS, Role.CODE):
        agent = next(iter(plan.of(role)), None)
        repository = address(role, plan.environ) if agent else ""
        if agent and repository and (reason := _unreachable(agent, repository, sections[role]["agent"], plan.environ)):
            user = f" as the user '{agent.account.name}'" if agent.account else ""
            place = "--code-conf FILE" if role is Role.CODE else "clearml.conf"
            yield (
                f"git cannot read {repository}{user} ({reason}): check the address, or give access with agent.git_user "
                f"and agent.git_pass in {place}"
            )
            return


def address(role: Role, environ: Mapping[str, str]) -> str:
    """The repository that an agent of this role clones; empty if it is not known."""
    if role is Role.CODE:
        name, server = environ.get("GITHUB_REPOSITORY", ""), environ.get("GITHUB_SERVER_URL") or "https://github.com"
        return f"{server}/{name}.git" if name else ""
    configured = environ.get("CLEARML_CI_REPOSITORY", "").strip()
    if configured:
        return configured
    origin = _run(["git", "-C", str(ROOT), "remote", "get-url", "origin"], dict(os.environ))
    return repository_url.without_credentials(origin.stdout) if origin and origin.returncode == 0 else ""


def _unreachable(agent: Agent, address: str, section: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """The reason why git cannot read a repository as this agent would; empty if it can."""
    variables = settings.variables(agent, environ, poll_seconds=1)
    if section.get("git_user") and section.get("git_pass"):
        variables |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "credential.helper",
            "GIT_CONFIG_VALUE_0": _ASK,
            "CLEARML_CI_GIT_USER": str(section["git_user"]),
            "CLEARML_CI_GIT_PASS": str(section["git_pass"]),
        }
        if address.startswith(("git@", "ssh://")):  # the agent does so, too
            address = f"https://{repository_url.identity(address)}.git"
    done = _run(["git", "ls-remote", "--exit-code", address, "HEAD"], variables, agent)
    if done is None:
        return f"no answer within {_SECONDS} s"
    lines = [line for line in done.stderr.strip().splitlines() if line.startswith(("fatal:", "remote:"))]
    return "" if done.returncode == 0 else redaction.mask((lines or ["it is empty"])[0])


def _run(
    command: list[str], variables: Mapping[str, str], agent: Agent | None = None
) -> subprocess.CompletedProcess[str] | None:
    """The ended command, run as the agent's user; None if it takes too long or cannot run."""
    user = agent.account if agent else None
    as_user = {"user": user.uid, "group": user.gid, "extra_groups": [user.gid]} if user else {}
    try:
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            command,
            env=dict(variables),
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            **as_user,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def names(plan: Plan, workers: Mapping[str, Worker], ours: Iterable[str]) -> Iterator[str]:
    """An agent elsewhere has the name of one of these; `ours` are names that this folder's agents had."""
    known = {*ours}
    for agent in plan.agents:
        if agent.worker in workers and agent.worker not in known:
            yield (
                f"an agent called {agent.worker} runs already, started by another user or folder, or on a machine of "
                "this name: end it first"
            )
            return


def others(plan: Plan, workers: Mapping[str, Worker]) -> Iterator[str]:
    """A line for each queue that agents serve which were not started by this command: their settings are their own."""
    own = {agent.worker for agent in plan.agents}
    for queue in dict.fromkeys(agent.queue for agent in plan.agents):
        serving = sorted(worker.id for worker in workers.values() if queue in worker.queues and worker.id not in own)
        if serving:
            yield (
                f"the queue '{queue}' is also served by {', '.join(serving[:3])}"
                f"{f' and {len(serving) - 3} more' if len(serving) > 3 else ''}, with settings of their own: a check "
                "that lands there may be slower"
            )


def shared_with_code(plan: Plan, workers: Mapping[str, Worker]) -> Iterator[str]:
    """An agent elsewhere serves a trusted queue and that of pull-request code."""
    code = {agent.queue for agent in plan.of(Role.CODE)}
    trusted = {agent.queue for agent in plan.agents if agent.role.is_trusted}
    for worker in workers.values():
        both = {*worker.queues}
        if code & both and trusted & both:
            yield (
                f"the agent {worker.id} serves {' and '.join(sorted(both & (code | trusted)))}: pull-request code "
                "could read what trusted steps hold; start one agent for each queue"
            )
            return


def risk(plan: Plan, login: str) -> str:
    """A warning if pull-request code can read what the trusted agents hold; empty if it is kept apart."""
    if not plan.of(Role.CODE) or plan.account or plan.image:
        return ""
    if all(agent.role is Role.CODE for agent in plan.agents):
        return f"pull-request code runs as the user {getpass.getuser()}, and can read all that this user can"
    holds = f"the GitHub credentials of {login} and the ClearML keys" if login else "ClearML keys and all your files"
    return (
        f"warning: pull-request code runs as the same user as this command, and can read {holds}: keep it apart with "
        "--code-user NAME (as root) or --docker IMAGE"
    )
