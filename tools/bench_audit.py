"""How many requests, and how long: an audit of 20 and 200 projects, with 2,000 and 20,000 tasks among them.

The steps run as an agent runs them, with a local GitHub to ask for main. The numbers are written to
build/bench_audit.json.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from github.Repository import Repository
from tabulate import tabulate

from clearml_ci.core.gate import Gate
from clearml_ci.parameters.audit import Audit, Home
from sandbox.runtime import github_access, sample_repository
from sandbox.runtime.clearml_access import Access, Client
from sandbox.servers import clearml_server, github_server
from tools import bench

SIZES = ((20, 2_000), (200, 2_000), (200, 20_000))
STEPS = ("audit_baselines", "audit_leftovers")
GATE = Gate("accuracy", "validation", tolerance=3.0)
TAG = "Best"


@dataclass(frozen=True)
class Workspace:
    """The servers, and the repository whose main the tasks ran."""

    client: Client
    environment: dict[str, str]
    home: Home
    head: str


@dataclass(frozen=True)
class Measurement:
    """Requests to ClearML, and seconds, of the steps together, as their processes took them."""

    projects: int
    tasks: int
    requests: int
    seconds: float


def main() -> None:
    """Print a table and write build/bench_audit.json."""
    _write([_measured(projects, tasks) for projects, tasks in SIZES])


def _measured(projects: int, tasks: int) -> Measurement:
    with TemporaryDirectory() as directory:
        hub = github_server.start(Path(directory) / "github")
        server = clearml_server.start(Path(directory) / "clearml")
        try:
            owner = github_access.connect(hub.api_url, hub.owner_token)
            repository = sample_repository.create(owner, Path(directory) / "developer", project="Digits")
            github = {"GITHUB_TOKEN": hub.owner_token, "GITHUB_API_URL": hub.api_url}
            space = _workspace(repository, hub.api_url, {**server.environment(), **github})
            bench.say(f"making {tasks} tasks in {projects} projects")
            _fill(space, projects, tasks)
            return _measure(space, projects, tasks)
        finally:
            server.stop()
            hub.stop()


def _workspace(repository: Repository, api_url: str, environment: dict[str, str]) -> Workspace:
    url = repository.clone_url
    home = Home(repository.full_name, url, api_url, "main", (url,))
    head = repository.get_branch("main").commit.sha
    return Workspace(Client(Access.from_environment(environment)), environment, home, head)


def _fill(space: Workspace, projects: int, tasks: int) -> None:
    """Each project gets a best and a newer task of main, both of main's head, and tasks of other commits."""
    others = tasks // projects - 2

    def project(number: int) -> None:
        made = space.client.call("projects.create", name=f"project {number}")["id"]
        _train(space, made, [TAG], 0.9)
        _train(space, made, [], 0.89)
        for other in range(others):
            script = {"repository": space.home.clone_url, "version_num": f"{number * others + other:040x}"}
            space.client.call("tasks.create", name="train", type="training", project=made, script=script)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(project, range(projects)))


def _train(space: Workspace, project: str, tags: list[str], value: float) -> None:
    script = {"repository": space.home.clone_url, "version_num": space.head}
    call = space.client.call
    task = call("tasks.create", name="train", type="training", project=project, script=script, tags=tags)["id"]
    call("tasks.started", task=task)
    point = {"type": "training_stats_scalar", "task": task, "iter": 1, "value": value}
    space.client.events([{**point, "metric": GATE.title, "variant": GATE.series}])
    call("tasks.completed", task=task)


def _measure(space: Workspace, projects: int, tasks: int) -> Measurement:
    run = _run(space)
    requests, began = 0, time.monotonic()
    for name in STEPS:
        step = _step(space, run, name)
        bench.execute(name, step, space.environment)
        requests += bench.requests_of(space.client, step)
    return Measurement(projects, tasks, requests, round(time.monotonic() - began, 2))


def _run(space: Workspace) -> str:
    asked = Audit(space.home, space.head, (), "", TAG, (GATE,), ("ci-code",))
    items = {name: {"section": "Args", "name": name, "value": value} for name, value in asked.to_arguments().items()}
    where = space.client.call("projects.create", name=f"CI/{space.home.repository}/.pipelines/audit")["id"]
    run: str = space.client.call(
        "tasks.create", name="audit", type="controller", project=where, hyperparams={"Args": items}
    )["id"]
    return run


def _step(space: Workspace, run: str, name: str) -> str:
    arguments = {"Args": {"run": {"section": "Args", "name": "run", "value": run}}}
    step: str = space.client.call("tasks.create", name=name, type="data_processing", parent=run, hyperparams=arguments)[
        "id"
    ]
    space.client.call("tasks.started", task=step)
    return step


def _write(measured: list[Measurement]) -> None:
    path = bench.ROOT / "build" / "bench_audit.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([vars(one) for one in measured], indent=2))
    rows = [(one.projects, f"{one.tasks:,}", one.requests, one.seconds) for one in measured]
    bench.say(tabulate(rows, ["projects", "tasks", "requests", "seconds"], tablefmt="github"))
    bench.say(f"{' and '.join(STEPS)} together; written to {path.relative_to(bench.ROOT)}")


if __name__ == "__main__":
    main()
