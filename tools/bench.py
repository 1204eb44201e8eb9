"""How many requests, and how long: find_task and compare in a project of 10, 1,000 and 20,000 tasks.

The steps run as an agent runs them, for a run whose candidate and best stand among that many other tasks, and in a
pipeline project with as many earlier runs' steps. The numbers are written to build/bench.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tabulate import tabulate

from clearml_ci.core.gate import Gate
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import PullRequest
from sandbox.runtime.clearml_access import Access, Client
from sandbox.servers import clearml_server

SIZES = (10, 1_000, 20_000)
ROOT = Path(__file__).parents[1]
REPOSITORY = "https://github.com/owner/digits.git"
COMMIT = "c" * 40
GATE = Gate("accuracy", "validation", tolerance=3.0)
CHECK = Check(COMMIT, PullRequest("owner/digits", 1, (REPOSITORY,), "http://none"), "Digits", "train", (GATE,), "Best")
STEPS = ("find_task", "compare")


@dataclass(frozen=True)
class Measurement:
    """Requests and seconds of find_task and compare together, as the steps' processes took them."""

    tasks: int
    requests: int
    seconds: float


def main() -> None:
    """Print a table and write build/bench.json."""
    with TemporaryDirectory() as directory:
        server = clearml_server.start(Path(directory))
        try:
            measured = _measure_all(Access.from_environment(server.environment()), server.environment())
        finally:
            server.stop()
    _write(measured)


def _measure_all(access: Access, environment: dict[str, str]) -> list[Measurement]:
    client = Client(access)
    project = client.call("projects.create", name=CHECK.project)["id"]
    pipelines = client.call("projects.create", name="ClearML CI/owner/digits/.pipelines/pr_check")["id"]
    best = _train(client, project, commit="b" * 40, tags=["Best"], value=0.96)
    candidate = _train(client, project, commit=COMMIT, tags=[], value=0.95)
    run = _run(client, pipelines)
    measured, done = [], 2
    for size in SIZES:
        say(f"making {size - done} more tasks, and as many earlier runs with a step each")
        _fill(client, project, pipelines, size - done)
        for task in (best, candidate):
            _report(client, task, [(f"metric {number}", "series", number) for number in range(min(size, 1_990))])
        done = size
        measured.append(_measure(client, pipelines, run, environment, size))
    return measured


def _train(client: Client, project: str, *, commit: str, tags: list[str], value: float) -> str:
    script = {"repository": REPOSITORY, "version_num": commit, "entry_point": "train.py"}
    task: str = client.call(
        "tasks.create", name=CHECK.task_name, type="training", project=project, script=script, tags=tags
    )["id"]
    client.call("tasks.started", task=task)
    _report(client, task, [(GATE.title, GATE.series, value)])
    client.call("tasks.completed", task=task)
    return task


def _report(client: Client, task: str, values: list[tuple[str, str, float]]) -> None:
    lines = [
        {"type": "training_stats_scalar", "task": task, "iter": 1, "metric": title, "variant": series, "value": value}
        for title, series, value in values
    ]
    client.events([{**line, "allow_locked": True} for line in lines])


def _run(client: Client, pipelines: str) -> str:
    arguments = {
        name: {"section": "Args", "name": name, "value": value} for name, value in CHECK.to_arguments().items()
    }
    run: str = client.call(
        "tasks.create", name="pr_check #1", type="controller", project=pipelines, hyperparams={"Args": arguments}
    )["id"]
    return run


def _fill(client: Client, project: str, pipelines: str, count: int) -> None:
    def make(number: int) -> None:
        commit = f"{number:040x}"
        script = {"repository": REPOSITORY, "version_num": commit}
        client.call("tasks.create", name=CHECK.task_name, type="training", project=project, script=script)
        run = client.call("tasks.create", name=f"pr_check #{number + 2}", type="controller", project=pipelines)["id"]
        client.call("tasks.create", name="find_task", type="data_processing", project=pipelines, parent=run)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(count)))


def _measure(client: Client, pipelines: str, run: str, environment: dict[str, str], size: int) -> Measurement:
    requests, began = 0, time.monotonic()
    for step in STEPS:
        task = _step(client, pipelines, run, step)
        execute(step, task, environment)
        requests += requests_of(client, task)
    return Measurement(size, requests, round(time.monotonic() - began, 2))


def _step(client: Client, pipelines: str, run: str, step: str) -> str:
    """A step's task, new for each size: the newest of its name is what compare reads."""
    for older in client.call("tasks.get_all", parent=run, name=f"^{step}$", only_fields=["id"])["tasks"]:
        client.call("tasks.delete", task=older["id"], force=True)
    arguments = {"Args": {"run": {"section": "Args", "name": "run", "value": run}}}
    task: str = client.call(
        "tasks.create", name=step, type="data_processing", project=pipelines, parent=run, hyperparams=arguments
    )["id"]
    client.call("tasks.started", task=task)
    return task


def execute(step: str, task: str, environment: dict[str, str]) -> None:
    command = [sys.executable, str(ROOT / "steps" / f"{step}.py")]
    bare = {name: value for name, value in os.environ.items() if not name.startswith("CLEARML_")}
    ran = subprocess.run(
        command,
        env={**bare, **environment, "CLEARML_TASK_ID": task, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        sys.exit(f"{step} failed: {ran.stdout}{ran.stderr}")


def requests_of(client: Client, task: str) -> int:
    found = client.call("tasks.get_all", id=[task], only_fields=["configuration.result"])["tasks"][0]
    result = json.loads(found["configuration"]["result"]["value"])
    return int(result["requests"])


def _write(measured: list[Measurement]) -> None:
    path = ROOT / "build" / "bench.json"
    path.parent.mkdir(exist_ok=True)
    document = {
        "requests": {str(one.tasks): one.requests for one in measured},
        "seconds": {str(one.tasks): one.seconds for one in measured},
    }
    path.write_text(json.dumps(document, indent=2))
    rows = [(f"{one.tasks:,}", one.requests, one.seconds) for one in measured]
    say(tabulate(rows, ["tasks", "requests", "seconds"], tablefmt="github"))
    say(f"find_task and compare together; written to {path.relative_to(ROOT)}")


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
