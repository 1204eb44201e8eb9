"""The sandbox of a test run, joined by several processes: one sandbox, which ends with the last of them."""

import subprocess
import sys
import time
from pathlib import Path

from sandbox.runtime import state
from sandbox.runtime.processes import Process
from tests.agents import shared_sandbox
from tests.agents.shared_sandbox import ROOT

USER = """\
import sys
from pathlib import Path
from tests.agents import shared_sandbox

with shared_sandbox.joined(Path(sys.argv[1]), server="embedded") as sandbox:
    print(sandbox.process.pid, flush=True)
    sys.stdin.read()
"""
ENDS_WITHIN = 20  # seconds


class User:
    """A process that uses the sandbox until its input ends."""

    def __init__(self, directory: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(directory)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def sandbox(self) -> int:
        """The id of the sandbox's process, once it is ready."""
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def leave(self) -> None:
        self.process.communicate(timeout=ENDS_WITHIN)


def has_ended(directory: Path) -> bool:
    deadline = time.monotonic() + ENDS_WITHIN
    while state.read(directory) and time.monotonic() < deadline:
        time.sleep(0.1)
    return state.read(directory) is None


def is_gone(process: Process) -> bool:
    """Wait for the end of a process, which forgets its file a moment before."""
    deadline = time.monotonic() + ENDS_WITHIN
    while process.find() and time.monotonic() < deadline:
        time.sleep(0.1)
    return process.find() is None


def test_joined__two_processes_start_together__use_one_sandbox_to_the_end_of_the_last(tmp_path: Path) -> None:
    first, second = User(tmp_path), User(tmp_path)
    assert first.sandbox() == second.sandbox()
    first.leave()
    running = state.read(tmp_path)
    assert running is not None and running.process.find() is not None
    second.leave()
    assert has_ended(tmp_path)
    assert is_gone(running.process)


def test_joined__the_only_process_is_killed__the_sandbox_ends_and_another_one_can_start(tmp_path: Path) -> None:
    user = User(tmp_path)
    before = user.sandbox()
    user.process.kill()
    user.process.communicate()
    assert has_ended(tmp_path)
    with shared_sandbox.joined(tmp_path, server="embedded") as sandbox:
        assert sandbox.process.find() is not None
        assert sandbox.process.pid != before
