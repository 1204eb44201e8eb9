"""Agents started together, started again when they die, and ended together."""

import contextlib
import errno
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from clearml_ci.clearml_api import ownership, run_cancellation, workers
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import console
from clearml_ci.core.errors import UsageError
from clearml_ci.core.formatting import count
from clearml_ci.core.poll import Clock, Pace, Stopwatch, TimedOutError, started, until
from clearml_ci.local_agents import daemon, folders, state
from clearml_ci.local_agents.daemon import Daemon
from clearml_ci.local_agents.plan import Agent, Plan
from clearml_ci.local_agents.state import Recorded, State

START_SECONDS = 60

_PAUSES = (2, 5, 10, 30, 60)  # seconds before an agent that died is started again, by how often it died in a row

_SOUND_AFTER = 600  # seconds: an agent that ran so long starts to count its deaths anew

_LOOK_SECONDS = 1.0

_RUNS_SECONDS = 10.0  # in which the end waits for the steps of runs: systemd and compose kill it after 60 s


class StartError(Exception):
    """An agent did not come up; the message has its log's last line, and what to do."""


@dataclass
class Watched:
    """An agent with its process, and what is known of its deaths. Without a process it waits to be started again."""

    agent: Agent
    daemon: Daemon | None = None
    failures: int = 0
    waits: Stopwatch | None = None
    pause: float = 0.0


@dataclass
class Supervisor:
    """The agents of a plan, while this process watches them."""

    plan: Plan
    clearml: ClearML
    clock: Clock
    since: float
    process: int
    watched: list[Watched] = field(default_factory=list)
    ready: bool = False

    def record(self) -> None:
        """Write the record for other commands. A full disk is no reason to end agents."""
        agents = tuple(
            Recorded(
                worker=each.agent.worker,
                queue=each.agent.queue,
                directory=str(each.agent.directory),
                process=each.daemon.process.pid if each.daemon else 0,
                since=each.daemon.since if each.daemon else 0.0,
                failures=each.failures,
            )
            for each in self.watched
        )
        written = State(process=self.process, since=self.since, ready=self.ready, agents=agents)
        with _reported_if_full(self.plan.folder):
            state.write(self.plan.folder, written)


def run(supervisor: Supervisor) -> None:
    """Start the agents, report when all of them are up, and keep them running until this process is interrupted.

    Raises StartError if one does not come up; then none is left.
    """
    try:
        for agent in supervisor.plan.agents:
            supervisor.watched.append(Watched(agent, daemon.start(supervisor.plan, agent, supervisor.clock)))
            supervisor.record()
        _wait_registered(supervisor)
        _report(supervisor)
        supervisor.ready = True
        supervisor.record()
        while True:
            supervisor.clock.sleep(_LOOK_SECONDS)
            look(supervisor)
    finally:
        with _undisturbed():
            _end(supervisor)


def look(supervisor: Supervisor) -> None:
    """Look at each agent once: report one that has died, and start it again after its pause."""
    for each in supervisor.watched:
        if each.daemon is None:
            _start_again(supervisor, each)
        elif (code := each.daemon.ended()) is not None:
            _died(supervisor, each, code)
        else:
            with contextlib.suppress(OSError, UsageError):
                daemon.shorten_logs(each.agent)


def _died(supervisor: Supervisor, each: Watched, code: int) -> None:
    lived = supervisor.clock.now() - each.daemon.since if each.daemon else 0.0
    each.failures = 1 if lived > _SOUND_AFTER else each.failures + 1
    each.pause = _PAUSES[min(each.failures, len(_PAUSES)) - 1]
    each.waits, each.daemon = started(supervisor.clock), None
    last = daemon.last_words(each.agent)
    console.log(
        f"the agent {each.agent.worker} has ended ({_cause(code)}{f'; {last}' if last else ''}): it is started again "
        f"in {each.pause:.0f} s, and its log is {each.agent.log}"
    )
    supervisor.record()


def _start_again(supervisor: Supervisor, each: Watched) -> None:
    if each.waits and each.waits.elapsed() < each.pause:
        return
    with _reported_if_full(supervisor.plan.folder):
        each.waits = started(supervisor.clock)  # if it cannot be started, the same pause passes once more
        each.daemon = daemon.start(supervisor.plan, each.agent, supervisor.clock)
        console.log(f"the agent {each.agent.worker} is started again")
        supervisor.record()


def _cause(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def _wait_registered(supervisor: Supervisor) -> None:
    """Wait until the server lists all agents. Raises StartError."""

    def look_once() -> bool | None:
        for each in supervisor.watched:
            code = each.daemon.ended() if each.daemon else None
            if code is not None:
                last = daemon.last_words(each.agent) or "it printed nothing"
                raise StartError(
                    f"the agent {each.agent.worker} ended as it started ({_cause(code)}): {last}; see {each.agent.log}"
                )
        with contextlib.suppress(ClearMLError):
            listed = workers.listed(supervisor.clearml)
            return True if all(each.agent.worker in listed for each in supervisor.watched) else None
        return None

    try:
        until(supervisor.clock, look_once, pace=Pace(0.3), timeout=START_SECONDS)
    except TimedOutError:
        raise StartError(
            f"the server does not list all agents after {START_SECONDS} s: see {supervisor.plan.folder}/*/agent.log"
        ) from None


def _report(supervisor: Supervisor) -> None:
    for queue in dict.fromkeys(agent.queue for agent in supervisor.plan.agents):
        serving = [agent for agent in supervisor.plan.agents if agent.queue == queue]
        apart = next((f", as the user {each.account.name}" for each in serving if each.account), "") or next(
            (f", in containers of {each.image}" for each in serving if each.image), ""
        )
        console.log(f"{queue}: {count(len(serving), 'agent')}{apart}")


def _end(supervisor: Supervisor) -> None:
    """End all agents and what they execute; nothing of theirs is left on the server or readable on the disk."""
    running = [each for each in supervisor.watched if each.daemon and each.daemon.ended() is None]
    executed = _executed(supervisor.clearml, [each.agent for each in running])
    end_all([each.daemon.process.pid for each in running if each.daemon], supervisor.clock)
    for agent in supervisor.plan.agents:
        folders.remove_secrets(agent)
    workers.unregister(supervisor.clearml, [each.agent.worker for each in supervisor.watched])
    _end_runs(supervisor, executed)
    state.forget(supervisor.plan.folder)
    if supervisor.watched:
        console.log(f"{count(len(supervisor.watched), 'agent')} ended")


def end_all(groups: Sequence[int], clock: Clock) -> None:
    """End agents by the processes that lead them, and report those that had to be killed."""
    killed = daemon.end(groups, clock)
    if killed:
        console.log(f"{count(len(killed), 'agent')} had to be killed: ClearML shows their tasks as running for a while")


def _executed(clearml: ClearML, agents: Sequence[Agent]) -> list[str]:
    """The tasks that these agents execute; each is reported."""
    executed = []
    with contextlib.suppress(ClearMLError):
        listed = workers.listed(clearml) if agents else {}
        for agent in agents:
            if (worker := listed.get(agent.worker)) and worker.task_id:
                console.log(f"{agent.worker} executes '{worker.task}' (task {worker.task_id}), which is aborted")
                executed.append(worker.task_id)
    return executed


def _end_runs(supervisor: Supervisor, tasks: Sequence[str]) -> None:
    """End the steps of those tasks that are runs, and what they launched: agents abort the controller alone."""
    began = started(supervisor.clock)
    for task in tasks:
        _end_run(supervisor, task, waits=began.elapsed() < _RUNS_SECONDS)


def _end_run(supervisor: Supervisor, task: str, *, waits: bool) -> None:
    """If the task is a run, request the end of its steps, and wait for it if there is time."""
    clearml, reason = supervisor.clearml, "ClearML CI: the agent of the run was ended"
    try:
        if not ownership.is_owned(clearml, task, run=task):
            return
        if waits:
            run_cancellation.stop(clearml, task, reason=reason, clock=supervisor.clock)
        else:
            run_cancellation.request_stop(clearml, task, reason=reason)
    except ClearMLError as error:
        console.log(f"the steps of run {task} could not be ended, and the next audit ends them: {error}")


@contextlib.contextmanager
def _reported_if_full(folder: Path) -> Iterator[None]:
    """Report a full disk in one line and go on; other errors are raised."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        console.log(f"the disk of {folder} is full: make room; agents that have ended are started then")


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore further interrupts for the seconds that the end takes."""

    def ignore(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  the signature is Python's
        return

    previous = {number: signal.signal(number, ignore) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
