"""A task as ClearML recorded it, as far as decisions need it."""

from dataclasses import dataclass, field

from clearml_ci.core.documents import TaskDocument

SUCCESSFUL = ("completed", "published", "closed")


# The purposes of launches whose tasks are no evidence, in words.
PURPOSES = {"probe": "a probe", "tests": "a test run"}


RUNNING = ("created", "queued", "in_progress", "publishing")


@dataclass(frozen=True)
class RecordedTask:
    """One task. `purpose` is that of the launch that made it: a `training` is evidence, `probe` and `tests` are not.

    `copied_from` is the task whose tag this one copied, by whose tag it was found: empty if it was given the tag.
    `series` is the number of its series, if all of them were read.
    `stamp` is the text that `tag_ranking.parse_stamp` reads: since when, and by which policy, it carries the tag.
    """

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
    purpose: str = ""
    stamp: str = ""  # clones do not copy it
    started: str = ""  # by the server's clock: the first start, if the task was continued
    ended: str = ""  # by the server's clock: the last end, if the task was continued
    created: str = ""
    parent: str = ""  # of a clone: the parent of its source, or else the source
    copied_from: str = ""
    series: int = field(default=0, compare=False)


def as_document(task: RecordedTask) -> TaskDocument:
    """The task as results and verdicts carry it, without its uncommitted changes."""
    return {
        "id": task.id,
        "name": task.name,
        "project": task.project,
        "project_id": task.project_id,
        "commit": task.commit,
        "status": task.status,
        "url": task.url,
    }


def why_unusable(task: RecordedTask) -> str | None:
    """The reason why this task is no evidence for any commit, or None."""
    return why_unfinished(task) or ("has uncommitted changes" if has_uncommitted_changes(task) else None)


def is_clean_run(task: RecordedTask) -> bool:
    """True for a successful run of exactly its commit that is neither a probe nor a test run."""
    return why_unusable(task) is None and task.purpose not in PURPOSES


def has_uncommitted_changes(task: RecordedTask) -> bool:
    """True if the task ran more than its commit; the diff of a training is the added call of Task.init."""
    return bool(task.diff.strip()) and task.purpose != "training"


def why_unfinished(task: RecordedTask) -> str | None:
    """The reason why this task's metrics do not count, or None."""
    if task.archived:
        return "is archived"
    if task.status in RUNNING:
        return f"has not ended yet (status '{task.status}')"
    if task.status not in SUCCESSFUL:
        return f"did not succeed (status '{task.status}')"
    return None
