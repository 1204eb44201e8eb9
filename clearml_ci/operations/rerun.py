"""Recognize a rerun, who started it, and which parameters they changed.

A run is the job's own only if it carries the job's mark (`started_runs`), has its `Args`, and has not reported yet. All
others are reruns, and are shown as a difference to what the job started. That is in the mark of the original run, and
in `_context`, which clones copy, if the original was reset or deleted.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from clearml_ci.clearml_api import pipeline_runs
from clearml_ci.clearml_api.pipeline_runs import START_ARGUMENT, Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import redaction
from clearml_ci.core.documents import RerunDocument
from clearml_ci.core.errors import UsageError, nearest
from clearml_ci.core.formatting import shorten
from clearml_ci.parameters import catalogue, run_arguments
from clearml_ci.parameters.check import NAME, ORIGIN
from clearml_ci.parameters.promotion_mode import UNDOES
from clearml_ci.parameters.run_arguments import CONTEXT

_LONGEST = 40  # characters of a value


_MOST = 5  # changes that are named


_ONE_GATE = ("scalar_title", "scalar_series", "goal")  # without effect if `gates` is set


# They name repository, status, comment, promotion, the label that lets a fork's code run, and the queues that no
# pull-request code may use: a rerun has those of its original.
_KEPT = (CONTEXT, NAME, UNDOES, "run_approval_label", "_controller_queue", "_steps_queue", "_shared_queue")


_KEPT_BY_CHECKS = ("pull_request",)  # a promotion may name another merge, which GitHub has to confirm


@dataclass(frozen=True)
class Rerun:
    """A rerun by a ClearML user. `original` is the id of the job's run, "" if it is gone.

    `before` are the `Args` that the job started, None if they are unknown, `changes` the difference to them, and
    `arguments` those that the rerun is judged by.
    """

    original: str
    by: str
    changes: tuple[str, ...]
    before: Mapping[str, str] | None
    arguments: Mapping[str, str]

    @property
    def stamp(self) -> str:
        """`rerun by Ada with threshold_percent 3 → 5`."""
        more = [f"{len(self.changes) - _MOST} more"] if len(self.changes) > _MOST else []
        what = f"with {', '.join([*self.changes[:_MOST], *more])}" if self.changes else "with nothing changed"
        if self.before is None:
            what = "with changes that are unknown"
        elif not self.original:  # its own copy states what it was started with, which users can edit as well
            what += ", by its own copy of the first parameters"
        return f"rerun by {self.by or 'an unknown user'} {what}"

    @property
    def is_edited(self) -> bool:
        """True unless it is known to ask the same as its original."""
        return bool(self.changes) or self.before is None or not self.original

    @property
    def document(self) -> RerunDocument:
        """The rerun as a verdict carries it."""
        return {"by": self.by, "changes": list(self.changes), "original": self.original, "said": self.stamp}


def of(clearml: ClearML, run: Run, *, step: str) -> Rerun | None:
    """The rerun that this run is; None if it is the job's own. `step` is the task that asks.

    A run that has reported before, to another step than this one, was reset or continued.
    """
    has_reported = run.reported_by not in ("", step)
    if run.started_with is not None and not has_reported and not changes(run.started_with, run.recorded):
        return None
    original, before = _original(clearml, run)
    # Of a run that was reset or continued, the task's user is the job, not who started it again.
    is_own = run.started_with is not None or has_reported
    return Rerun(
        original=original,
        by="" if is_own else run.user,
        changes=tuple(changes(before or {}, run.recorded)) if before else (),
        before=before,
        arguments=_judged_by(before, run.recorded),
    )


def is_edited(clearml: ClearML, run_id: str) -> bool:
    """True for a rerun, unless it is known to have the parameters that the job gave."""
    run = pipeline_runs.read(clearml, run_id)
    found = of(clearml, run, step=run.reported_by)
    return bool(found and found.is_edited)


def judged(clearml: ClearML, run: Run, *, step: str) -> Run:
    """The run with the `Args` that it is judged by."""
    rerun = of(clearml, run, step=step)
    return replace(run, arguments=dict(rerun.arguments)) if rerun else run


def _judged_by(before: Mapping[str, str] | None, recorded: Mapping[str, str]) -> dict[str, str]:
    """The recorded `Args`, but those that a rerun keeps as they were, also if the original lacked them."""
    kept = _kept(before) if before else ()
    edited = {name: text for name, text in recorded.items() if name not in kept}
    if before is None:
        return edited
    return {**edited, **run_arguments.kept_with_start(before, kept)}


def _kept(before: Mapping[str, str]) -> tuple[str, ...]:
    return _KEPT if before.get("action") else (*_KEPT, *_KEPT_BY_CHECKS)


def _original(clearml: ClearML, run: Run) -> tuple[str, Mapping[str, str] | None]:
    """The id of the run that the job started, and its `Args` at the start."""
    if run.started_with is not None:
        return run.id, run.started_with
    origin = run.recorded.get(ORIGIN, "")
    if found := pipeline_runs.started_run(clearml, run, argument=ORIGIN, value=origin) if origin else None:
        return found.id, found.started_with
    return "", run_arguments.started_with(run.recorded)


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """`name old → new` of each parameter that differs, hidden ones at the end; a missing one has its default."""
    first, second = _flat(before), _flat(after)
    found = []
    for name in sorted(dict.fromkeys([*second, *first]), key=lambda name: name.startswith("_")):
        old, new = (values.get(name, _default(name)) for values in (first, second))
        if old is not None and new is not None and old.strip() != new.strip():
            found.append(f"{name} {_shown(old)} → {_shown(new)}")
    return found


def _flat(arguments: Mapping[str, str]) -> dict[str, str]:
    """The parameters, with a name of its own for each that `_context` has; without the key of the request."""
    named = {name: text for name, text in arguments.items() if name not in (CONTEXT, START_ARGUMENT)}
    known = run_arguments.parsed(arguments.get(CONTEXT, ""))
    if known is None:
        return {**named, CONTEXT: arguments.get(CONTEXT, "")}
    items = {name: value for name, value in known.items() if name != run_arguments.STARTED_WITH}
    return {**named, **{f"{CONTEXT}.{name}": _text(value) for name, value in items.items()}}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _default(name: str) -> str | None:
    """None if no pipeline has a parameter of this name: then it has no effect."""
    if name.startswith(CONTEXT):
        return ""
    return catalogue.parameter(name).argument if catalogue.is_argument(name) else None


def _shown(value: str) -> str:
    return shorten(" ".join(redaction.mask(value).split()) or "(empty)", _LONGEST)


def edits(run: Run, changes: Sequence[str]) -> dict[str, str]:
    """`name=value` texts as a rerun's changed parameters.

    Raises UsageError for names that the run does not have, and for those that would change nothing.
    """
    known = [name for name in run.arguments if not name.startswith("_")]
    if CONTEXT not in run.arguments:
        raise UsageError(f"{run.id} is no run of ClearML CI: give the id of a pipeline run (`ClearML run: .../<id>`)")
    edited = {}
    for text in changes:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"'{text}' is no name=value: write the change as threshold_percent=5")
        if name.strip() not in known:
            raise UsageError(f"no parameter '{name.strip()}'{nearest(name.strip(), known, what='parameters')}")
        edited[name.strip()] = value
        if name.strip() in _kept(run.arguments):
            raise UsageError(f"{name.strip()} has no effect: a rerun has that of its first run; leave it out")
    _refuse_without_effect({**run.arguments, **edited}, edited=edited)
    return edited


def _refuse_without_effect(arguments: Mapping[str, str], *, edited: Iterable[str]) -> None:
    for name in edited if arguments.get("gates", "").strip() else ():
        if name in _ONE_GATE:
            raise UsageError(f"{name} has no effect: this run's gates are in `gates`; edit that")
