"""A stand-in for clearml-agent, for tests that are not about agents: it builds no environments, and forks each task.

It is a program of fork_server.py with the command line and the configuration file of `clearml-agent daemon`, and takes
one task at a time from one queue. The code of this project runs as it lies in this checkout; other code is cloned at
the task's commit.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from sandbox.runtime.clearml_access import Access, ClearMLError, Client
from tests.agents import forked_program
from tests.agents.forked_program import Program
from tests.agents.light_execution import Execution

ROOT = Path(__file__).parents[2]
OWN_CODE = r"pipelines/|-m steps\."  # how the programs of this checkout are started, which agents run
POLL, NEXT_POLL, ACTIVE = 0.6, 0.1, 2.0  # seconds between two polls: of an idle queue, and so long after a task
REPORT = 5.0  # seconds between two reports of the worker
STARTED = "Starting Task Execution:"  # clearml-agent's line before the output of the script


class CheckoutError(Exception):
    """A task's repository, commit or folder does not exist; the message is what clearml-agent prints."""


@dataclass
class Agent:
    """One worker of one queue, with its own directory; its tasks get `environment` in addition."""

    client: Client
    worker: str
    queue: str
    directory: Path
    environment: Mapping[str, str]
    task: str = ""
    reported: float = float("-inf")

    def program(self) -> Program:
        """Run tasks until the agent is terminated. Return only in the process of a task, with its program."""
        active = time.monotonic()
        while True:
            self.report("")
            if task := self._next():
                if program := self._run(task):
                    return program
                active = time.monotonic()
            time.sleep(NEXT_POLL if time.monotonic() - active < ACTIVE else POLL)

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
        """Take a task from the queue and mark it as started; return its id, "" if there is none."""
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
        """Run a task in a process of its own. Return None once that has ended, in the process itself its program."""
        self.report(task)
        script = self.client.call("tasks.get_by_id", task=task)["task"]["script"]
        console, output = os.pipe()
        process = os.fork()
        if not process:
            os.close(console)
            return self._program(task, script, output)
        os.close(output)
        Execution(self.client, self.worker, task, process, console, self.report).follow()
        return None

    def _program(self, task: str, script: Mapping[str, Any], output: int) -> Program:
        """Prepare the process of a task; its console is `output`. The connection to the server is the agent's."""
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for number in (1, 2):
            os.dup2(output, number)
        os.close(output)
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
        """Return the root of the task's repository and the folder to run in. Raises CheckoutError."""
        if re.match(OWN_CODE, script["entry_point"]):
            return ROOT, ROOT
        root = self.directory / "venvs" / task / "task_repository" / "clone"
        _git("clone", "-q", "--no-checkout", script["repository"], str(root))
        _git("-C", str(root), "checkout", "-q", script["version_num"])
        directory = root / (script.get("working_dir") or ".")
        print(f"commit: {script['version_num']}\n\n{STARTED}\n", flush=True)  # noqa: T201
        if not directory.is_dir():
            raise CheckoutError(f"[Errno 2] No such file or directory: '{directory}'")
        return root, directory


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
    """Return the agent of a configuration file, registered as a worker of the queue."""
    content = json.loads(configuration.read_text())
    api, worker = content["api"], content["agent"]["worker_id"]
    keys = api["credentials"]
    servers = (api["api_server"], api["web_server"], api["files_server"])
    client = Client(Access(*servers, keys["access_key"], keys["secret_key"]))
    (found,) = client.call("queues.get_all", name=f"^{queue}$", only_fields=["id"])["queues"]
    client.call("workers.register", worker=worker, queues=[found["id"]], timeout=600)
    return Agent(client, worker, found["id"], configuration.parent, content["environment"])


def _exit(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  the signature is Python's
    sys.exit(0)


if __name__ == "__main__":
    options = _options()
    signal.signal(signal.SIGTERM, _exit)
    forked_program.run(_connect(options.config_file, options.queue).program())
