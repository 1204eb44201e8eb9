"""Continued tasks: what a task reported before it recorded its commit is no evidence for that commit.

`Task.init(continue_last_task=True)` records the present commit, and keeps the task's metrics and its first start.
"""

from datetime import datetime, timedelta

from clearml_ci.core import moment
from clearml_ci.core.recorded_task import RecordedTask

SKEW = timedelta(minutes=5)  # between the clock of the server and the one that dated the commit


_DOUBT = (
    "the task {task} {why}: it may have reported what an earlier commit measured; run this commit in a new task, "
    "without `continue_last_task`"
)


def doubt(task: RecordedTask, *, committed: datetime | None, starts: int | None) -> str:
    """The reason why the values of this task may be those of another commit, or "".

    `committed` is the date of its commit, None if it is unknown; `starts` is how often the SDK started the task, None
    if its console is too long to be read.
    """
    if task.purpose == "training":  # launched for this commit alone
        return ""
    if why := _why(task, committed, starts):
        return _DOUBT.format(task=f"{task.name} ({task.id})", why=why)
    return ""


def _why(task: RecordedTask, committed: datetime | None, starts: int | None) -> str:
    if (starts or 0) > 1:
        return "was continued"
    started = moment.parse(task.started)
    if committed and started and started < committed - SKEW:
        return f"started before its commit {task.commit[:10]} was made, so it was continued"
    if committed is None and starts is None:
        return "may have been continued (GitHub does not give the date of its commit, and its console is too long)"
    return ""
