"""The world of one case: both servers, the proxy before them, a repository, agents, and what each of them may know."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import requests
from github.PullRequest import PullRequest
from github.Repository import Repository

from sandbox.runtime import agents, github_access, processes, sample_repository
from sandbox.runtime import laptop as laptops
from sandbox.runtime.agents import AgentSpec
from sandbox.runtime.clearml_access import Access, Client
from sandbox.runtime.laptop import Laptop
from sandbox.scenarios import developer
from sandbox.servers import clearml_server, github_server
from sandbox.servers.clearml_server import ClearMLServer
from sandbox.servers.github_server import GitHubServer
from tools.faults.catalogue import CODE, CONTROLLERS, JOB, STEPS
from tools.faults.job import Job
from tools.faults.launcher import Launcher, Program
from tools.faults.proxy import Answer, Proxy, Request

PROJECT, TASK, TAG = "Digits", "train digits", "Best Performance"
PIPELINES = "ClearML CI"
QUEUES = {CONTROLLERS: "ci-controllers", STEPS: "ci-steps", CODE: "ci-code"}
PERMISSIONS = {
    "contents": "read",
    "pull_requests": "write",
    "issues": "write",
    "statuses": "write",
    "checks": "write",
}
CHECKOUT = Path(__file__).parents[2]


@dataclass
class Stage:
    """Everything of one case. `secrets` are the values that must never be seen, by what they are.

    `prepared_jobs`: how many of the jobs ran before any harm. `lost_agents`: roles whose agent was ended.
    `steps_here`: the steps run with their controller.
    """

    directory: Path
    launcher: Launcher
    proxy: Proxy
    clearml: ClearMLServer
    github: GitHubServer
    client: Client
    repository: Repository
    laptop: Laptop
    main: str
    best: str
    job_token: str
    agents: dict[str, Program] = field(default_factory=dict)
    lost_agents: set[str] = field(default_factory=set)
    secrets: dict[str, str] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    prepared_jobs: int = 0
    agent_variables: dict[str, dict[str, str]] = field(default_factory=dict)
    real_agents: bool = False
    steps_here: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def api_url(self) -> str:
        """GitHub's API as the product reaches it."""
        return github_door(self) + self.github.api_url.removeprefix(self.github.url)


@contextmanager
def built(directory: Path, launcher: Launcher) -> Iterator[Stage]:
    """A stage with a repository whose main branch was trained and is the best; no agents yet."""
    clearml = clearml_server.start(directory / "clearml")
    github = github_server.start(directory / "github")
    proxy = Proxy()
    stage: Stage | None = None
    try:
        stage = _stage(directory, launcher, proxy, clearml, github)
        yield stage
    finally:
        for program in stage.agents.values() if stage else ():
            program.kill()
        proxy.close()
        github.stop()
        clearml.stop()


def _stage(directory: Path, launcher: Launcher, proxy: Proxy, clearml: ClearMLServer, github: GitHubServer) -> Stage:
    proxy.open("", "github", github.url)
    for actor in (JOB, CONTROLLERS, STEPS, CODE):
        proxy.open(actor, "clearml", clearml.api_url)
        proxy.open(actor, "files", clearml.files_url)
    client = Client(Access.from_environment(clearml.environment()))
    owner = github_access.connect(github.api_url, github.owner_token)
    repository = sample_repository.create(owner, directory / "developer", project=PROJECT)
    laptop = laptops.clone(repository, directory / "laptop", Access.from_environment(clearml.environment()))
    main = developer.head(laptop)
    stage = Stage(directory, launcher, proxy, clearml, github, client, repository, laptop, main, best="", job_token="")
    stage.secrets["the ClearML secret key"] = clearml.secret_key
    stage.secrets["the owner's token"] = github.owner_token
    stage.job_token = token(stage, "workflow", JOB)
    proxy.on_answer = lambda request, answer: _learn_minted(stage, request, answer)
    for queue in QUEUES.values():
        client.call("queues.create", name=queue)
    client.call("projects.create", name=PROJECT)
    stage.best = task(stage, main, value=0.90)
    client.call("tasks.update_tags", ids=[stage.best], add_tags=[TAG])
    return stage


def _learn_minted(stage: Stage, request: Request, answer: Answer) -> None:
    """The tokens that the App of the steps' agent mints."""
    if request.path.endswith("/access_tokens") and answer.status == 201:
        minted = json.loads(answer.body)["token"]
        stage.proxy.name_actor(minted, STEPS)
        stage.secrets[f"minted token {minted[-4:]}"] = minted


def task(stage: Stage, commit: str, *, value: float, **more: Any) -> str:
    """A finished training of a commit, as its developer's machine would have recorded it."""
    script = {"repository": stage.repository.clone_url, "version_num": commit, "diff": "", "entry_point": "train.py"}
    project = stage.client.call("projects.get_all", name=f"^{PROJECT}$")["projects"][0]["id"]
    made = {"name": TASK, "type": "training", "project": project, "script": script, **more}
    created = str(stage.client.call("tasks.create", **made)["id"])
    stage.client.call("tasks.started", task=created)
    stage.client.events([_scalar(created, number, value - 0.01 * (2 - number)) for number in range(3)])
    stage.client.call("tasks.completed", task=created)
    return created


def train(stage: Stage, commit: str, values: Sequence[float]) -> None:
    """Finished trainings of a commit, each with a seed of its own, which its script has as a hyperparameter."""
    for number, value in enumerate(values, start=100):
        seed = {"section": "Args", "name": "seed", "value": str(number)}
        task(stage, commit, value=value, hyperparams={"Args": {"seed": seed}})


def _scalar(task: str, iteration: int, value: float) -> dict[str, Any]:
    name = {"type": "training_stats_scalar", "metric": "accuracy", "variant": "validation"}
    return {**name, "task": task, "iter": iteration, "value": value}


def propose(stage: Stage, branch: str, *, value: float | None) -> PullRequest:
    """A pull request with one commit; `value` is the accuracy that its training reported, None: it was never run."""
    developer.branch(stage.laptop, branch)
    push(stage, branch, value=value)
    return developer.open_pull_request(stage.repository, stage.laptop, title=branch, branch=branch)


def push(stage: Stage, message: str, *, value: float | None) -> str:
    """One more commit on the branch of the laptop; its hash."""
    commit = developer.commit(stage.laptop, message)
    developer.push(stage.laptop)
    if value is not None:
        task(stage, commit, value=value)
    return commit


def task_of(stage: Stage, commit: str) -> str:
    """The id of the task that ran a commit."""
    query = {"fields": ["script.version_num"], "pattern": f"^{commit}$"}
    (found,) = stage.client.call("tasks.get_all", _all_=query, only_fields=["id"])["tasks"]
    return str(found["id"])


def queue_id(stage: Stage, role: str) -> str:
    (queue,) = stage.client.call("queues.get_all", name=f"^{QUEUES[role]}$", only_fields=["id"])["queues"]
    return str(queue["id"])


def start_agents(stage: Stage, roles: Mapping[str, Mapping[str, str]], *, real: bool) -> None:
    """An agent for each role, with the variables that its tasks find beside the usual ones."""
    stage.real_agents = real
    for role, variables in roles.items():
        stage.agent_variables[role] = dict(variables)
        start_agent(stage, role)
    _wait_for_workers(stage)


def start_agent(stage: Stage, role: str) -> None:
    """The agent of a role, for the first time or after it was killed."""
    stage.agents[role] = _real_agent(stage, role) if stage.real_agents else _small_agent(stage, role)


def _small_agent(stage: Stage, role: str) -> Program:
    logs = stage.directory / "tasks"
    logs.mkdir(exist_ok=True)
    own = {
        "FAULTS_API": stage.clearml.api_url,
        "FAULTS_QUEUE": queue_id(stage, role),
        "FAULTS_WORKER": _spec(role).worker,
        "FAULTS_LOGS": str(logs),
    }
    variables = {**clearml_variables(stage, role), **own, **stage.agent_variables[role]}
    environment = processes.clean_environment(stage.directory / f"agent-{role}", variables)
    script = CHECKOUT / "tools/faults/agent.py"
    log = stage.directory / f"agent-{role}.log"
    return stage.launcher.start([str(script)], environment, directory=CHECKOUT, log=log)


def _real_agent(stage: Stage, role: str) -> Program:
    """clearml-agent, all of whose requests go through the proxy, its own included."""
    access = Access.from_environment(clearml_variables(stage, role))
    environment = stage.agent_variables[role]
    spec = replace(_spec(role), environment=environment)
    (running,) = agents.start(access, stage.directory / "agents", [spec], progress=stage.notes.append)
    return Program(running.process.pid)


def _spec(role: str) -> AgentSpec:
    return AgentSpec(role, QUEUES[role], poll_seconds=0.3)


def _wait_for_workers(stage: Stage) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        seen = {worker["id"] for worker in stage.client.call("workers.get_all", last_seen=60)["workers"]}
        if seen >= {_spec(role).worker for role in stage.agents}:
            return
        time.sleep(0.05)
    raise TimeoutError(f"the agents did not register: see {stage.directory}")


def clearml_variables(stage: Stage, actor: str) -> dict[str, str]:
    """The addresses at which an actor reaches ClearML, and the keys."""
    (api,), (files,) = stage.proxy.doors("clearml", actor), stage.proxy.doors("files", actor)
    return {
        **stage.clearml.environment(),
        "CLEARML_API_HOST": api.url,
        "CLEARML_FILES_HOST": files.url,
        "CLEARML_CONFIG_FILE": str(stage.directory / "none.conf"),
    }


def github_door(stage: Stage) -> str:
    """GitHub's address as the product reaches it."""
    (door,) = stage.proxy.doors("github")
    return door.url


def token(stage: Stage, kind: str, actor: str) -> str:
    """A new token of GitHub for an actor, by which the proxy knows it."""
    made = stage.github.token(kind, repository=stage.repository.full_name, permissions=PERMISSIONS)
    stage.proxy.name_actor(made, actor)
    stage.secrets[f"the GitHub token of {actor}"] = made
    return made


def app(stage: Stage) -> dict[str, str]:
    """The variables of a GitHub App for the steps' agent."""
    number, key = stage.github.app(permissions=PERMISSIONS, repository=stage.repository.full_name)
    stage.secrets["the App's private key"] = key
    return {"CLEARML_CI_APP_ID": str(number), "CLEARML_CI_APP_PRIVATE_KEY": key}


def event(stage: Stage, number: int, action: str) -> dict[str, Any]:
    """The payload of GitHub's event, with the addresses that the product knows."""
    url = f"{github_door(stage)}/_sandbox/events/pull_request"
    query: dict[str, str | int] = {"repository": stage.repository.full_name, "number": number, "action": action}
    answer = requests.get(url, params=query, timeout=30)
    answer.raise_for_status()
    payload: dict[str, Any] = answer.json()
    return payload


def runs(stage: Stage, *, live: bool = False) -> list[dict[str, Any]]:
    """The pipeline runs that were started, oldest first; `live`: only those that have not ended."""
    states = ["queued", "in_progress"] + ([] if live else ["completed", "failed", "stopped", "published", "closed"])
    found = stage.client.call(
        "tasks.get_all_ex",
        type=["controller"],
        status=states,
        only_fields=["id", "status", "name", "created"],
        order_by=["created"],
        search_hidden=True,
    )["tasks"]
    return list(found)


def status_ids(stage: Stage, commit: str) -> list[int]:
    """The ids of a commit's statuses, newest first, as GitHub has them now."""
    return [status.id for status in stage.repository.get_commit(commit).get_statuses()]
