"""The scenarios of the scheduled audit, which reports the problems of the default branch in one issue."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from github.Issue import Issue

from sandbox.scenarios import developer, job, story
from sandbox.scenarios.job import Job
from sandbox.scenarios.story import Story, StoryError

EVENT = {"schedule": "30 5 * * 1"}
SCHEDULER_STARTS_WITHIN = timedelta(seconds=60)  # a scheduler that is late for its minute waits a day
SCHEDULED_WITHIN = 180  # seconds
PROBE: dict[str, str | None] = {"CLEARML_CI_REMOTE_RUN": "first-iteration", "CLEARML_CI_RUN_SCRIPT": "train.py"}
RETRAIN: dict[str, str | None] = {
    "CLEARML_CI_AUDIT_RETRAIN": "2",
    "CLEARML_CI_RUN_SCRIPT": "train.py",
    "CLEARML_CI_RUN_NAME": "train digits",
}

BISECT: dict[str, str | None] = {**RETRAIN, "CLEARML_CI_AUDIT_RETRAIN": None, "CLEARML_CI_AUDIT_BISECT": "2"}


@dataclass(frozen=True)
class Audited:
    """An audit that has ended, its job, and the repository's one issue, if there is one. It has no commit's status."""

    job: Job
    verdict: Mapping[str, Any]
    issue: Issue | None
    event: str
    commit: str = ""
    status: str = ""

    @property
    def comments(self) -> tuple[str, ...]:
        """The text of the issue while it is open."""
        return (self.issue.body,) if self.issue and self.issue.state == "open" else ()

    @property
    def page(self) -> str:
        return self.issue.html_url if self.issue else str(self.verdict["pipeline"]["url"])

    def seen(self, kind: str) -> list[str]:
        """Return the names of the objects of all findings of a kind."""
        return [finding["where"]["name"] for finding in self.verdict["findings"] if finding["kind"] == kind]


@dataclass(frozen=True)
class Planted:
    """Problems that a scenario put into a workspace: ids of tasks, and a queue's name."""

    second_best: str
    archived_best: str
    probe: str
    unmarked: str
    queue: str


def audit(tale: Story, settings: Mapping[str, str | None] | None = None) -> Audited:
    """Run one audit of the sample project on the sandbox's agents, to its end; a scheduled job has no command."""
    tale.progress("the workflow's schedule starts an audit")
    return _audit(tale, settings, event=EVENT, event_name="schedule", command=())


def audit_by_hand(tale: Story, settings: Mapping[str, str | None] | None = None) -> Audited:
    """Run the same audit in a job that a user started, and whose event does not name the command."""
    tale.progress("ci_trigger.py audit")
    return _audit(tale, settings, event={}, event_name="workflow_dispatch", command=("audit",))


def _audit(
    tale: Story,
    settings: Mapping[str, str | None] | None,
    *,
    event: Mapping[str, Any],
    event_name: str,
    command: tuple[str, ...],
) -> Audited:
    of_any_name = {"CLEARML_TASK_NAME": None, **(settings or {})}
    done = job.run(tale.sandbox, event=event, event_name=event_name, settings=of_any_name, command=command)
    return _read_back(tale, done, event=event_name)


def rerun(tale: Story, earlier: Audited, *changes: str) -> Audited:
    """Run `ci_trigger.py rerun` in a shell without a GitHub token."""
    run = earlier.job.outputs["pipeline_id"]
    tale.progress(f"ci_trigger.py rerun {run} {' '.join(changes)}")
    shell: dict[str, str | None] = {"GITHUB_TOKEN": None, "GITHUB_EVENT_NAME": None, "GITHUB_EVENT_PATH": None}
    done = job.run(tale.sandbox, event={}, settings=shell, command=("rerun", run, *changes))
    return _read_back(tale, done, event="rerun")


def _read_back(tale: Story, done: Job, *, event: str) -> Audited:
    issues = [
        issue for issue in tale.repository.get_issues(state="all") if (issue.body or "").startswith("<!-- clearml-ci")
    ]
    if len(issues) > 1:
        raise StoryError(f"the repository has more than one audit issue: {len(issues)}")
    verdict = story.verdict(tale, done.outputs.get("pipeline_id", ""))
    return Audited(done, verdict, issues[0] if issues else None, event)


def green(tale: Story) -> Audited:
    """Audit a default branch without problems; its head is probed on an agent."""
    story.ensure_best(tale)
    return audit(tale, PROBE)


def scheduled(tale: Story) -> Audited:
    """Let ClearML's own scheduler start the audit; no job waits, and the run's agent reports."""
    story.ensure_best(tale)
    earlier = _audits(tale)
    with story.another_agent(tale, "services", builds_environments=False) as queue:
        shell = {"CLEARML_TASK_NAME": None, "CLEARML_CI_SERVICES_QUEUE": queue}
        when = f"{_full_minute(datetime.now(timezone.utc) + SCHEDULER_STARTS_WITHIN):%H:%M}"
        tale.progress(f"ci_trigger.py schedule daily {when}")
        done = job.run(tale.sandbox, event={}, settings=shell, command=("schedule", "daily", when))
        try:
            run = _started(tale, earlier) if done.exit_code == 0 else ""
        finally:
            job.run(tale.sandbox, event={}, settings=shell, command=("schedule", "off"))
    story.ended(tale, run)
    return _read_back(tale, replace(done, outputs={"pipeline_id": run}), event="scheduler")


def findings(tale: Story) -> tuple[Planted, Audited]:
    """Audit two bests, an archived best, a leftover probe and its clone, and a queue without workers."""
    best, dead = story.ensure_best(tale), _dead_run(tale)
    planted = Planted(
        second_best=_copy(tale, best, name="", archived=False),
        archived_best=_copy(tale, best, name="an older model", archived=True),
        probe=_left_over(tale, dead, marked=True),
        unmarked=_left_over(tale, dead, marked=False),
        queue=f"{tale.sandbox.prefix}-ci-forgotten".lstrip("-"),
    )
    tale.clearml.call("queues.create", name=planted.queue)
    tale.progress("two bests, an archived one, a probe of a dead run and its clone, a queue without workers")
    return planted, audit_by_hand(tale, {"CLEARML_CI_AUDIT_QUEUES": planted.queue})


def drift(tale: Story) -> Audited:
    """Audit a main whose runs became worse with one of two merges, of which only the second was trained."""
    story.ensure_best(tale)
    tale.laptop.git("fetch", "-q", "origin")
    tale.laptop.git("checkout", "-q", "-B", "main", "origin/main")
    for seed in (4, 5, 6):
        _commit_on_main(tale, f"Note {seed}", seed=seed)
    guilty = developer.commit(tale.laptop, "A tenth of the images will do", dataset_share=0.1)
    for seed in (9, 13):
        _commit_on_main(tale, f"Note {seed}", seed=seed)
    developer.push(tale.laptop)
    audited = audit(tale, BISECT)
    named = [finding["said"] for finding in audited.verdict["findings"] if finding["kind"] == "drift_merge"]
    if not named or not named[0].startswith(guilty[:10]):
        raise StoryError(f"the audit did not name the merge {guilty[:10]}: {named}")
    return audited


def _commit_on_main(tale: Story, message: str, *, seed: int) -> None:
    """Add a commit that changes no training, and train it."""
    developer.commit(tale.laptop, message, files={"NOTES.md": f"{message}\n"})
    story.train(tale, "--seed", str(seed))


def findings_and_repair(tale: Story) -> Audited:
    """Audit the same problems, then do what the issue recommends."""
    planted, audited = findings(tale)
    repair(tale, planted)
    return audited


def repair(tale: Story, planted: Planted) -> None:
    """Remove the problems as the issue recommends."""
    tale.clearml.call("tasks.update_tags", ids=[planted.second_best, planted.archived_best], remove_tags=[job.BEST_TAG])
    tale.clearml.call("tasks.stopped", task=planted.unmarked, force=True)


def _full_minute(moment: datetime) -> datetime:
    """Return the first full minute that is not before the moment."""
    return (moment + timedelta(seconds=59)).replace(second=0, microsecond=0)


def _started(tale: Story, earlier: set[str]) -> str:
    """Wait for an audit that is none of the earlier ones; return its id."""
    deadline = time.monotonic() + SCHEDULED_WITHIN
    while time.monotonic() < deadline:
        for run in _audits(tale) - earlier:
            tale.progress(f"ClearML's scheduler started the audit {run}")
            return run
        time.sleep(1)
    raise StoryError(f"ClearML's scheduler started no audit within {SCHEDULED_WITHIN} s")


def _audits(tale: Story) -> set[str]:
    """Return the ids of the repository's audits that were started."""
    name = f"{tale.sandbox.pipeline_project}/{tale.sandbox.repository}/.pipelines/audit"
    projects = tale.clearml.call("projects.get_all", name=f"^{name}$", search_hidden=True)["projects"]
    if not projects:
        return set()
    query = {"project": [projects[0]["id"]], "type": ["controller"], "only_fields": ["id", "status"]}
    found = tale.clearml.call("tasks.get_all", search_hidden=True, **query)["tasks"]
    return {run["id"] for run in found if run["status"] != "created"}


def _dead_run(tale: Story) -> str:
    """Create a check's run that has ended."""
    name = f"{tale.sandbox.pipeline_project}/{tale.sandbox.repository}/.pipelines/pr_check"
    projects = tale.clearml.call("projects.get_all", name=f"^{name}$", search_hidden=True)["projects"]
    project = projects[0]["id"] if projects else tale.clearml.call("projects.create", name=name)["id"]
    run = str(tale.clearml.call("tasks.create", name="pr_check #0", type="controller", project=project)["id"])
    tale.clearml.call("tasks.started", task=run)
    tale.clearml.call("tasks.failed", task=run)
    return run


def _copy(tale: Story, task: str, *, name: str, archived: bool) -> str:
    """Create another task that carries the best tag, with the metrics of the first."""
    found = tale.clearml.call("tasks.get_by_id", task=task)["task"]
    made = {key: found[key] for key in ("type", "project", "script", "tags")}
    copy = str(tale.clearml.call("tasks.create", name=name or found["name"], **made)["id"])
    tale.clearml.call("tasks.started", task=copy)
    tale.clearml.events([event for title in found["last_metrics"].values() for event in _points(copy, title.values())])
    tale.clearml.call("tasks.completed", task=copy)
    if archived:
        tale.clearml.call("tasks.archive", tasks=[copy])
    return copy


def _points(task: str, series: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return events that give a task the lowest, the highest and the last value of each of these series."""
    return [
        {
            "type": "training_stats_scalar",
            "task": task,
            "iter": iteration,
            "metric": summary["metric"],
            "variant": summary["variant"],
            "value": summary[key],
        }
        for summary in series
        for iteration, key in enumerate(("min_value", "max_value", "value"))
    ]


def _left_over(tale: Story, run: str, *, marked: bool) -> str:
    """Create a running task that an ended run launched, or an unmarked clone of one."""
    (project,) = tale.clearml.call("projects.get_all", name=f"^{tale.sandbox.project}$")["projects"]
    task = str(tale.clearml.call("tasks.create", name="probe", type="testing", project=project["id"], parent=run)["id"])
    if marked:
        mark = {"clearml_ci_task": task, "clearml_ci_run": run, "clearml_ci_purpose": "probe"}
        tale.clearml.call("tasks.edit", task=task, runtime=mark)
    tale.clearml.call("tasks.started", task=task)
    return task
