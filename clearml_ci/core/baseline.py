"""Which of the tagged tasks can be compared with, and what has to be said about them. Pure."""

from collections.abc import Sequence

from clearml_ci.core import recorded_task
from clearml_ci.core.recorded_task import RecordedTask


def usable(task: RecordedTask) -> bool:
    """A task that ended well and is not archived. Uncommitted changes are named, but its numbers are the best's."""
    return recorded_task.unfinished(task) is None


def lost(tagged: Sequence[RecordedTask], *, tag: str) -> str | None:
    """Why the best cannot be compared with: that is no first model. Drafts do not count: clones copy tags."""
    if any(usable(task) for task in tagged):
        return None
    for best in tagged:
        if best.archived or best.status not in recorded_task.RUNNING:
            return (
                f"the task with the tag '{tag}' ({best.name}, {best.id}) {recorded_task.unfinished(best)}, "
                "so there is nothing to compare with: restore it, or give the tag to another task"
            )
    return None


def missing(*, tag: str, last: str) -> str:
    """What is wrong where no task carries the tag although a promotion moved it."""
    return (
        f"no task carries the tag '{tag}', which was given to the task {last} by a promotion: the best is missing, so "
        "there is nothing to compare with; give the tag to a task, or run `ci_trigger.py rollback`"
    )


def warnings(
    tagged: Sequence[RecordedTask], counted: Sequence[RecordedTask], *, tag: str, baseline_on_base: bool | None
) -> list[str]:
    """What a reader must know of the tasks that were `counted`, out of all that carry the tag.

    `baseline_on_base`: is their commit on the base branch; None where nobody looked.
    """
    said = []
    bests = sum(map(usable, tagged))
    if bests > 1:
        said.append(f"{bests} tasks carry the tag '{tag}'; the best of them counts.")
    for task in counted:
        if recorded_task.uncommitted(task):
            said.append(f"The best task ({task.name}, {task.id}) has uncommitted changes: nobody can run it again.")
        if baseline_on_base is False:
            said.append(
                f"The best task ({task.name}, {task.id}) ran commit {task.commit[:10]}, "
                "which is not on the base branch."
            )
    return said
