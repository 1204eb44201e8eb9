"""The history of a model on the default branch: its runs in merge order, and what happened at each merge."""

import statistics
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from clearml_ci.core import moment, slices
from clearml_ci.core.documents import AcceptedEntry
from clearml_ci.core.formatting import listed
from clearml_ci.core.gate import Gate
from clearml_ci.core.merge import Merge
from clearml_ci.decisions import main_drift, main_runs, promotion
from clearml_ci.decisions.main_drift import Drift
from clearml_ci.decisions.main_runs import Merged
from clearml_ci.decisions.promotion import Move
from clearml_ci.decisions.reference_tags import Change
from clearml_ci.parameters.promotion_mode import ROLLBACK

_MOST_SLICES = 5  # of a pattern


@dataclass(frozen=True)
class Entry:
    """A merge with runs: the mean of each gate's values, None without any, and what happened there in words."""

    merged: Merged
    means: tuple[float | None, ...]
    events: tuple[str, ...]


@dataclass(frozen=True)
class History:
    """The history of the tasks of one name, oldest first; `drifts` are those of each gate."""

    name: str
    gates: tuple[Gate, ...]
    entries: tuple[Entry, ...]
    drifts: tuple[tuple[Drift, ...], ...]


def of_model(
    name: str,
    merged: Sequence[Merged],
    gates: Sequence[Gate],
    *,
    carriers: Mapping[str, Collection[str]],
    moves: Sequence[Move] = (),
    changes: Sequence[Change] = (),
    accepted: Sequence[AcceptedEntry] = (),
    seed: str = "",
) -> History:
    """The history of a model whose runs are in merge order.

    `carriers` are the ids of the tasks that carry a tag now, by what it makes of them, such as `baseline`. `moves` and
    `changes` are those of promotions, and `accepted` the accepted losses of checks, newest first.
    """
    known = [_numbered(merge, moves) for merge in merged if merge.runs]
    gates = _first_slices(slices.expanded(tuple(gates), main_runs.reported(known)))
    drifts = tuple(tuple(main_drift.find(known, gate, seed=seed)) for gate in gates)
    entries = [
        Entry(
            merge,
            tuple(_mean(merge, gate, seed) for gate in gates),
            (
                *_promotions(merge, moves),
                *_references(merge, changes),
                *_accepted(merge, accepted),
                *_carried(merge, carriers),
                *(_change(drift) for found in drifts for drift in found if drift.change.at == place),
            ),
        )
        for place, merge in enumerate(known)
    ]
    return History(name, tuple(gates), tuple(entries), drifts)


def _first_slices(gates: Sequence[Gate]) -> list[Gate]:
    """The gates with the first five slices of each pattern: a table has room for no more."""
    seen: Counter[str] = Counter()
    kept = []
    for gate in gates:
        seen[gate.slice_of] += 1
        if not gate.slice_of or seen[gate.slice_of] <= _MOST_SLICES:
            kept.append(gate)
    return kept


def _numbered(merged: Merged, moves: Sequence[Move]) -> Merged:
    """The merge with its pull request, if a promotion recorded it."""
    move = next((move for move in moves if move.to in _ids(merged) and move.pull_request), None)
    if merged.merge.number or move is None:
        return merged
    return replace(merged, merge=Merge(move.merge_commit or move.commit, move.commit, move.pull_request))


def _ids(merged: Merged) -> set[str]:
    return {run.task.id for run in merged.runs}


def _mean(merged: Merged, gate: Gate, seed: str) -> float | None:
    values = main_runs.values(gate, merged, seed=seed)
    return statistics.fmean(values) if values else None


def _promotions(merged: Merged, moves: Sequence[Move]) -> list[str]:
    """`promoted on 2026-11-05`, oldest first."""
    own = [move for move in reversed(moves) if move.state == promotion.MOVED and move.to in _ids(merged)]
    return [f"{'rolled back to' if move.action == ROLLBACK else 'promoted'} on {_day(move.at)}" for move in own]


def _references(merged: Merged, changes: Sequence[Change]) -> list[str]:
    renewed = (change for change in changes if change.renewed and not change.undone)
    own = _ids(merged)
    began = any(own & {*change.after.showed, *change.after.runs} - {*change.before.ids} for change in renewed)
    return ["reference began anew"] if began else []


def _accepted(merged: Merged, entries: Sequence[AcceptedEntry]) -> list[str]:
    """`loss of accuracy/validation accepted by ada`, each gate once: the newest check of the commit counts."""
    commits = {run.task.commit for run in merged.runs}
    newest = next((entry for entry in entries if entry["commit"] in commits), None)
    losses = newest["accepted"] if newest else ()
    return [f"loss of {loss['metric']} accepted by {loss['by']}" for loss in losses]


def _carried(merged: Merged, carriers: Mapping[str, Collection[str]]) -> list[str]:
    return [kind for kind, ids in carriers.items() if not _ids(merged).isdisjoint(ids)]


def _change(drift: Drift) -> str:
    which = "better" if drift.gain > 0 else "worse"
    names = listed([str(merged.merge) for merged in drift.merges], most=2, separator=", ")
    among = f", with one of {names}" if len(drift.merges) > 1 else ""
    return f"{drift.gate.name} {which} by {abs(drift.gain):.3g}{among}"


def _day(text: str) -> str:
    at = moment.parse(text)
    return at.date().isoformat() if at else "an unknown day"
