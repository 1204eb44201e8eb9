"""Doubt about tasks that were continued: their values may be those of an earlier commit."""

import contextlib
from datetime import datetime

from clearml_ci.clearml_api import task_starts
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import moment
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import continued_task
from clearml_ci.github_api import git_history
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.parameters.check import Check


def doubt(clearml: ClearML, github: GitHub | None, check: Check, task: RecordedTask) -> str:
    """The reason why the values of this task may be those of another commit, or "". Raises ClearMLError."""
    starts = task_starts.count(clearml, task.id)
    return continued_task.doubt(task, committed=_committed(github, check, task.commit), starts=starts)


def _committed(github: GitHub | None, check: Check, commit: str) -> datetime | None:
    """The date of a commit, from GitHub or else as the job read it; None if it is unknown."""
    if github:
        with contextlib.suppress(GitHubError):
            return git_history.committed(github, commit)
    return moment.parse(check.facts.committed.get(commit, ""))
