"""Requests and seconds of an audit's steps: 20 and 200 projects, with 2,000 and 20,000 tasks among them.

A local GitHub answers the steps' questions about the default branch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from github.Repository import Repository

from clearml_ci.core.gate import Gate
from clearml_ci.parameters.audit import Audit, Home
from sandbox.runtime import github_access, sample_repository
from sandbox.runtime.clearml_access import Access, Client
from sandbox.servers import clearml_server, github_server
from tools import bench_step

SIZES = ((20, 2_000), (200, 2_000), (200, 20_000))  # projects, and tasks in all of them
SMALLEST = ((2, 10),)
STEPS = ("audit_baselines", "audit_leftovers")
GATE = Gate("accuracy", "validation", tolerance=3.0)
TAG = "Best"


@dataclass(frozen=True)
class Measurement:
    """Requests to ClearML, and seconds, of the steps together, as their processes took them."""

    projects: int
    tasks: int
    requests: int
    seconds: float


@dataclass(frozen=True)
class Workspace:
    """The servers, and the repository whose default branch the tasks ran."""

    client: Client
    environment: Mapping[str, str]
    home: Home
    head: str


def measure(sizes: Sequence[tuple[int, int]], *, progress: Callable[[str], None]) -> list[Measurement]:
    """Return one measurement for each number of projects and tasks, each on servers of its own."""
    measured = []
    for projects, tasks in sizes:
        progress(f"audit: {tasks:,} tasks in {projects} projects")
        with TemporaryDirectory() as directory:
            measured.append(_measure_on_new_servers(Path(directory), projects, tasks))
    return measured


def _measure_on_new_servers(directory: Path, projects: int, tasks: int) -> Measurement:
    github = github_server.start(directory / "github")
    clearml = clearml_server.start(directory / "clearml")
    try:
        owner = github_access.connect(github.api_url, github.owner_token)
        repository = sample_repository.create(owner, directory / "developer", project="Digits")
        credentials = {"GITHUB_TOKEN": github.owner_token, "GITHUB_API_URL": github.api_url}
        workspace = _workspace(repository, github.api_url, {**clearml.environment(), **credentials})
        _fill(workspace, projects, tasks)
        return _measure(workspace, projects, tasks)
    finally:
        clearml.stop()
        github.stop()


def _workspace(repository: Repository, api_url: str, environment: Mapping[str, str]) -> Workspace:
    url = repository.clone_url
    home = Home(repository.full_name, url, api_url, "main", (url,))
    head = repository.get_branch("main").commit.sha
    return Workspace(Client(Access.from_environment(environment)), environment, home, head)


def _fill(workspace: Workspace, projects: int, tasks: int) -> None:
    """Give each project a best and a newer task, both of the default branch's head, and tasks of other commits."""
    others = tasks // projects - 2
    call, url = workspace.client.call, workspace.home.clone_url

    def create(number: int) -> None:
        project = call("projects.create", name=f"project {number}")["id"]
        _train(workspace, project, [TAG], 0.9)
        _train(workspace, project, [], 0.89)
        for other in range(others):
            script = {"repository": url, "version_num": f"{number * others + other:040x}"}
            call("tasks.create", name="train", type="training", project=project, script=script)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, range(projects)))


def _train(workspace: Workspace, project: str, tags: list[str], value: float) -> None:
    script = {"repository": workspace.home.clone_url, "version_num": workspace.head}
    call = workspace.client.call
    task = call("tasks.create", name="train", type="training", project=project, script=script, tags=tags)["id"]
    call("tasks.started", task=task)
    point = {"type": "training_stats_scalar", "task": task, "iter": 1, "value": value}
    workspace.client.events([{**point, "metric": GATE.title, "variant": GATE.series}])
    call("tasks.completed", task=task)


def _measure(workspace: Workspace, projects: int, tasks: int) -> Measurement:
    project = f"ClearML CI/{workspace.home.repository}/.pipelines/audit"
    pipelines = workspace.client.call("projects.create", name=project)["id"]
    audit = Audit(workspace.home, workspace.head, (), "", TAG, (GATE,), ("ci-code",))
    run = bench_step.create_run(workspace.client, project=pipelines, name="audit", arguments=audit.to_arguments())
    requests, began = 0, time.monotonic()
    for name in STEPS:
        step = bench_step.create(workspace.client, project=pipelines, run=run, name=name)
        bench_step.execute(name, step, workspace.environment, run=run)
        requests += bench_step.requests_sent(workspace.client, step)
    return Measurement(projects, tasks, requests, round(time.monotonic() - began, 2))
