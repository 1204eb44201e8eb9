"""Stop a sandbox that an earlier command left running, on purpose (KEEP=1) or by a crash, and nothing else."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from sandbox.runtime import agents, processes, remote_cleanup, state
from sandbox.runtime.clearml_access import ClearMLError, Client
from sandbox.runtime.state import Sandbox

PATIENCE_SECONDS = 30


def stop(directory: Path) -> bool:
    """Return whether a sandbox was left. A process is ours only with the birth that the file recorded."""
    left = state.read(directory)
    if left is None:
        return False
    process = left.process.find()
    if process:
        _terminate(process)
    processes.end_trees([left.process, *agents.recorded(directory)])
    if left.prefix and state.read(directory):
        _delete_remote(left)
    state.forget(directory)
    return True


def _terminate(process: psutil.Process) -> None:
    """Let a running sandbox clean up by itself."""
    process.terminate()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.1)


def _delete_remote(left: Sandbox) -> None:
    try:
        remote_cleanup.delete(Client(left.clearml), left.prefix)
    except ClearMLError as error:
        print(f"could not delete projects and queues with the prefix {left.prefix} on {left.clearml.api_url}: {error}")  # noqa: T201
