"""Real clearml-agent daemons, each with its own configuration and caches, that leave nothing behind."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.runtime import clearml_conf, processes
from sandbox.runtime.clearml_access import Access, ClearMLError, Client
from sandbox.runtime.processes import Process

START_SECONDS = 60
RECORD = "process.json"
PRIVATE = 0o077  # clearml-agent copies its configuration, keys included, to its temporary folder


class AgentError(Exception):
    """An agent did not come up; the message names its log."""


@dataclass(frozen=True)
class AgentSpec:
    """One agent to start.

    `environment` reaches the tasks that it runs: give secrets to trusted steps only. `poll_seconds` is how often it
    looks at its queue, and at the task that it runs. `command` is clearml-agent's, or that of a program like it.
    `as_installed` leaves out all settings but its addresses, keys and environment: those are clearml-agent's own.
    Several agents of one queue have different numbers.
    """

    name: str
    queue: str
    builds_environments: bool = False
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    poll_seconds: float = 1.0
    command: tuple[str, ...] = (sys.executable, "-m", "clearml_agent")
    as_installed: bool = False
    number: int = 1

    @property
    def worker(self) -> str:
        """The agent's id on the server."""
        return f"sandbox:{self.queue}" if self.number == 1 else f"sandbox:{self.queue}:{self.number}"


@dataclass(frozen=True)
class Agent:
    spec: AgentSpec
    directory: Path
    popen: subprocess.Popen[bytes]
    process: Process

    @property
    def log(self) -> Path:
        return self.directory / "agent.log"


def start(
    access: Access, directory: Path, specs: Sequence[AgentSpec], *, progress: Callable[[str], None]
) -> list[Agent]:
    """Starts agents side by side below `directory`; returns when the server lists all their workers."""
    if " " in str(directory):
        raise AgentError(f"clearml-agent refuses to work below a path with spaces: {directory}")
    client = Client(access)
    _create_queues(client, [spec.queue for spec in specs])
    agents: list[Agent] = []
    try:
        agents.extend(_launch(access, directory / spec.name, spec) for spec in specs)
        _wait_registered(client, agents, progress)
    except BaseException:
        stop(access, agents)
        raise
    return agents


def stop(access: Access, agents: Sequence[Agent]) -> None:
    """Ends the daemons and whatever tasks they were running; takes their workers off the server."""
    processes.end_trees([agent.process for agent in agents])
    for agent in agents:
        agent.popen.wait(timeout=5)
        (agent.directory / RECORD).unlink(missing_ok=True)
        _unregister(access, agent.spec.worker)


def recorded(directory: Path) -> list[Process]:
    """Return the agents that were started below a sandbox's folder and not stopped, as far as they live."""
    paths = [*directory.glob(f"agents/*/{RECORD}"), *directory.glob(f"*/agents/*/{RECORD}")]
    records = [Process(**json.loads(path.read_text())) for path in paths]
    return [process for process in records if process.find()]


def _unregister(access: Access, worker: str) -> None:
    try:
        Client(access).call("workers.unregister", worker=worker)
    except ClearMLError:
        return  # it did so itself at its end, or the server ended first


def _create_queues(client: Client, names: Sequence[str]) -> None:
    queues = client.call("queues.get_all", only_fields=["id", "name"])["queues"]
    existing = {queue["name"] for queue in queues}
    for name in dict.fromkeys(names):
        if name not in existing:
            client.call("queues.create", name=name)


def _launch(access: Access, directory: Path, spec: AgentSpec) -> Agent:
    """Starts an agent whose home, temporary folder and files no other user can read."""
    shutil.rmtree(directory, ignore_errors=True)
    for folder in (directory, directory / "home", directory / "home" / "tmp"):
        folder.mkdir(parents=True)
        folder.chmod(0o700)
    configuration = _configuration(directory)
    if spec.as_installed:
        clearml_conf.write_for_agent_as_installed(configuration, access, environment=spec.environment)
    else:
        clearml_conf.write_for_agent(configuration, access, worker=spec.worker, environment=spec.environment)
    popen = processes.start(
        [*spec.command, "--config-file", str(configuration), "daemon", "--foreground", "--queue", spec.queue],
        environment=processes.clean_environment(directory / "home", _variables(configuration, spec)),
        log=directory / "agent.log",
        umask=PRIVATE,
    )
    process = Process.of(popen.pid)
    (directory / RECORD).write_text(json.dumps(dataclasses.asdict(process)))
    return Agent(spec, directory, popen, process)


def _configuration(directory: Path) -> Path:
    return directory / "clearml.conf"


def _variables(configuration: Path, spec: AgentSpec) -> dict[str, str]:
    variables = {
        "CLEARML_CONFIG_FILE": str(configuration),
        "TRAINS_CONFIG_FILE": str(configuration),
        "CLEARML_WORKER_ID": spec.worker,
        "CLEARML_WORKER_NAME": spec.worker,
    }
    if spec.as_installed:
        return variables
    variables |= {
        "CLEARML_AGENT_QUEUE_POLL_FREQ_SEC": str(spec.poll_seconds),
        "CLEARML_AGENT_STATUS_REPORT_FREQ_SEC": "5",
    }
    skip = {} if spec.builds_environments else {"CLEARML_AGENT_SKIP_PYTHON_ENV_INSTALL": "1"}
    return variables | skip


def _wait_registered(client: Client, agents: Sequence[Agent], progress: Callable[[str], None]) -> None:
    deadline = time.monotonic() + START_SECONDS
    waiting = {agent.spec.worker: agent for agent in agents}
    while waiting:
        _fail_if_ended(waiting.values(), timed_out=time.monotonic() > deadline)
        time.sleep(0.2)
        for worker in client.call("workers.get_all", last_seen=60)["workers"]:
            agent = waiting.pop(worker["id"], None)
            if agent:
                progress(f"agent {agent.spec.worker} listens on {agent.spec.queue}")


def _fail_if_ended(agents: Iterable[Agent], *, timed_out: bool) -> None:
    for agent in agents:
        if timed_out or agent.popen.poll() is not None:
            reason = f"did not register within {START_SECONDS} s" if timed_out else "ended"
            tail = agent.log.read_text(errors="replace")[-1500:]
            raise AgentError(f"agent {agent.spec.worker} {reason}; its log {agent.log} ends with:\n{tail}")
