"""Controllers of pipelines as processes with the real SDK, as an agent starts them."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearml_ci.clearml_api import run_start
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.clearml_api.worker_queues import Queue
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import PullRequest
from sandbox.runtime.clearml_access import Client
from tests.clock import fast_clock

ROOT = Path(__file__).parents[2]
COMMIT = "b" * 40
CHECK = Check(COMMIT, PullRequest("o/n", 7, (), "http://none"), "", "", (), "Best")


@dataclass(frozen=True)
class Controllers:
    """Queues without workers, and a hand to start a run and its controller's process."""

    clearml: ClearML
    client: Client
    project: str
    steps: str

    def start(self, *, acknowledged: bool = True, deadline: str = "", **more: str) -> str:
        queue = self.client.call("queues.create", name=f"{self.steps}-controllers")["id"]
        script = {"repository": "https://github.com/o/n.git", "version_num": "e" * 40, "entry_point": "pr_check.py"}
        project = self.client.call("projects.create", name=self.project)["id"]
        made = self.client.call("tasks.create", name="pr_check", type="controller", project=project, script=script)
        arguments = {**CHECK.to_arguments(), "_steps_queue": self.steps, "_origin": "n", "_deadline": deadline, **more}
        served = Queue(queue, "controllers", frozenset())
        run = run_start.start(self.clearml, template=made["id"], queue=served, arguments=arguments, clock=fast_clock())
        if acknowledged:
            run_start.acknowledge(self.clearml, run)
        self.client.call("tasks.dequeue", task=run)
        self.client.call("tasks.started", task=run)
        return run

    def steps_of(self, run: str) -> dict[str, str]:
        """The status of each of the run's steps, by name."""
        found = self.client.call("tasks.get_all", parent=run, only_fields=["name", "status"], search_hidden=True)
        return {task["name"]: task["status"] for task in found["tasks"]}

    def graph(self, run: str) -> dict[str, str]:
        """The status of each of the run's steps as the web UI draws it."""
        nodes = json.loads(self.read(run)["configuration"]["Pipeline"]["value"])
        return {name: node["status"] for name, node in nodes.items()}

    def read(self, run: str) -> dict[str, Any]:
        return dict(self.client.call("tasks.get_by_id", task=run)["task"])


@contextlib.contextmanager
def process(run: str, environment: dict[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The controller's process, which is ended at the end of the block."""
    own = {**os.environ, **environment, "CLEARML_TASK_ID": run, "CLEARML_LOG_TASK_TO_BACKEND": "0"}
    with log.open("w") as output:
        command = [sys.executable, "-m", "pipelines.pr_check"]
        child = subprocess.Popen(command, cwd=ROOT, env=own, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield child
        finally:
            child.kill()
            child.wait()


def wait_for(done: Callable[[], bool], log: Path) -> None:
    until = time.monotonic() + 60
    while not done():
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.3)


def impatient(directory: Path, module: str = "run_start") -> Path:
    """A folder whose `sitecustomize` lets the process wait for a second only."""
    code = f"from clearml_ci.clearml_api import {module}\n{module}.PATIENCE = 1.0\n"
    (directory / "sitecustomize.py").write_text(code)
    return directory
