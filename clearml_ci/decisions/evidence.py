"""Which recorded task proves that this commit ran? Pure: tasks in, a choice and its reasons out."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from clearml_ci.core import repository_url
from clearml_ci.core.recorded_task import PURPOSES, RecordedTask, unusable
from clearml_ci.parameters.check import Check

OWN_STEPS = re.compile(r"/\.pipelines/(pr_check|promote|audit)$")  # other pipelines hold real trainings


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


def objection(check: Check, task: RecordedTask) -> str | None:
    """Why this task of the right commit is no evidence, or None."""
    if not repository_url.is_one_of(task.repository, check.pull_request.repositories):
        return f"ran in another repository ({repository_url.without_credentials(task.repository) or 'none recorded'})"
    if OWN_STEPS.search(task.project):
        return "is a step of ClearML CI itself"
    if task.purpose in ("probe", "tests"):
        return f"was launched by a check, for {PURPOSES[task.purpose]}"
    return unusable(task)
