"""One sandbox for all processes of a test run: the first one that needs it starts it, the last one ends it.

Each process holds the write end of a pipe that is the sandbox's standard input, and a lock. The operating system
closes both when the process ends, however it ends: a sandbox without users reads the end of its input, and stops.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.runtime import processes, state, stop_previous
from sandbox.runtime.processes import Process
from sandbox.runtime.state import Sandbox

ROOT = Path(__file__).parents[2]
LOG, INPUT, USERS = "sandbox.log", "input", "users"
START_SECONDS, STOP_SECONDS = 60, 60


class SharedSandboxError(Exception):
    """The sandbox did not start; the message ends with its log."""


@contextmanager
def joined(directory: Path, *, server: str) -> Iterator[Sandbox]:
    """The servers of the sandbox below `directory`, without agents, as long as a process uses them."""
    processes.reach_loopback_directly()
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory):
        pipe = _started(directory, server) if _is_unused(directory) else _input(directory)
        users = os.open(directory / USERS, os.O_RDWR)
        fcntl.flock(users, fcntl.LOCK_SH)
    sandbox = state.read(directory)
    if sandbox is None:
        raise SharedSandboxError(f"the sandbox has ended: {_log(directory)}")
    try:
        yield sandbox
    finally:
        os.close(pipe)
        os.close(users)
        wait_if_unused(directory)


def wait_if_unused(directory: Path) -> None:
    """Wait for the end of the sandbox, unless a process uses it."""
    if not (directory / USERS).exists():
        return
    with _locked(directory):
        left = state.read(directory) if _is_unused(directory) else None
        deadline = time.monotonic() + STOP_SECONDS
        while left and left.process.find() and time.monotonic() < deadline:
            time.sleep(0.05)
        if left:
            stop_previous.stop(directory)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One process at a time starts, joins or leaves."""
    with (directory / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_unused(directory: Path) -> bool:
    with (directory / USERS).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _input(directory: Path) -> int:
    """The write end of the standard input of the running sandbox."""
    return os.open(directory / INPUT, os.O_WRONLY | os.O_NONBLOCK)


def _started(directory: Path, server: str) -> int:
    """Start the sandbox and wait until it is ready; the write end of its standard input."""
    stop_previous.stop(directory)
    for folder in directory.glob("*/"):
        shutil.rmtree(folder)
    (directory / INPUT).unlink(missing_ok=True)
    os.mkfifo(directory / INPUT, 0o600)
    reading = os.open(directory / INPUT, os.O_RDONLY | os.O_NONBLOCK)
    writing = _input(directory)
    os.set_blocking(reading, True)
    command = [sys.executable, "-m", "sandbox", "--child", "--without-agents"]
    process = _spawn([*command, "--server", server, "--directory", str(directory)], reading, directory / LOG)
    os.close(reading)
    deadline = time.monotonic() + START_SECONDS
    while process.find() and time.monotonic() < deadline:
        if state.read(directory):
            return writing
        time.sleep(0.05)
    os.close(writing)
    raise SharedSandboxError(f"the sandbox did not start: {_log(directory)}")


def _spawn(command: list[str], standard_input: int, log: Path) -> Process:
    """A process in a session of its own, because Ctrl-C is for its users. It may live longer than this process."""
    with log.open("w") as output:
        files = [(os.POSIX_SPAWN_DUP2, standard_input, 0)]
        files += [(os.POSIX_SPAWN_DUP2, output.fileno(), number) for number in (1, 2)]
        variables = {**os.environ, "PYTHONPATH": str(ROOT)}
        return Process.of(os.posix_spawn(command[0], command, variables, file_actions=files, setsid=True))


def _log(directory: Path) -> str:
    return (directory / LOG).read_text(errors="replace")[-1500:]
