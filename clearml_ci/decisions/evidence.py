"""The evidence for a commit: the recorded task that proves that exactly this commit ran."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from clearml_ci.core import recorded_task, repository_url
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.parameters.check import Check

OWN_STEPS = re.compile(r"/\.pipelines/(pr_check|promote|audit)$")  # other pipelines hold real trainings


@dataclass(frozen=True)
class Choice:
    """The candidate, if any, and the tasks of the commit that are no evidence, each with the reason."""

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
    """The reason why there is no candidate, in one sentence."""
    place = f"project '{check.project}'" if check.project else "the workspace"
    named = f" named '{check.task_name}'" if check.task_name else ""
    if not choice.rejected:
        return f"no task{named} in {place} recorded a run of this commit"
    reasons = list(dict.fromkeys(reason for _, reason in choice.rejected))
    return f"no task{named} in {place} is a clean, finished run of this commit: one {'; one '.join(reasons)}"


def objection(check: Check, task: RecordedTask) -> str | None:
    """The reason why this task of the checked commit is no evidence, or None."""
    if not repository_url.is_one_of(task.repository, check.pull_request.repositories):
        return f"ran in another repository ({repository_url.without_credentials(task.repository) or 'none recorded'})"
    if OWN_STEPS.search(task.project):
        return "is a step of ClearML CI itself"
    if purpose := recorded_task.PURPOSES.get(task.purpose):
        return f"was launched by a check as {purpose}"
    return recorded_task.why_unusable(task)
