"""`ci_trigger.py agents`, as its users start it, as a child of this process on the queues of a sandbox."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clearml_ci.local_agents import state
from sandbox.runtime import environment, github_access, processes
from sandbox.runtime.processes import Process
from sandbox.runtime.state import Sandbox
from sandbox.scenarios import job

START_SECONDS = 90
END_SECONDS = 60  # the command itself takes at most 40 for agents that do not end


@contextmanager
def running(sandbox: Sandbox, folder: Path, *, controllers: int = 0, steps: int = 0) -> Iterator[int]:
    """The id of the command's process, whose agents are up; with the block's end it and they have ended."""
    numbers = ["--controllers", str(controllers), *(["--steps", str(steps)] if steps else [])]
    command = [sys.executable, str(job.CHECKOUT / "ci_trigger.py"), "agents", "--folder", str(folder)]
    variables, log = _variables(sandbox, folder, with_steps=steps > 0), folder.with_suffix(".log")
    process = processes.start([*command, *numbers], environment=variables, log=log)
    try:
        _wait_ready(process, folder, log)
        yield process.pid
    finally:
        _end(process, [*command, "--stop"], variables)


def steps_queue(sandbox: Sandbox) -> str:
    """The name of a queue of steps, which a check does not need."""
    return f"{sandbox.queues.controllers}-steps"


def _variables(sandbox: Sandbox, folder: Path, *, with_steps: bool) -> dict[str, str]:
    """The environment of the command: ClearML's keys, the sandbox's queues, and a token for GitHub."""
    queues = sandbox.queues
    given = {
        **sandbox.clearml.environment(),
        "CLEARML_CONFIG_FILE": str(folder.with_suffix(".none.conf")),
        "CLEARML_CI_CONTROLLER_QUEUE": queues.controllers,
        **({"CLEARML_CI_STEPS_QUEUE": steps_queue(sandbox)} if with_steps else {}),
        "CLEARML_CI_CODE_QUEUE": queues.code,
        "CLEARML_CI_REPOSITORY": job.code_of_agents()[0],
        "GITHUB_TOKEN": github_access.token(sandbox.github, "personal", permissions=environment.JOB_PERMISSIONS),
        "GITHUB_API_URL": sandbox.github.api_url,
    }
    return processes.clean_environment(folder.with_suffix(".home"), given)


def _wait_ready(process: subprocess.Popen[bytes], folder: Path, log: Path) -> None:
    """Wait until the command has recorded that all its agents are up; exit with its log if it does not."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        known = state.read(folder)
        if known and known.ready and known.process == process.pid:
            return
        time.sleep(0.2)
    ended = f"ended with {process.returncode}" if process.poll() is not None else f"was not up after {START_SECONDS} s"
    sys.exit(f"ci_trigger.py agents {ended}:\n{log.read_text(errors='replace')[-1500:]}")


def _end(process: subprocess.Popen[bytes], stop: list[str], variables: dict[str, str]) -> None:
    """End the command, which ends its agents. If it was killed or does not end, they are ended without it."""
    root = Process.of(process.pid) if process.poll() is None else None
    try:
        process.terminate()
        process.wait(END_SECONDS)
    except BaseException:  # also a second Ctrl-C
        processes.end_trees([root] if root else [])
        process.wait(5)
        raise
    finally:
        if process.returncode:
            subprocess.run(stop, env=variables, capture_output=True, check=False, timeout=END_SECONDS)
