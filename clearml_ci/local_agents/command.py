"""The command `agents`: start them here or detached, list them, end them."""

import contextlib
import dataclasses
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from clearml_ci.clearml_api import agent_configuration, configuration, session, workers
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.workers import Worker
from clearml_ci.core import console
from clearml_ci.core.errors import UsageError
from clearml_ci.core.formatting import count, duration
from clearml_ci.core.poll import Clock, Pace, TimedOutError, until
from clearml_ci.local_agents import checks, files, folders, plan, settings, state, supervisor
from clearml_ci.local_agents.options import FOLDER
from clearml_ci.local_agents.plan import Plan, Request, Role
from clearml_ci.local_agents.state import Recorded, State
from clearml_ci.local_agents.supervisor import StartError, Supervisor

_END_SECONDS = 60.0

_LOG = "supervisor.log"

Sections = Mapping[Role, Mapping[str, Any]]


def start(request: Request, environ: Mapping[str, str], clock: Clock) -> int:
    """Check, start and watch agents until this process is interrupted; return the exit code."""
    made = plan.of_request(request, environ)
    folders.make(made)
    with folders.locked(made.folder) as lock:
        if lock is None:
            raise UsageError(_runs_already(made.folder))
        _end_left_over(made.folder, clock)
        clearml = _connect(clock)
        try:
            with _interrupts():
                return _run(made, clearml, clock)
        except KeyboardInterrupt:
            return 0
        except OSError as error:
            raise _unusable(error, made.folder) from error
        finally:
            for agent in made.agents:
                folders.remove_secrets(agent)


def _run(made: Plan, clearml: ClearML, clock: Clock) -> int:
    listed = workers.listed(clearml)
    sections = _sections(made)
    for agent in made.agents:
        folders.make_for(agent)
        settings.write_configuration(agent, sections[agent.role], made.environ)
        folders.give(agent)
    login, problems = checks.github(sections, made)
    problems += _problems(made, listed, sections)
    if problems:
        for problem in problems:
            console.log(f"error: ClearML CI: {problem}")
        return 2
    for name in workers.create_missing_queues(clearml, [agent.queue for agent in made.agents]):
        console.log(f"the queue '{name}' is created")
    for line in (*checks.others(made, listed), checks.risk(made, login), _reporting(made, login)):
        if line:
            console.log(line)
    try:
        supervisor.run(Supervisor(made, clearml, clock, since=clock.now(), process=os.getpid()))
    except StartError as error:
        raise ClearMLError(str(error)) from error
    return 0


def _unusable(error: OSError, folder: Path) -> Exception:
    """The error of a file or a program, in one line; another one if it is none of these."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UsageError(f"the disk of {folder} is full: make room, or name a folder on another disk with --folder")
    if isinstance(error, PermissionError | FileNotFoundError | NotADirectoryError) and error.filename:
        return UsageError(f"{error.filename}: {error.strerror}: give this user the right to, or name another --folder")
    return error


def _connect(clock: Clock) -> ClearML:
    """A session with the user's keys. Raises UsageError without any."""
    configuration.hold_secrets()
    if not all(configuration.keys()):
        raise UsageError(
            "no ClearML keys are configured: run `clearml-init`, or set CLEARML_API_HOST, CLEARML_WEB_HOST, "
            "CLEARML_FILES_HOST, CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY"
        )
    return session.connect(clock)


def _sections(made: Plan) -> Sections:
    """The configuration of each role."""
    own = agent_configuration.of_user()
    given = made.code_configuration
    code = agent_configuration.of_file(given) if given else settings.without_git(own)
    git = settings.git_of_environment(made.environ)
    if all(agent.role is Role.CODE for agent in made.agents):  # then the environment is theirs
        code = {**code, "agent": {**code["agent"], **git}}
    own = {**own, "agent": {**own["agent"], **git}}
    return {Role.CONTROLLERS: own, Role.STEPS: own, Role.CODE: code}


def _problems(made: Plan, listed: Mapping[str, Worker], sections: Sections) -> list[str]:
    known = state.read(made.folder)
    ours = [agent.worker for agent in known.agents] if known else []
    code = made.of(Role.CODE)[:1]
    return [
        *checks.packages(),
        *checks.disk(made),
        *checks.names(made, listed, ours),
        *checks.shared_with_code(made, listed),
        *(problem for agent in code for problem in checks.account(agent)),
        *checks.docker(made),
        *checks.git(made, sections),
    ]


def _reporting(made: Plan, login: str) -> str:
    if not made.reporting:
        return ""
    return f"steps report to GitHub as {login}" if login else "steps have no GitHub credentials: waiting jobs report"


def _runs_already(folder: Path) -> str:
    known = state.read(folder)
    since = f" since {_moment(known.since)} (process {known.process})" if known else ""
    return f"agents run here already{since}: `agents --status` lists them, and `agents --stop` ends them"


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


@contextlib.contextmanager
def _interrupts() -> Iterator[None]:
    """Let an interrupt, a termination, and a closed terminal raise KeyboardInterrupt, also if they were ignored."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  the signature is Python's
        raise KeyboardInterrupt

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


# --- detached


def detach(request: Request, arguments: Sequence[str], program: Path, clock: Clock) -> int:
    """Start the same command in the background, print what it prints until its agents are up, and return.

    `arguments` are those of the command without `--detach`. The exit code is 0 if the agents are up.
    """
    folder = plan.resolved(request.folder)
    folders.make(Plan(folder, (), 1.0))
    if folders.is_locked(folder):
        raise UsageError(_runs_already(folder))
    log = folder / _LOG
    log.unlink(missing_ok=True)
    with log.open("ab") as output:
        log.chmod(0o600)
        process = subprocess.Popen(
            [sys.executable, str(program), "agents", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    printed = 0

    def look() -> int | None:
        nonlocal printed
        ended, known = process.poll(), state.read(folder)  # before the log, which has all that led to them
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in lines[printed:]:
            console.log_command(line)
        printed = len(lines)
        return ended if ended is not None else 0 if known and known.ready and known.process == process.pid else None

    try:
        code = until(clock, look, pace=Pace(0.2))
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    if code == 0 and process.poll() is None:
        own = "" if request.folder == FOLDER else f" --folder {folder}"
        command = f"python {program.name} agents{own}"
        console.log(
            f"they run in the background ({log}): `{command} --status` lists them, `{command} --stop` ends them"
        )
        return 0
    return code or 4


# --- units and compose files


def write_files(
    request: Request, environ: Mapping[str, str], clock: Clock, directory: str, program: Path, *, units: bool
) -> int:
    """Write units for systemd, or else a compose file, and print what to do with them; nothing is started."""
    made = plan.of_request(dataclasses.replace(request, code_user=""), environ)
    workers.listed(_connect(clock))  # the server takes the keys
    sections = _sections(made)
    folder = Path(directory).expanduser().absolute()
    if units:
        lines = files.write_units(request, made, folder, sections, program)
    else:
        lines = files.write_compose(request, made, folder, sections, program.parent)
    for line in lines:
        console.log(line)
    return 0


# --- stop


def stop(folder: Path, clock: Clock) -> int:
    """End the agents of a folder and what they execute. Without any, it does nothing and returns 0 as well."""
    known = state.read(folder) if folder.exists() else None
    if known is None or not folders.is_locked(folder):
        left = _end_left_over(folder, clock)
        if not left:
            console.log(f"no agents run here ({folder})")
        return 0
    log = folder / _LOG
    before = _length(log)
    with contextlib.suppress(ProcessLookupError):
        os.kill(known.process, signal.SIGTERM)
    try:
        until(clock, lambda: None if folders.is_locked(folder) else True, pace=Pace(0.1), timeout=_END_SECONDS)
    except TimedOutError:
        raise ClearMLError(
            f"process {known.process}, which watches the agents, has not ended within {_END_SECONDS:.0f} s: end it "
            f"with kill -9 {known.process}, and repeat this command"
        ) from None
    for line in log.read_text(encoding="utf-8", errors="replace")[before:].splitlines() if log.exists() else ():
        console.log_command(line)
    _end_left_over(folder, clock)
    return 0


def _length(log: Path) -> int:
    return len(log.read_text(encoding="utf-8", errors="replace")) if log.exists() else 0


def _end_left_over(folder: Path, clock: Clock) -> int:
    """End agents whose watching process has died, and return their number."""
    known = state.read(folder)
    left = [agent for agent in known.agents if _lives(agent)] if known else []
    if left:
        console.log(f"{count(len(left), 'agent')} left over by a process that died: ended with what they executed")
        supervisor.end_all([agent.process for agent in left], clock)
    return len(left)


def _lives(agent: Recorded) -> bool:
    """True if the agent runs: its process number alone could be another process's by now."""
    return agent.process > 0 and folders.is_locked(Path(agent.directory))


# --- status


def status(folder: Path, clock: Clock) -> int:
    """Print the agents of a folder with their queues and what they execute; 0 if all of them run, else 4."""
    known = state.read(folder)
    watched = folders.is_locked(folder)
    if known is None or not (watched or any(map(_lives, known.agents))):
        console.log(f"no agents run here ({folder})")
        return 4
    for line in _status_lines(known, clock, _listed(clock)):
        console.log(line)
    if not watched:
        console.log("the process that watches them has died: `agents --stop` ends them, a new start as well")
    return 0 if watched and known.ready and all(map(_lives, known.agents)) else 4


def _listed(clock: Clock) -> dict[str, Worker] | None:
    """The workers that the server lists; None, with a line, if it does not answer."""
    try:
        return workers.listed(session.connect(clock))
    except (ClearMLError, UsageError) as error:
        console.log(f"what they execute is not known: {error}")
        return None


def _status_lines(known: State, clock: Clock, listed: Mapping[str, Worker] | None) -> Iterator[str]:
    yield f"{count(len(known.agents), 'agent')}, watched by process {known.process} since {_moment(known.since)}"
    wide = max((len(agent.worker) for agent in known.agents), default=0)
    for agent in known.agents:
        yield f"  {agent.worker:<{wide}}  {agent.queue}  {_activity(agent, clock, listed)}"


def _activity(agent: Recorded, clock: Clock, listed: Mapping[str, Worker] | None) -> str:
    if not _lives(agent):
        return f"does not run (ended {count(agent.failures, 'time')})"
    up = f"for {duration(clock.now() - agent.since)}"
    if listed is None:
        return up
    worker = listed.get(agent.worker)
    if worker is None:
        return f"{up}, not listed by the server"
    executes = f"executes '{worker.task}' (task {worker.task_id}) for {duration(worker.running_seconds)}"
    return f"{up}, {executes if worker.task_id else 'idle'}"
