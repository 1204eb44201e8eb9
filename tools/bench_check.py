"""Requests and seconds of find_task and compare, in a project of 10, 1,000 and 20,000 tasks.

The run's candidate and best stand among that many other tasks, and the pipeline project holds as many earlier runs with
a step each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from clearml_ci.core.gate import Gate
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import PullRequest
from sandbox.runtime.clearml_access import Access, Client
from sandbox.servers import clearml_server
from tools import bench_step

SIZES = (10, 1_000, 20_000)
SMALLEST = SIZES[:1]
REPOSITORY = "https://github.com/owner/digits.git"
COMMIT = "c" * 40
GATE = Gate("accuracy", "validation", tolerance=3.0)
CHECK = Check(COMMIT, PullRequest("owner/digits", 1, (REPOSITORY,), "http://none"), "Digits", "train", (GATE,), "Best")
STEPS = ("find_task", "compare")
MOST_METRICS = 1_990  # ClearML keeps 2,000 of a task


@dataclass(frozen=True)
class Measurement:
    """Requests to ClearML, and seconds, of the steps together, as their processes took them."""

    tasks: int
    requests: int
    seconds: float


@dataclass(frozen=True)
class Workspace:
    """A server with one model project and one pipeline project, given by their ids; both grow from size to size."""

    client: Client
    environment: Mapping[str, str]
    models: str
    pipelines: str


def measure(sizes: Sequence[int], *, progress: Callable[[str], None]) -> list[Measurement]:
    """Return one measurement for each number of tasks; `sizes` must grow."""
    with TemporaryDirectory() as directory:
        server = clearml_server.start(Path(directory))
        try:
            return _measure_all(_workspace(server.environment()), sizes, progress)
        finally:
            server.stop()


def _workspace(environment: Mapping[str, str]) -> Workspace:
    client = Client(Access.from_environment(environment))
    models = client.call("projects.create", name=CHECK.project)["id"]
    pipelines = client.call("projects.create", name="ClearML CI/owner/digits/.pipelines/pr_check")["id"]
    return Workspace(client, environment, models, pipelines)


def _measure_all(workspace: Workspace, sizes: Sequence[int], progress: Callable[[str], None]) -> list[Measurement]:
    compared = [
        _train(workspace, commit="b" * 40, tags=["Best"], value=0.96),
        _train(workspace, commit=COMMIT, tags=[], value=0.95),
    ]
    run = bench_step.create_run(
        workspace.client, project=workspace.pipelines, name="pr_check #1", arguments=CHECK.to_arguments()
    )
    measured, present = [], len(compared)
    for size in sizes:
        progress(f"check: {size - present:,} more tasks, and as many earlier runs")
        _fill(workspace, size - present)
        for task in compared:
            _report(workspace, task, [(f"metric {n}", "series", n) for n in range(min(size, MOST_METRICS))])
        present = size
        measured.append(_measure(workspace, run, size))
    return measured


def _train(workspace: Workspace, *, commit: str, tags: list[str], value: float) -> str:
    script = {"repository": REPOSITORY, "version_num": commit, "entry_point": "train.py"}
    create = {"name": CHECK.task_name, "type": "training", "project": workspace.models, "script": script, "tags": tags}
    task = str(workspace.client.call("tasks.create", **create)["id"])
    workspace.client.call("tasks.started", task=task)
    _report(workspace, task, [(GATE.title, GATE.series, value)])
    workspace.client.call("tasks.completed", task=task)
    return task


def _report(workspace: Workspace, task: str, values: list[tuple[str, str, float]]) -> None:
    point = {"type": "training_stats_scalar", "task": task, "iter": 1, "allow_locked": True}
    workspace.client.events(
        [{**point, "metric": title, "variant": series, "value": value} for title, series, value in values]
    )


def _fill(workspace: Workspace, count: int) -> None:
    call, models, pipelines = workspace.client.call, workspace.models, workspace.pipelines

    def create(number: int) -> None:
        script = {"repository": REPOSITORY, "version_num": f"{number:040x}"}
        call("tasks.create", name=CHECK.task_name, type="training", project=models, script=script)
        run = call("tasks.create", name=f"pr_check #{number + 2}", type="controller", project=pipelines)["id"]
        call("tasks.create", name="find_task", type="data_processing", project=pipelines, parent=run)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(count)))


def _measure(workspace: Workspace, run: str, size: int) -> Measurement:
    requests, began, earlier = 0, time.monotonic(), list[str]()
    for name in STEPS:
        _delete_step(workspace.client, run, name)
        step = bench_step.create(workspace.client, project=workspace.pipelines, run=run, name=name)
        bench_step.execute(name, step, workspace.environment, run=run, earlier=earlier)
        earlier.append(step)
        requests += bench_step.requests_sent(workspace.client, step)
    return Measurement(size, requests, round(time.monotonic() - began, 2))


def _delete_step(client: Client, run: str, name: str) -> None:
    """Delete the step of an earlier size: a run has one step of a name."""
    for earlier in client.call("tasks.get_all", parent=run, name=f"^{name}$", only_fields=["id"])["tasks"]:
        client.call("tasks.delete", task=earlier["id"], force=True)
