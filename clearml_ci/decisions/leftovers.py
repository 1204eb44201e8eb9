"""Leftovers: tasks and drafts that stay although the run that made them has ended, and runs that died.

Only tasks that carry the mark of a run of this repository may be stopped: the workspace is shared with users and with
the checks of other repositories.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from clearml_ci.core import moment
from clearml_ci.core.formatting import duration
from clearml_ci.decisions.audit_findings import FINDING, NOTE, Finding, Subject
from clearml_ci.decisions.stale_checks import is_dead

_SETTLED = timedelta(minutes=1)  # after the end of a run, for the last changes of what was just starting


_PURPOSES = {
    "probe": "a probe",
    "tests": "a test run",
    "training": "a training run",
    "step": "a step",
    "run": "a controller",
    "draft": "an unfinished draft",
}


@dataclass(frozen=True)
class LiveTask:
    """A task that is queued or in progress. `run` and `purpose` are those of its mark, empty if it carries none.

    `silent` are the seconds since its last sign of life.
    """

    id: str
    name: str
    url: str
    status: str
    project: str
    parent: str
    controller: bool
    run: str
    purpose: str
    superseded_by: str = ""
    started: str = ""  # its first start; these three are times of the server
    completed: str = ""
    status_changed: str = ""
    stopping: bool = False
    silent: float = 0.0


@dataclass(frozen=True)
class Draft:
    """A task that a step made to launch it, and has not enqueued.

    A `complete` one carries the mark of its `run`. Another has only a name of ours: it is `ours` if this agent's user
    made it. `made_in` is the project of the step that made it, empty if that was deleted. A step or a job that gives up
    its run has `archived` the run's probes, also one that was never started.
    """

    id: str
    name: str
    url: str
    project: str
    run: str
    purpose: str
    made_in: str
    complete: bool = True
    ours: bool = True
    archived: bool = False


@dataclass(frozen=True)
class KnownRun:
    """A run of one of this repository's pipelines that was not deleted."""

    id: str
    ended: bool
    ended_at: str = ""  # a time of the server


@dataclass(frozen=True)
class Leftover:
    """A leftover and the reason; `marked`: it carries our mark, so it may be stopped, unless a user `restarted` it."""

    task: LiveTask | Draft
    marked: bool
    why: str
    restarted: bool = False

    @property
    def may_be_stopped(self) -> bool:
        return self.marked and not self.restarted


def find(live: Iterable[LiveTask], runs: Mapping[str, KnownRun], *, pipelines: str) -> list[Leftover]:
    """The leftovers among the `live` tasks.

    `runs` are the runs of this repository that they name. The names of its pipelines' projects begin with `pipelines`,
    which finds the tasks of deleted runs.
    """
    return [found for task in live if (found := _leftover(task, runs, pipelines))]


def find_drafts(drafts: Iterable[Draft], runs: Mapping[str, KnownRun], *, pipelines: str) -> list[Leftover]:
    """The leftovers among the `drafts`; `runs` and `pipelines` as for `find`."""
    return [Leftover(draft, draft.ours, why) for draft in drafts if (why := _why_left(draft, runs, pipelines))]


def finding(leftover: Leftover, *, stopped: bool) -> Finding:
    """The finding about a leftover that was `stopped` or not."""
    task = leftover.task
    state, stop, done = _words(task)
    if stopped:
        reason = "it carries our name" if task.purpose == "draft" else "it carries our mark"
        action, remedy = f"the audit {done} it, because {reason}", "nothing"
    elif leftover.restarted:
        action, remedy = (
            "a user started it again, so the audit did not stop it",
            "stop it in ClearML, unless it is needed",
        )
    elif leftover.marked:
        action, remedy = f"the audit did not {stop} it", f"{stop} it in ClearML, or run the audit with clean_up: true"
    else:
        reason = "another user made it" if isinstance(task, Draft) else "it does not carry our mark"
        action, remedy = f"the audit did not {stop} it, because {reason}", f"{stop} it in ClearML, unless it is needed"
    kind = "leftover" if leftover.marked else "unmarked_leftover"
    subject = Subject("task", f"{task.project}/{task.name}", task.url)
    severity = NOTE if isinstance(task, Draft) and task.archived else FINDING
    return Finding(kind, severity, subject, f"{state} although {leftover.why}; {action}", remedy)


def _words(task: LiveTask | Draft) -> tuple[str, str, str]:
    """The name of a leftover with its state, the verb that ends it, and its past."""
    what = _PURPOSES.get(task.purpose, "a task")
    if isinstance(task, Draft):
        return f"{what} that was never started", "delete", "deleted"
    return f"{what} that is still {task.status.replace('_', ' ')}", "stop", "stopped"


def _why_left(draft: Draft, runs: Mapping[str, KnownRun], pipelines: str) -> str:
    """The reason for which a draft is left over; empty if it is not, or may be another repository's."""
    if run := runs.get(draft.run):
        return f"its run {run.id} has ended" if run.ended else ""
    if draft.made_in.startswith(pipelines):
        return f"its run {draft.run} was deleted"
    return "" if draft.complete or draft.made_in or not draft.ours else "the step that made it was deleted"


def _leftover(task: LiveTask, runs: Mapping[str, KnownRun], pipelines: str) -> Leftover | None:
    if task.run == task.id:
        why = _why_over(task) if task.id in runs else ""
        return Leftover(task, True, why, _is_restarted(task, "")) if why else None
    if task.run:
        run = runs.get(task.run)
        if run is None and task.project.startswith(pipelines):
            return Leftover(task, True, f"its run {task.run} was deleted", _is_restarted(task, ""))
        if not run or not run.ended:
            return None
        return Leftover(task, True, f"its run {run.id} has ended", _is_restarted(task, run.ended_at))
    return _unmarked(task, runs, pipelines)


def _why_over(run: LiveTask) -> str:
    """The reason why a run should not be live any more; "" if there is none."""
    if run.superseded_by:
        return f"the newer run {run.superseded_by} superseded it"
    return f"it has been silent for {duration(run.silent)}" if is_dead(run.status, run.silent) else ""


def _is_restarted(task: LiveTask, run_ended: str) -> bool:
    """True if the task had started before, or ended, and runs or waits anew: only a user does that.

    Not every server records the end of an aborted task. Then it ran before its run ended, and changed after it.
    """
    if task.completed or (task.status == "queued" and task.started):
        return True
    started, changed, ended = (moment.parse(text) for text in (task.started, task.status_changed, run_ended))
    if task.stopping or not (started and changed and ended):
        return False
    return started < ended and changed > ended + _SETTLED


def _unmarked(task: LiveTask, runs: Mapping[str, KnownRun], pipelines: str) -> Leftover | None:
    """A leftover without our mark: a clone of a step or probe, which keeps the parent but not the mark.

    A rerun is no leftover: it is a controller, and a child of the first run as well.
    """
    run = runs.get(task.parent)
    if task.controller or not task.parent:
        return None
    if run and run.ended:
        return Leftover(task, False, f"its run {run.id} has ended")
    if not run and task.project.startswith(pipelines):
        return Leftover(task, False, f"its run {task.parent} was deleted")
    return None
