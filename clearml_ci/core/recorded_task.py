from dataclasses import dataclass

from clearml_ci.core.documents import TaskDocument

SUCCESSFUL = ("completed", "published", "closed")


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


def as_document(task: RecordedTask) -> TaskDocument:
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
