"""The tasks that carry the tag of the baseline: which can be compared with, and warnings about them."""

from collections.abc import Sequence

from clearml_ci.core import recorded_task
from clearml_ci.core.formatting import count
from clearml_ci.core.recorded_task import RecordedTask


def usable(task: RecordedTask) -> bool:
    """True for a task that was given the tag, ended well and is not archived.

    Uncommitted changes only cause a warning.
    """
    return not task.copied_from and recorded_task.why_unfinished(task) is None


def why_unusable(tagged: Sequence[RecordedTask], *, tag: str) -> str | None:
    """The reason why none of the tagged tasks can be the baseline, or None; without a baseline there is none either.

    Drafts, running tasks and copies do not count: a clone copies the tags of its source.
    """
    if any(usable(task) for task in tagged):
        return None
    for task in (task for task in tagged if not task.copied_from):
        if task.archived or task.status not in recorded_task.RUNNING:
            return (
                f"the baseline, the task with the tag '{tag}' ({task.name}, {task.id}), "
                f"{recorded_task.why_unfinished(task)}: restore it, or give the tag to another task"
            )
    return None


# What a user does about a copied tag.
UNCOPY = "remove the tag from it, or, if it is the new baseline, from that task"


def why_copied(task: RecordedTask, *, tag: str) -> str:
    """The reason why a copied tag does not count."""
    return f"it is a clone of the task {task.copied_from}, whose tag '{tag}' it copied"


def missing(*, tag: str, last: str) -> str:
    """The error that no task carries the tag, although a promotion gave it to the task `last`."""
    return (
        f"no task carries the tag '{tag}', which a promotion gave to the task {last}: "
        "give the tag to a task, or run `ci_trigger.py rollback`"
    )


def warnings(
    tagged: Sequence[RecordedTask], used: Sequence[RecordedTask], *, tag: str, baseline_on_base: bool | None
) -> list[str]:
    """Warnings about the baselines that were `used`, out of all tasks that carry the tag.

    `baseline_on_base`: their commit is on the base branch; None: unknown.
    """
    found = []
    usable_tasks = sum(map(usable, tagged))
    if usable_tasks > 1:
        found.append(f"{count(usable_tasks, 'task')} carry the tag '{tag}': the best value of each metric counts.")
    found += [
        f"{task.name} ({task.id}) does not count: {why_copied(task, tag=tag)}; {UNCOPY}."
        for task in tagged
        if task.copied_from and recorded_task.why_unfinished(task) is None
    ]
    for task in used:
        name = f"The baseline ({task.name}, {task.id})"
        if recorded_task.has_uncommitted_changes(task):
            found.append(f"{name} has uncommitted changes: its run cannot be repeated.")
        if baseline_on_base is False:
            found.append(f"{name} ran commit {task.commit[:10]}, which is not on the base branch.")
    return found
