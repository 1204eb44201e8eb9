"""Stands for clearml-agent in tests that are not about agents: it builds no environment, and forks each task's process.

A program of fork_server.py with the command line and the configuration file of `clearml-agent daemon`. It takes one
task at a time from one queue and treats it as clearml-agent was seen to: its status, its console, its end after an
abort. The code of this project runs as it lies in this checkout; other code is cloned at the task's commit.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from sandbox.runtime.clearml_access import Access, ClearMLError, Client
from tests.agents import fork_server
from tests.agents.fork_server import ROOT, Program

OWN_CODE = ("pipelines", "steps")  # the folders of this checkout whose files agents run
LOOK, SOON, ACTIVE = 0.3, 0.05, 3.0  # seconds between two looks, after a task has ended, and for how long
REPORT = 5.0  # seconds between two reports of the worker
KILLED_AFTER = 5.0  # seconds from SIGTERM
STARTED = "Starting Task Execution:"  # the agent's own line, by which it hands over to a script
ABORT_CALLBACK = ("_abort_callback_timeout", "_abort_poll_freq", "_abort_callback_completed")


class CheckoutError(Exception):
    """A task's code is not there; the message is what clearml-agent prints."""


@dataclass
class Agent:
    """One worker of one queue. `directory` is its own; `environment` is what its configuration adds to its tasks'."""

    client: Client
    worker: str
    queue: str
    directory: Path
    environment: Mapping[str, str]
    task: str = ""
    reported: float = float("-inf")

    def program(self) -> Program:
        """Run tasks until the agent is ended; returns only in the process of a task, with what is to be run there."""
        active = time.monotonic()
        while True:
            self.report("")
            if task := self._next():
                if program := self._run(task):
                    return program
                active = time.monotonic()
            time.sleep(SOON if time.monotonic() - active < ACTIVE else LOOK)

    def report(self, task: str) -> None:
        """Report this worker and the task that it runs, if that has changed or the last report is old."""
        if task == self.task and time.monotonic() - self.reported < REPORT:
            return
        self.task, self.reported = task, time.monotonic()
        running = {"task": task} if task else {}
        moment = int(time.time() * 1000)
        own = {"worker": self.worker, "queues": [self.queue], "queue": self.queue}
        self.client.call("workers.status_report", timestamp=moment, **own, **running)

    def _next(self) -> str:
        """The id of a task that has been taken from the queue and marked as started, or nothing."""
        try:
            entry = self.client.call("queues.get_next_task", queue=self.queue).get("entry")
            if entry:
                why = f"pulled by {self.worker}"
                self.client.call("tasks.started", task=entry["task"], status_reason=why, status_message=why)
        except ClearMLError as error:
            print(error)  # noqa: T201  into the agent's log
            return ""
        return str(entry["task"]) if entry else ""

    def _run(self, task: str) -> Program | None:
        """The program in the task's own process; None in the agent, when that process has ended."""
        self.report(task)
        console, output = os.pipe()
        process = os.fork()
        if not process:
            os.close(console)
            return self._program_of(task, output)
        os.close(output)
        os.set_blocking(console, False)
        Execution(self, task, process, console).follow()
        return None

    def _program_of(self, task: str, output: int) -> Program:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number in (1, 2):
            os.dup2(output, number)
        os.close(output)
        script = self.client.call("tasks.get_by_id", task=task)["task"]["script"]
        try:
            root, directory = self._checkout(task, script)
        except CheckoutError as error:
            print(error, flush=True)  # noqa: T201  into the task's console
            os._exit(1)
        variables = {
            **dict.fromkeys(("CLEARML_TASK_ID", "TRAINS_TASK_ID"), task),
            "CLEARML_LOG_TASK_TO_BACKEND": "0",
            "PYTHONPATH": os.pathsep.join([str(root), str(directory)]),
        }
        environment = {**os.environ, **self.environment, **variables}
        return Program(script["entry_point"].split(), environment, str(directory))

    def _checkout(self, task: str, script: Mapping[str, Any]) -> tuple[Path, Path]:
        """The root of the task's repository and the folder to run in. Raises CheckoutError."""
        if Path(script["entry_point"]).parent.name in OWN_CODE:
            return ROOT, ROOT
        root = self.directory / "venvs" / task / "task_repository" / "clone"
        _git("clone", "-q", "--no-checkout", script["repository"], str(root))
        _git("-C", str(root), "checkout", "-q", script["version_num"])
        directory = root / (script.get("working_dir") or ".")
        print(f"commit: {script['version_num']}\n\n{STARTED}\n", flush=True)  # noqa: T201
        if not directory.is_dir():
            raise CheckoutError(f"[Errno 2] No such file or directory: '{directory}'")
        return root, directory


@dataclass
class Execution:
    """A task's process and its console. `kill_at`: when it is killed at the latest, None without an abort."""

    agent: Agent
    task: str
    process: int
    console: int
    text: list[bytes] = field(default_factory=list)
    looked: float = field(default_factory=time.monotonic)
    terminate_at: float | None = None

    def follow(self) -> None:
        """Return when the process has ended, by itself or after an abort, and the task has its status."""
        try:
            while (code := self._exit_code()) is None:
                self._read(wait=LOOK)
                if time.monotonic() - self.looked > LOOK:
                    self.looked = time.monotonic()
                    self._flush()
                    self.agent.report(self.task)
                    self._end_if_aborted()
            while self._read():
                pass
            self._conclude(code)
        finally:
            self._signal(signal.SIGKILL)
            os.close(self.console)

    def _exit_code(self) -> int | None:
        process, status = os.waitpid(self.process, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if process else None

    def _read(self, *, wait: float = 0.0) -> bool:
        """Read what the console has; false if it has nothing or is closed."""
        if not select.select([self.console], [], [], wait)[0]:
            return False
        text = os.read(self.console, 1 << 16)
        self.text.append(text)
        if not text:
            time.sleep(min(wait, 0.01))  # closed: the process is about to end
        return bool(text)

    def _flush(self, *lines: str) -> None:
        text = b"".join(self.text).decode(errors="replace") + "".join(f"{line}\n" for line in lines)
        self.text.clear()
        if text:
            event = {"type": "log", "task": self.task, "worker": self.agent.worker, "level": "info", "msg": text}
            self.agent.client.events([{**event, "timestamp": int(time.time() * 1000)}])

    def _end_if_aborted(self) -> None:
        """End the process of an aborted task; an abort callback of its own is given its time."""
        fields = ["status", "status_message", "runtime"]
        (found,) = self.agent.client.call("tasks.get_all", id=[self.task], only_fields=fields, search_hidden=True)[
            "tasks"
        ]
        if found["status"] == "in_progress" and "stopping" not in (found.get("status_message") or ""):
            return
        timeout, poll, completed = (found.get("runtime", {}).get(name) for name in ABORT_CALLBACK)
        if self.terminate_at is None:
            self.terminate_at = time.monotonic() + (float(timeout) + float(poll or 0) if timeout else 0)
        if time.monotonic() > self.terminate_at + KILLED_AFTER:
            self._signal(signal.SIGKILL)
        elif completed or time.monotonic() >= self.terminate_at:
            self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process, number)

    def _conclude(self, code: int) -> None:
        if self.terminate_at is not None:
            status, line, reason = "stopped", "Process aborted by user", "task was stopped by tasks.stop"
        elif code == 0:
            status, line, reason = "completed", "Process completed successfully", "worker execution done"
        else:
            status, line = "failed", f"Process failed, exit code {code}"
            reason = f"worker execution exit code {code}"
        self._flush(line)
        with contextlib.suppress(ClearMLError):  # the task has set its own status
            message = f"changed by {self.agent.worker}"
            self.agent.client.call(f"tasks.{status}", task=self.task, status_reason=reason, status_message=message)
        self.agent.report("")


def _git(*arguments: str) -> None:
    git = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if git.returncode:
        raise CheckoutError(f"{git.stderr}Repository cloning failed")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config-file", type=Path, required=True)
    daemon = parser.add_subparsers(required=True).add_parser("daemon")
    daemon.add_argument("--foreground", action="store_true", required=True)
    daemon.add_argument("--queue", required=True)
    return parser.parse_args()


def _connect(configuration: Path, queue: str) -> Agent:
    """The agent of a configuration file, registered as the worker of its queue."""
    content = json.loads(configuration.read_text())
    api, worker = content["api"], content["agent"]["worker_id"]
    keys = api["credentials"]
    servers = (api["api_server"], api["web_server"], api["files_server"])
    client = Client(Access(*servers, keys["access_key"], keys["secret_key"]))
    (found,) = client.call("queues.get_all", name=f"^{queue}$", only_fields=["id"])["queues"]
    client.call("workers.register", worker=worker, queues=[found["id"]], timeout=600)
    return Agent(client, worker, found["id"], configuration.parent, content["environment"])


def _leave(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  the signature is Python's
    sys.exit(0)


if __name__ == "__main__":
    options = _options()
    signal.signal(signal.SIGTERM, _leave)
    fork_server.run(_connect(options.config_file, options.queue).program())
