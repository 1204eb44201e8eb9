"""What happens around a pull request: someone proposes a change, trains or not, CI checks it, and the servers tell."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from github.PullRequest import PullRequest
from github.Repository import Repository

from sandbox import developer, job
from sandbox.clearml_access import Client
from sandbox.developer import Laptop
from sandbox.job import Job
from sandbox.state import Sandbox


class StoryError(Exception):
    """The servers do not hold what a check must have left there."""


@dataclass(frozen=True)
class Story:
    """One sandbox in which pull requests come and are checked. `tell` is given each thing that happens."""

    sandbox: Sandbox
    repository: Repository
    laptop: Laptop
    clearml: Client
    tell: Callable[[str], None]


@dataclass(frozen=True)
class Checked:
    """A pull request after its last check, read back from the servers."""

    pull: PullRequest
    commit: str
    event: str
    job: Job
    verdict: Mapping[str, Any]
    comments: tuple[str, ...]
    status: str


def begin(sandbox: Sandbox, tell: Callable[[str], None]) -> Story:
    github = developer.connect(sandbox.github.api_url, sandbox.github.owner_token)
    repository = github.get_repo(sandbox.repository)
    laptop = developer.clone(repository, sandbox.directory / "developer" / "laptop", sandbox.clearml)
    return Story(sandbox, repository, laptop, Client(sandbox.clearml), tell)


def propose(story: Story, branch: str, message: str, *, trained: bool = True, **training: Any) -> PullRequest:
    """A branch with one commit that changes training parameters, trained on the laptop, and its pull request."""
    developer.branch(story.laptop, branch)
    push(story, message, trained=trained, **training)
    return developer.open_pull_request(story.repository, title=message, head=branch)


def push(story: Story, message: str, *, trained: bool = True, **training: Any) -> None:
    """One more commit on the branch of the laptop."""
    developer.commit(story.laptop, message, **training)
    if trained:
        train(story)
    developer.push(story.laptop)


def train(story: Story) -> None:
    story.tell(f"training {developer.head(story.laptop)[:8]} on the developer's machine")
    developer.train(story.laptop)


def check(
    story: Story, pull: PullRequest, *, action: str = "opened", settings: Mapping[str, str | None] | None = None
) -> Checked:
    """CI checks the pull request as it stands."""
    story.tell(f"ci_trigger.py checks pull request #{pull.number} ({action})")
    event = job.pull_request_event(story.repository, pull, action=action)
    done = job.run(story.sandbox, event=event, settings=settings, tell=lambda line: story.tell(f"  | {line}"))
    commit = event["pull_request"]["head"]["sha"]
    return Checked(
        pull=pull,
        commit=commit,
        event="pull_request",
        job=done,
        verdict=verdict(story, done.outputs.get("pipeline_id", "")),
        comments=tuple(comment.body for comment in pull.get_issue_comments()),
        status=story.repository.get_commit(commit).get_combined_status().state,
    )


def verdict(story: Story, pipeline_id: str) -> dict[str, Any]:
    """The JSON artifact "verdict" of a pipeline run, from the ClearML server and its file server."""
    if not pipeline_id:
        raise StoryError("the trigger named no pipeline run; its log is above")
    task = story.clearml.call("tasks.get_by_id", task=pipeline_id)["task"]
    artifacts = {artifact["key"]: artifact for artifact in task.get("execution", {}).get("artifacts", [])}
    if "verdict" not in artifacts:
        raise StoryError(f"pipeline run {pipeline_id} ({task['status']}) carries no verdict")
    document: dict[str, Any] = json.loads(story.clearml.download(artifacts["verdict"]["uri"]))
    return document


def ensure_best(story: Story) -> str:
    """The id of the task with the best tag; where there is none, main is trained and tagged by hand."""
    best = tagged_best(story)
    if not best:
        developer.git(story.laptop, "checkout", "-q", "--detach", "origin/main")
        train(story)
        best = tasks_of(story, developer.head(story.laptop))[:1]
        story.clearml.call("tasks.update_tags", ids=best, add_tags=[job.BEST_TAG])
        story.tell(f'tagged the task of main "{job.BEST_TAG}", by hand')
    return best[0]


def tagged_best(story: Story) -> list[str]:
    """Ids of all tasks of the project that carry the best tag."""
    return _task_ids(story, tags=[job.BEST_TAG])


def tasks_of(story: Story, commit: str) -> list[str]:
    """Ids of the project's tasks that ran a commit, newest first."""
    pattern = {"fields": ["script.version_num"], "pattern": f"^{commit}$"}
    return _task_ids(story, _all_=pattern, order_by=["-created"])


def _task_ids(story: Story, **query: Any) -> list[str]:
    projects = story.clearml.call("projects.get_all", name=f"^{story.sandbox.project}$", only_fields=["id"])
    ids = [project["id"] for project in projects["projects"]]
    if not ids:
        return []
    answer = story.clearml.call("tasks.get_all", project=ids, only_fields=["id"], **query)
    return [task["id"] for task in answer["tasks"]]


def save_comment(checked: Checked, path: Path) -> None:
    path.write_text("\n\n---\n\n".join(checked.comments) + "\n")
