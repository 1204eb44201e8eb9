"""The evidence for a commit: the recorded task that proves that exactly this commit ran."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice

from clearml_ci.core import recorded_task, repository_url
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.parameters.check import Check

_OWN_PURPOSES = ("run", "step", "schedule")


MOST_RUNS = 50  # of one commit that are a sample


_MOST_LOOKED_AT = 100  # tasks of one commit, if one of them is the candidate: a page


@dataclass(frozen=True)
class Choice:
    """The candidate, if any, and the newer tasks of the commit that are no evidence, each with the reason.

    `doubt` is the reason why the candidate's values decide nothing, empty if they do. `others` are the other clean runs
    of the commit, each with its doubt: newer ones are archived.
    """

    candidate: RecordedTask | None
    rejected: tuple[tuple[RecordedTask, str], ...]
    doubt: str = ""
    others: tuple[tuple[RecordedTask, str], ...] = ()


def _without_doubt(_: RecordedTask) -> str:
    return ""


def choose(
    check: Check,
    tasks: Iterable[RecordedTask],
    *,
    doubt: Callable[[RecordedTask], str] = _without_doubt,
    most: int = 1,
) -> Choice:
    """The first of `tasks` (newest first) that is a clean, successful run of exactly the check's commit.

    `doubt` gives the reason to doubt such a run, or "": a doubtful one is the candidate only if there is no other.
    `most`: so many runs are taken, the candidate included.
    """
    rejected: list[tuple[RecordedTask, str]] = []
    doubtful: tuple[RecordedTask, str] | None = None
    of_commit = enumerate(task for task in tasks if task.commit.lower() == check.commit)
    for number, task in of_commit:
        if reason := objection(check, task):
            rejected.append((task, reason))
        elif not (reason := doubt(task)):
            older = (task for _, task in islice(of_commit, max(0, _MOST_LOOKED_AT - number - 1)))
            others = _runs(check, chain((newer for newer, _ in rejected), older), doubt)
            return Choice(task, tuple(rejected), others=tuple(islice(others, most - 1)))
        else:
            doubtful = doubtful or (task, reason)
    candidate, reason = doubtful or (None, "")
    return Choice(candidate, tuple(rejected), reason)


def _runs(
    check: Check, tasks: Iterable[RecordedTask], doubt: Callable[[RecordedTask], str]
) -> Iterator[tuple[RecordedTask, str]]:
    """The clean, successful runs among tasks of the check's commit, archived ones included, each with its doubt."""
    return ((task, doubt(task)) for task in tasks if objection(check, replace(task, archived=False)) is None)


def without_doubtful(choice: Choice) -> Choice:
    """The choice if this commit can be trained instead: a doubtful candidate is none."""
    if choice.candidate is None or not choice.doubt:
        return choice
    return Choice(None, (*choice.rejected, (choice.candidate, choice.doubt)))


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
    if task.purpose in _OWN_PURPOSES or _is_in_own_pipeline(check, task):
        return "is a step of ClearML CI itself"
    if purpose := recorded_task.PURPOSES.get(task.purpose):
        return f"was launched by a check as {purpose}"
    return recorded_task.why_unusable(task)


def _is_in_own_pipeline(check: Check, task: RecordedTask) -> bool:
    """True for a clone of a step, which has no mark. Pipelines of users, whatever their names, hold real trainings."""
    own = rf"(^|/){re.escape(check.pull_request.repository)}/\.pipelines/(pr_check|promote|audit)$"
    return bool(re.search(own, task.project, re.IGNORECASE))
