"""Recognize a rerun, who started it, and which parameters they changed.

The job writes a nonce into the Args of each run that it starts, and clones keep it. The oldest run with the nonce is
the original; later ones are shown as a difference to it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from clearml_ci.clearml_api import pipeline_runs
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import redaction
from clearml_ci.core.documents import RerunDocument
from clearml_ci.core.errors import UsageError, nearest
from clearml_ci.core.formatting import shorten
from clearml_ci.parameters.check import ORIGIN

_LONGEST = 40  # characters of a value


_MOST = 5  # changes that are named


_ONE_GATE = ("scalar_title", "scalar_series", "goal", "threshold_percent")  # ignored if `gates` is set


@dataclass(frozen=True)
class Rerun:
    """A rerun of `original` by a ClearML user; `changes` are those of its visible parameters."""

    original: Run
    by: str
    changes: tuple[str, ...]

    @property
    def stamp(self) -> str:
        """`rerun by Ada with threshold_percent 3 → 5`."""
        more = [f"{len(self.changes) - _MOST} more"] if len(self.changes) > _MOST else []
        what = f"with {', '.join([*self.changes[:_MOST], *more])}" if self.changes else "with nothing changed"
        return f"rerun by {self.by or 'an unknown user'} {what}"

    @property
    def document(self) -> RerunDocument:
        """The rerun as a verdict carries it."""
        return {"by": self.by, "changes": list(self.changes), "original": self.original.id, "said": self.stamp}


def of(clearml: ClearML, run: Run) -> Rerun | None:
    """The rerun that this run is; None if it is the original itself, or the job did not start the original."""
    origin = run.arguments.get(ORIGIN, "")
    original = pipeline_runs.oldest_run(clearml, run, argument=ORIGIN, value=origin) if origin else None
    if original is None or original.id == run.id:
        return None
    return Rerun(original, run.user, tuple(changes(original.arguments, run.arguments)))


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """`name old → new` of each parameter that both runs have and that New run shows."""
    return [
        f"{name} {_shown(before[name])} → {_shown(after[name])}"
        for name in after
        if not name.startswith("_") and before.get(name, after[name]).strip() != after[name].strip()
    ]


def _shown(value: str) -> str:
    return shorten(" ".join(redaction.mask(value).split()) or "(empty)", _LONGEST)


def edits(run: Run, changes: Sequence[str]) -> dict[str, str]:
    """`name=value` texts as a rerun's changed parameters.

    Raises UsageError for names that the run does not have, and for those that would change nothing.
    """
    known = [name for name in run.arguments if not name.startswith("_")]
    if "_context" not in run.arguments:
        raise UsageError(f"{run.id} is no run of ClearML CI: give the id of a pipeline run (`ClearML run: .../<id>`)")
    edited = {}
    for text in changes:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"'{text}' is no name=value: write the change as threshold_percent=5")
        if name.strip() not in known:
            raise UsageError(f"no parameter '{name.strip()}'{nearest(name.strip(), known, what='parameters')}")
        edited[name.strip()] = value
    _refuse_without_effect({**run.arguments, **edited}, edited=edited)
    return edited


def _refuse_without_effect(arguments: Mapping[str, str], *, edited: Iterable[str]) -> None:
    for name in edited if arguments.get("gates", "").strip() else ():
        if name in _ONE_GATE:
            raise UsageError(f"{name} has no effect: this run's gates are in `gates`; edit that")
