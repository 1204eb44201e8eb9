"""The acts of a scenario: propose a change, train it, let CI check it, and read the results from the servers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from github.PullRequest import PullRequest
from github.Repository import Repository

from sandbox.runtime import agents, github_access, laptop
from sandbox.runtime.agents import AgentSpec
from sandbox.runtime.clearml_access import Client
from sandbox.runtime.laptop import Laptop
from sandbox.runtime.state import Sandbox
from sandbox.scenarios import developer, job
from sandbox.scenarios.job import Job, OnLine, Running

APPROVAL_LABEL = "run-remote"
INITIALIZED = "CLI"  # what `Task.init` of clearml 2.1 writes into a task's runtime once it has marked it as started
TAKEN_WITHIN = 60  # seconds until an agent has taken a task that nothing hinders
ENDED_WITHIN = 120  # seconds until a run has ended by itself


class StoryError(Exception):
    """The servers lack something that a check must have left there."""


class NoVerdictError(StoryError):
    """A pipeline run without a verdict."""


@dataclass(frozen=True)
class Story:
    """One sandbox, its repository and a developer's laptop. `progress` is called with a line for each act."""

    sandbox: Sandbox
    repository: Repository
    laptop: Laptop
    clearml: Client
    progress: Callable[[str], None]


@dataclass(frozen=True)
class Checked:
    """A pull request after its last check, read back from the servers; `earlier` are the jobs before that one."""

    pull: PullRequest
    commit: str
    event: str
    job: Job
    verdict: Mapping[str, Any]
    comments: tuple[str, ...]
    status: str
    earlier: tuple[Job, ...] = ()

    @property
    def page(self) -> str:
        """The address of the pull request's page."""
        return self.pull.html_url


def begin(sandbox: Sandbox, progress: Callable[[str], None]) -> Story:
    github = github_access.connect(sandbox.github.api_url, sandbox.github.owner_token)
    repository = github.get_repo(sandbox.repository)
    clone = laptop.clone(repository, sandbox.directory / "developer" / "laptop", sandbox.clearml, sandbox.python)
    return Story(sandbox, repository, clone, Client(sandbox.clearml), progress)


def outsider(story: Story, login: str) -> Story:
    """Return the same story for a fork contributor, who may not write to the repository."""
    hub = story.sandbox.github
    github = github_access.connect(hub.api_url, github_access.token(hub, "pat", login=login))
    repository = github.get_repo(story.sandbox.repository)
    fork = repository.create_fork()
    sandbox = story.sandbox
    clone = laptop.clone(fork, sandbox.directory / "developer" / login, sandbox.clearml, story.laptop.python)
    return replace(story, repository=repository, laptop=clone)


def propose(
    story: Story,
    branch: str,
    message: str,
    *,
    trained: bool = True,
    files: Mapping[str, str] | None = None,
    base: str = "main",
    **training: Any,
) -> PullRequest:
    """Open a pull request of a branch of `base` with one commit that changes files and training parameters.

    With `trained` it is trained on the laptop first.
    """
    developer.branch(story.laptop, branch, base=base)
    push(story, message, trained=trained, files=files, **training)
    return developer.open_pull_request(story.repository, story.laptop, title=message, branch=branch, base=base)


def push(
    story: Story, message: str, *, trained: bool = True, files: Mapping[str, str] | None = None, **training: Any
) -> str:
    """Add a commit to the laptop's branch, and push it; return its hash."""
    commit = developer.commit(story.laptop, message, files=files, **training)
    if trained:
        train(story)
    developer.push(story.laptop)
    return commit


def train(story: Story, *arguments: str) -> None:
    story.progress(f"training {developer.head(story.laptop)[:8]} on the developer's machine {' '.join(arguments)}")
    developer.train(story.laptop, *arguments)


def label(story: Story, pull: PullRequest, name: str = APPROVAL_LABEL) -> None:
    """Put a label on the pull request as a maintainer, an hour after its last push, for the first time or anew."""
    if pull.head.repo:
        developer.age_pushes(pull.head.repo, seconds=3600)
    story.progress(f"a maintainer puts the label '{name}' on pull request #{pull.number}")
    issue = story.repository.get_issue(pull.number)
    if name in [existing.name for existing in issue.labels]:
        issue.remove_from_labels(name)
    issue.add_to_labels(name)


def comment(story: Story, pull: PullRequest, text: str) -> None:
    """Comment on a pull request, as the account of this story: a maintainer's or an outsider's."""
    story.repository.get_issue(pull.number).create_comment(text)


def check(
    story: Story,
    pull: PullRequest,
    *,
    action: str = "opened",
    event_name: str = "pull_request",
    settings: Mapping[str, str | None] | None = None,
    command: tuple[str, ...] = ("pr",),
    on_line: OnLine | None = None,
) -> Checked:
    """Check the pull request as it stands, to the end of its run. `on_line` as in job.run."""
    story.progress(f"ci_trigger.py checks pull request #{pull.number} ({action})")

    def report(line: str, running: Running) -> None:
        story.progress(f"  | {line}")
        if on_line:
            on_line(line, running)

    event = job.pull_request_event(story.sandbox, pull, action=action)
    done = job.run(
        story.sandbox, event=event, event_name=event_name, settings=settings, command=command, on_line=report
    )
    if "outcome" not in done.outputs:  # the job did not wait
        ended(story, done.outputs["pipeline_id"])
    return read_back(story, pull, done, event=event_name)


def read_back(story: Story, pull: PullRequest, done: Job, *, event: str) -> Checked:
    """Read the results of a job. `commit` is the pull request's head; the status may be that of its merge."""
    verdict = _verdict(story, done)
    return Checked(
        pull=pull,
        commit=story.repository.get_pull(pull.number).head.sha,
        event=event,
        job=done,
        verdict=verdict,
        comments=comments(pull),
        status=status(story, pull, verdict["told_at"]),
    )


def comments(pull: PullRequest) -> tuple[str, ...]:
    """Return the comments of CI on the pull request: those of users are commands."""
    return tuple(comment.body for comment in pull.get_issue_comments() if not comment.body.startswith("/"))


def ended(story: Story, run: str) -> str:
    """Wait for the end of a pipeline run; return its status."""
    deadline = time.monotonic() + ENDED_WITHIN
    while time.monotonic() < deadline:
        [task] = story.clearml.call("tasks.get_all", id=[run], only_fields=["status"], search_hidden=True)["tasks"]
        if task["status"] not in ("created", "queued", "in_progress"):
            return str(task["status"])
        time.sleep(0.3)
    raise StoryError(f"pipeline run {run} has not ended within {ENDED_WITHIN} s")


def _verdict(story: Story, done: Job) -> dict[str, Any]:
    """Return the run's verdict; if it was stopped before it had one, the job's."""
    try:
        return verdict(story, done.outputs.get("pipeline_id", ""))
    except NoVerdictError:
        reported: dict[str, Any] = json.loads(done.outputs["verdict_json"])
        return reported


def status(story: Story, pull: PullRequest, commit: str) -> str:
    """Return the state of the check's status, whose name depends on the base branch."""
    own = "ClearML CI" if pull.base.ref == story.repository.default_branch else f"ClearML CI ({pull.base.ref})"
    statuses = story.repository.get_commit(commit).get_combined_status().statuses
    state = next((status.state for status in statuses if status.context == own), "pending")
    return "failure" if state == "error" else state


def verdict(story: Story, pipeline_id: str) -> dict[str, Any]:
    """Return the JSON artifact "verdict" of a pipeline run."""
    if not pipeline_id:
        raise StoryError("the trigger named no pipeline run: read its log above")
    task = story.clearml.call("tasks.get_by_id", task=pipeline_id)["task"]
    artifacts = {artifact["key"]: artifact for artifact in task.get("execution", {}).get("artifacts", [])}
    if "verdict" not in artifacts:
        raise NoVerdictError(f"pipeline run {pipeline_id} ({task['status']}) carries no verdict")
    document: dict[str, Any] = json.loads(story.clearml.download(artifacts["verdict"]["uri"]))
    return document


def ensure_best(story: Story, tag: str = job.BEST_TAG) -> str:
    """Return the id of the task with the best tag; if there is none, train main and tag its task."""
    best = tagged_best(story, tag)
    if not best:
        story.laptop.git("checkout", "-q", "--detach", "origin/main")
        train(story)
        best = tasks_of(story, developer.head(story.laptop))[:1]
        story.clearml.call("tasks.update_tags", ids=best, add_tags=[tag])
        story.progress(f'tagged the task of main "{tag}", by hand')
    return best[0]


def tagged_best(story: Story, tag: str = job.BEST_TAG) -> list[str]:
    """Return the ids of all tasks of the project that carry the best tag."""
    return _task_ids(story, tags=[tag])


def tasks_of(story: Story, commit: str) -> list[str]:
    """Return the ids of the project's tasks that ran a commit, newest first."""
    return _task_ids(story, _all_=_of(commit), order_by=["-created"])


def launched(story: Story, commit: str) -> str:
    """Wait for a task whose script an agent runs for a commit; return its id.

    `Task.init` marks its task as started, whatever ended it since the agent took it, and writes the runtime afterwards.
    """
    fields = ["id", f"runtime.{INITIALIZED}"]
    query = {"_all_": _of(commit), "status": ["in_progress"], "only_fields": fields, "search_hidden": True}
    deadline = time.monotonic() + TAKEN_WITHIN
    while time.monotonic() < deadline:
        for task in story.clearml.call("tasks.get_all", **query)["tasks"]:
            if INITIALIZED in task.get("runtime", {}):
                return str(task["id"])
        time.sleep(0.3)
    raise StoryError(f"no agent ran commit {commit} within {TAKEN_WITHIN} s")


@contextmanager
def another_agent(
    story: Story, name: str, *, builds_environments: bool, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run an agent beside those of the sandbox, on a queue of its own; yield the name of that queue."""
    sandbox = story.sandbox
    queue = f"{sandbox.prefix}-{name}".lstrip("-")
    spec = AgentSpec(
        name,
        queue,
        builds_environments=builds_environments,
        environment=environment or {},
        poll_seconds=sandbox.poll_seconds,
        command=sandbox.agent,
    )
    running = agents.start(sandbox.clearml, sandbox.directory / "agents", [spec], progress=story.progress)
    try:
        yield queue
    finally:
        agents.stop(sandbox.clearml, running)


def abort(story: Story, run: str, *, include_steps: bool) -> None:
    """Abort a pipeline run as ClearML's web UI does; older servers do not know the steps' field."""
    story.progress(f"a user aborts the run {run} in ClearML")
    steps = {"include_pipeline_steps": True} if include_steps else {}
    story.clearml.call("tasks.stop", task=run, force=False, status_message="", **steps)


def rerun_in_web_ui(story: Story, run: str, **edits: str) -> str:
    """Send New run of ClearML's web UI with edited parameters; return the id of the new run once it has ended."""
    queue = story.clearml.call("queues.get_all", name=f"^{story.sandbox.queues.controllers}$", only_fields=["id"])
    rerun = story.clearml.call(
        "pipelines.start_pipeline",
        task=run,
        queue=queue["queues"][0]["id"],
        args=[{"name": name, "value": value} for name, value in edits.items()],
        verify_watched_queue=True,
    )["pipeline"]
    deadline = time.monotonic() + TAKEN_WITHIN
    while time.monotonic() < deadline:
        query = {"id": [rerun], "only_fields": ["status"], "search_hidden": True}
        if story.clearml.call("tasks.get_all", **query)["tasks"][0]["status"] not in ("queued", "in_progress"):
            return str(rerun)
        time.sleep(0.5)
    raise StoryError(f"the rerun {rerun} did not end within {TAKEN_WITHIN} s")


def unfinished(story: Story) -> list[str]:
    """Return the ids of all queued or running tasks of this sandbox: runs, steps, and launched tasks."""
    found = story.clearml.call(
        "tasks.get_all_ex",
        status=["queued", "in_progress"],
        only_fields=["id", "name", "project.name"],
        search_hidden=True,
    )["tasks"]
    return [task["id"] for task in found if story.sandbox.prefix in str(task)]


def _of(commit: str) -> dict[str, Any]:
    return {"fields": ["script.version_num"], "pattern": f"^{commit}$"}


def _task_ids(story: Story, **query: Any) -> list[str]:
    projects = story.clearml.call("projects.get_all", name=f"^{story.sandbox.project}$", only_fields=["id"])
    ids = [project["id"] for project in projects["projects"]]
    if not ids:
        return []
    answer = story.clearml.call("tasks.get_all", project=ids, only_fields=["id"], **query)
    return [task["id"] for task in answer["tasks"]]


def save_comment(comments: Iterable[str], path: Path) -> None:
    path.write_text("\n\n---\n\n".join(comments) + "\n")
