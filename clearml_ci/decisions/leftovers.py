"""What dead runs left behind: tasks that still wait or run although their run has ended. Pure.

A task is ours when its mark names itself and its run; the run must be one of this repository's. Nothing else is ever
stopped, because a workspace is shared with people and with other repositories' checks.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clearml_ci.decisions.audit_findings import FINDING, Finding, Where

_WHAT = {
    "probe": "a probe",
    "tests": "a test run",
    "training": "a training run",
    "step": "a step",
    "run": "a controller",
}


@dataclass(frozen=True)
class LiveTask:
    """A task that is queued or in progress. `run` and `purpose` are its mark's, empty where it carries none."""

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


@dataclass(frozen=True)
class KnownRun:
    """A run of one of this repository's pipelines, as far as it is still there."""

    id: str
    ended: bool


@dataclass(frozen=True)
class Leftover:
    """`marked`: it may be stopped."""

    task: LiveTask
    marked: bool
    why: str


def find(live: Iterable[LiveTask], runs: Mapping[str, KnownRun], *, pipelines: str) -> list[Leftover]:
    """The leftovers among `live`.

    `runs` holds those of this repository that the live tasks name; `pipelines` begins the names of its pipelines'
    projects, for tasks whose run was deleted.
    """
    return [found for task in live if (found := _leftover(task, runs, pipelines))]


def finding(leftover: Leftover, *, stopped: bool) -> Finding:
    """What is told about a leftover, and about what was done to it."""
    task = leftover.task
    what = _WHAT.get(task.purpose, "a task")
    said = f"{what} that is still {task.status.replace('_', ' ')} although {leftover.why}"
    if stopped:
        end, do = "it carries our mark and was stopped", "nothing: it is gone"
    elif leftover.marked:
        end, do = "it was left alone", "stop it in ClearML, or run the audit with clean_up: true"
    else:
        end, do = "it does not carry our mark and was left alone", "stop it in ClearML, if nobody needs it"
    kind = "leftover" if leftover.marked else "unmarked_leftover"
    return Finding(kind, FINDING, Where("task", f"{task.project}/{task.name}", task.url), f"{said}; {end}", do)


def _leftover(task: LiveTask, runs: Mapping[str, KnownRun], pipelines: str) -> Leftover | None:
    if task.run == task.id:
        known = task.id in runs and task.superseded_by
        return Leftover(task, True, f"the newer run {task.superseded_by} superseded it") if known else None
    if task.run:
        run = runs.get(task.run)
        if run is None and task.project.startswith(pipelines):
            return Leftover(task, True, f"its run {task.run} is gone")
        return Leftover(task, True, f"its run {run.id} has ended") if run and run.ended else None
    return _unmarked(task, runs, pipelines)


def _unmarked(task: LiveTask, runs: Mapping[str, KnownRun], pipelines: str) -> Leftover | None:
    """Clones of steps and probes keep the parent, but not the mark; a rerun is a child of the first run as well."""
    run = runs.get(task.parent)
    if task.controller or not task.parent:
        return None
    if run and run.ended:
        return Leftover(task, False, f"the run {run.id}, which it belongs to, has ended")
    if not run and task.project.startswith(pipelines):
        return Leftover(task, False, f"the run {task.parent}, which it belongs to, is gone")
    return None
