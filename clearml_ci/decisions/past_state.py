"""The state that checks of the past met: which tasks were baseline and reference at a moment, by what runs recorded."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from clearml_ci.core import moment
from clearml_ci.decisions import promotion, reference_tags
from clearml_ci.decisions.promotion import Move
from clearml_ci.decisions.reference_tags import Carriers, Change


@dataclass(frozen=True)
class Recorded:
    """The records of promotions: their moves, and their changes of references, each with its moment; oldest first."""

    moves: tuple[Move, ...] = ()
    changes: tuple[tuple[datetime, Change], ...] = ()

    def without(self, run: str) -> "Recorded":
        """The same without what this run recorded: its own check could not know it."""
        moves = tuple(move for move in self.moves if move.run != run)
        return Recorded(moves, tuple((at, change) for at, change in self.changes if change.run != run))


def baselines(moves: Iterable[Move], at: datetime, *, model_of: Mapping[str, str]) -> tuple[str, ...] | None:
    """The ids of the tasks that had the tag of these moves, oldest first, at a moment; None without a move.

    `model_of` are the names of the tasks: each name is a model with a baseline of its own.
    """
    by_model: dict[str, list[Move]] = {}
    for move in moves:
        if move.state == promotion.MOVED:
            by_model.setdefault(model_of.get(move.to, ""), []).append(move)
    found = [task for of_model in by_model.values() for task in _tagged(of_model, at)]
    return tuple(dict.fromkeys(found)) if by_model else None


def _tagged(moves: Sequence[Move], at: datetime) -> Sequence[str]:
    """The tasks of one model that had the tag: that of the last move, or those before the first one."""
    before = [move for move in moves if (moved := moment.parse(move.at)) and moved <= at]
    return (before[-1].to,) if before else moves[0].previous


def reference(recorded: Recorded, at: datetime, *, best: str, name: str) -> Carriers | None:
    """The reference of the model of this name at a moment; None without a change."""
    changes = [(when, change) for when, change in recorded.changes if (change.best, change.name) == (best, name)]
    if not changes:
        return None
    undone = {move.undoes: when for move in recorded.moves if move.undoes and (when := moment.parse(move.at))}
    present = changes[0][1].before
    events = [(when, change, False) for when, change in changes if change.made or change.undone]
    events += [(undone[change.run], change, True) for _, change in changes if change.undone and change.run in undone]
    for when, change, is_undone in sorted(events, key=lambda event: event[0]):
        if when > at:
            break
        present = reference_tags.without(change, present) if is_undone else change.after
    return present
