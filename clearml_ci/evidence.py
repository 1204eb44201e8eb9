"""Which recorded task proves that this commit ran? Pure: tasks in, a choice and its reasons out."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from clearml_ci import repository
from clearml_ci.check import Check

SUCCESSFUL = ("completed", "published", "closed")
OWN_STEPS = re.compile(r"/\.pipelines/(pr_check|promote|audit)$")  # other pipelines hold real trainings
PURPOSES = {"probe": "a look at whether it runs", "tests": "its tests"}
RUNNING = ("created", "queued", "in_progress", "publishing")


@dataclass(frozen=True)
class RecordedTask:
    """What ClearML knows of one task, as far as a decision needs it."""

    id: str
    name: str
    project_id: str
    project: str
    status: str
    commit: str
    repository: str
    diff: str
    archived: bool
    url: str
    purpose: str = ""  # what a check launched it for: `training` is evidence, `probe` and `tests` are not
    stamp: str = ""  # since when, and by which rule, it is the best, as `settling` reads it; clones do not copy it


@dataclass(frozen=True)
class Choice:
    """The candidate, if any, and the tasks that came close with the reason why they are none."""

    candidate: RecordedTask | None
    rejected: tuple[tuple[RecordedTask, str], ...]


def choose(check: Check, tasks: Iterable[RecordedTask]) -> Choice:
    """The first of `tasks` (newest first) that is a clean, successful run of exactly the check's commit."""
    rejected: list[tuple[RecordedTask, str]] = []
    for task in tasks:
        if task.commit.lower() != check.commit:
            continue
        reason = objection(check, task)
        if reason is None:
            return Choice(task, tuple(rejected))
        rejected.append((task, reason))
    return Choice(None, tuple(rejected))


def explain(check: Check, choice: Choice) -> str:
    """Why there is no candidate, in one sentence."""
    where = f"project '{check.project}'" if check.project else "the workspace"
    named = f" named '{check.task_name}'" if check.task_name else ""
    if not choice.rejected:
        return f"no task{named} in {where} recorded a run of this commit"
    reasons = list(dict.fromkeys(reason for _, reason in choice.rejected))
    return f"no task{named} in {where} is a clean, finished run of this commit: one {'; one '.join(reasons)}"


def as_document(task: RecordedTask) -> dict[str, str]:
    """A task as results and verdicts carry it: its uncommitted changes stay where they are."""
    return {
        "id": task.id,
        "name": task.name,
        "project": task.project,
        "project_id": task.project_id,
        "commit": task.commit,
        "status": task.status,
        "url": task.url,
    }


def objection(check: Check, task: RecordedTask) -> str | None:
    """Why this task of the right commit is no evidence, or None."""
    if not repository.is_one_of(task.repository, check.pull_request.repositories):
        return f"ran in another repository ({repository.without_credentials(task.repository) or 'none recorded'})"
    if OWN_STEPS.search(task.project):
        return "is a step of ClearML CI itself"
    if task.purpose in ("probe", "tests"):
        return f"was launched by a check, for {PURPOSES[task.purpose]}"
    return unusable(task)


def unusable(task: RecordedTask) -> str | None:
    """Why this task proves nothing about any commit, or None."""
    return unfinished(task) or ("has uncommitted changes" if uncommitted(task) else None)


def uncommitted(task: RecordedTask) -> bool:
    """Did it run something else than its commit? Of a training the diff is the call of Task.init that was added."""
    return bool(task.diff.strip()) and task.purpose != "training"


def unfinished(task: RecordedTask) -> str | None:
    """Why this task has no numbers that count, or None."""
    if task.archived:
        return "is archived"
    if task.status in RUNNING:
        return f"has not ended yet (status '{task.status}')"
    if task.status not in SUCCESSFUL:
        return f"did not succeed (status '{task.status}')"
    return None
