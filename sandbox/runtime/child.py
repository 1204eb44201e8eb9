"""The sandbox as a child process, which ends with the program that started it, unless that keeps it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.runtime import processes, state, stop_previous
from sandbox.runtime.state import Sandbox

START_SECONDS = 90
STOP_SECONDS = 60
KEEP = "keep"  # on its standard input: the sandbox stays up when that ends


class ChildError(Exception):
    """The sandbox did not start; the message ends with its log."""


@contextmanager
def running(directory: Path, *, server: str, keep: bool = False, progress: Callable[[str], None]) -> Iterator[Sandbox]:
    """A sandbox in a process of its own; with `keep` it stays up when the block ends without an exception."""
    processes.reach_loopback_directly()
    log = directory / "sandbox.log"
    process = _start(directory, server, log)
    try:
        yield _wait_ready(process, directory, log, progress)
        if keep:
            _send(process, KEEP)
    except BaseException:
        _stop(process, directory)
        raise
    if not keep:
        _stop(process, directory)


def _start(directory: Path, server: str, log: Path) -> subprocess.Popen[str]:
    directory.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "sandbox", "--child", "--server", server, "--directory", str(directory)]
    with log.open("w") as output:
        return subprocess.Popen(
            command,
            cwd=Path(__file__).parents[2],
            env=os.environ,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C is for the parent, which then ends this one
        )


def _wait_ready(process: subprocess.Popen[str], directory: Path, log: Path, progress: Callable[[str], None]) -> Sandbox:
    deadline = time.monotonic() + START_SECONDS
    shown = 0
    while time.monotonic() < deadline:
        lines = log.read_text(errors="replace").splitlines()
        for line in lines[shown:]:
            progress(f"  {line}")
        shown = len(lines)
        sandbox = state.read(directory)
        if sandbox and sandbox.process.pid == process.pid:
            return sandbox
        if process.poll() is not None:
            raise ChildError(f"the sandbox ended with {process.returncode}; its last lines are above, all in {log}")
        time.sleep(0.1)
    raise ChildError(f"the sandbox was not ready after {START_SECONDS} s; see {log}")


def _send(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None  # noqa: S101  Popen was asked for a pipe
    process.stdin.write(line + "\n")
    process.stdin.flush()


def _stop(process: subprocess.Popen[str], directory: Path) -> None:
    """Close its standard input, which ends it; then end the processes that it left."""
    assert process.stdin is not None  # noqa: S101  Popen was asked for a pipe
    process.stdin.close()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=5)
    stop_previous.stop(directory)
