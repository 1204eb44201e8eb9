"""The demo's audits: how each is played. What main promises is looked at, and one issue tells what is not so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from github.Issue import Issue

from sandbox import job, story
from sandbox.job import Job
from sandbox.story import Story, StoryError

EVENT = {"schedule": "30 5 * * 1"}
PROBE: dict[str, str | None] = {"CLEARML_CI_REMOTE_RUN": "first-iteration", "CLEARML_CI_RUN_SCRIPT": "train.py"}
RETRAIN: dict[str, str | None] = {
    "CLEARML_CI_AUDIT_RETRAIN": "2",
    "CLEARML_CI_RUN_SCRIPT": "train.py",
    "CLEARML_CI_RUN_NAME": "train digits",
}


@dataclass(frozen=True)
class Audited:
    """An audit that has ended, its job, and the repository's one issue, if there is one. It has no commit's status."""

    job: Job
    verdict: Mapping[str, Any]
    issue: Issue | None
    event: str = "schedule"
    commit: str = ""
    status: str = ""

    @property
    def comments(self) -> tuple[str, ...]:
        """What the audit tells on GitHub while not all is well."""
        return (self.issue.body,) if self.issue and self.issue.state == "open" else ()

    @property
    def page(self) -> str:
        return self.issue.html_url if self.issue else str(self.verdict["pipeline"]["url"])

    def seen(self, kind: str) -> list[str]:
        """What the findings of a kind are about."""
        return [one["where"]["name"] for one in self.verdict["findings"] if one["kind"] == kind]


@dataclass(frozen=True)
class Planted:
    """What is wrong with a workspace, on purpose: ids of tasks, and a queue's name."""

    second_best: str
    archived_best: str
    probe: str
    unmarked: str
    queue: str


def audit(tale: Story, settings: Mapping[str, str | None] | None = None) -> Audited:
    """One audit of the sample project on the sandbox's agents, to its end; the scheduled job is given no command."""
    tale.tell("the schedule starts an audit")
    of_any_name = {"CLEARML_TASK_NAME": None, **(settings or {})}
    done = job.run(tale.sandbox, event=EVENT, event_name="schedule", settings=of_any_name, command=())
    found = [one for one in tale.repository.get_issues(state="all") if (one.body or "").startswith("<!-- clearml-ci")]
    if len(found) > 1:
        raise StoryError(f"an audit keeps one issue, and there are {len(found)}")
    return Audited(done, story.verdict(tale, done.outputs.get("pipeline_id", "")), found[0] if found else None)


def green(tale: Story) -> Audited:
    """All is well, and main's head runs on an agent today."""
    story.ensure_best(tale)
    return audit(tale, PROBE)


def findings(tale: Story) -> tuple[Planted, Audited]:
    """Two bests, an archived best, a probe left over and its clone, a queue without workers."""
    best, dead = story.ensure_best(tale), _dead_run(tale)
    planted = Planted(
        second_best=_copy(tale, best, name="", archived=False),
        archived_best=_copy(tale, best, name="an older model", archived=True),
        probe=_left_over(tale, dead, marked=True),
        unmarked=_left_over(tale, dead, marked=False),
        queue=f"{tale.sandbox.prefix}-ci-forgotten".lstrip("-"),
    )
    tale.clearml.call("queues.create", name=planted.queue)
    tale.tell("two bests, an archived one, a probe of a dead run and its clone, a queue without workers")
    return planted, audit(tale, {"CLEARML_CI_AUDIT_QUEUES": planted.queue})


def findings_and_repair(tale: Story) -> Audited:
    """The same, and people do what the issue says."""
    planted, audited = findings(tale)
    repair(tale, planted)
    return audited


def repair(tale: Story, planted: Planted) -> None:
    """What people do when they have read the issue."""
    tale.clearml.call("tasks.update_tags", ids=[planted.second_best, planted.archived_best], remove_tags=[job.BEST_TAG])
    tale.clearml.call("tasks.stopped", task=planted.unmarked, force=True)


def _dead_run(tale: Story) -> str:
    """A run of the repository's checks that has ended."""
    project = f"{tale.sandbox.pipeline_project}/{tale.sandbox.repository}/.pipelines/pr_check"
    where = tale.clearml.call("projects.get_all", name=f"^{project}$", search_hidden=True)["projects"]
    made = where[0]["id"] if where else tale.clearml.call("projects.create", name=project)["id"]
    run = str(tale.clearml.call("tasks.create", name="pr_check #0", type="controller", project=made)["id"])
    tale.clearml.call("tasks.started", task=run)
    tale.clearml.call("tasks.failed", task=run)
    return run


def _copy(tale: Story, task: str, *, name: str, archived: bool) -> str:
    """Another task that carries the best tag, as a person would leave it."""
    found = tale.clearml.call("tasks.get_by_id", task=task)["task"]
    made = {key: found[key] for key in ("type", "project", "script", "tags")}
    copy = str(tale.clearml.call("tasks.create", name=name or found["name"], **made)["id"])
    tale.clearml.call("tasks.started", task=copy)
    tale.clearml.call("tasks.completed", task=copy)
    if archived:
        tale.clearml.call("tasks.archive", tasks=[copy])
    return copy


def _left_over(tale: Story, run: str, *, marked: bool) -> str:
    """A task that a run launched, or a person's clone of one, which nobody ended."""
    (project,) = tale.clearml.call("projects.get_all", name=f"^{tale.sandbox.project}$")["projects"]
    task = str(tale.clearml.call("tasks.create", name="probe", type="testing", project=project["id"], parent=run)["id"])
    if marked:
        mark = {"clearml_ci_task": task, "clearml_ci_run": run, "clearml_ci_purpose": "probe"}
        tale.clearml.call("tasks.edit", task=task, runtime=mark)
    tale.clearml.call("tasks.started", task=task)
    return task
