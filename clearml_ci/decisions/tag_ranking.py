"""The ranking of tagged tasks: which one keeps the tag if moves were interrupted or run concurrently.

A ClearML server has no conditional change. These rules keep the tag on at least one task at any time:

- A run stamps a task before it tags it: with the time, and with the policy by which it ranks tasks.
- Then it reads back all tagged tasks, and ranks them by the policy of the newest stamp among them: all runs that read
  the same tasks agree. The run of the winner removes the tag from the others; another run removes only its own.
- A run records in the ledger that it reads back before it does. A run that stamps a task which had a stamp or the tag
  already first waits for the runs that read back: they may have ranked that task lower, and remove its tag.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clearml_ci.core import json_arguments
from clearml_ci.core.gate import Gate, Reported, can_be_trusted, value_of

Rank = tuple[tuple[float, ...], float, str]


@dataclass(frozen=True)
class RankingPolicy:
    """The order of tagged tasks: by the values of these gates, then by their stamps. `mode` is the promotion's."""

    mode: str
    gates: tuple[Gate, ...] = ()


@dataclass(frozen=True)
class Stamp:
    """The time at which a task became the baseline, in seconds, and the policy of that promotion."""

    at: float
    policy: RankingPolicy


Stamps = Mapping[str, Stamp | None]  # by the ids of tasks; None: a user tagged it


def ruling_policy(stamps: Stamps, *, default: RankingPolicy) -> RankingPolicy:
    """The policy of the newest stamp, by which all these tasks are ranked; `default` without a stamp."""
    known = [(stamp.at, task, stamp.policy) for task, stamp in stamps.items() if stamp]
    return max(known, key=lambda stamped: stamped[:2])[2] if known else default


def rank(policy: RankingPolicy, reported: Reported, *, stamp: Stamp | None, task: str) -> Rank:
    """The sort key of a tagged task: the values of the policy's gates, then its stamp."""
    return tuple(_value(gate, reported) for gate in policy.gates), stamp.at if stamp else -math.inf, task


def winner(stamps: Stamps, policy: RankingPolicy, reported: Mapping[str, Reported]) -> str:
    """The tagged task that keeps the tag."""
    return max(stamps, key=lambda task: rank(policy, reported.get(task, {}), stamp=stamps[task], task=task))


def tags_to_remove(tagged: Iterable[str], *, task: str, winner: str) -> list[str]:
    """The tagged tasks from which the run that moves the tag to `task` removes it: all others, or only its own."""
    return [other for other in tagged if (other == task) is (task != winner)]


def _value(gate: Gate, reported: Reported) -> float:
    summary = reported.get(gate)
    if summary is None or not can_be_trusted(gate, summary):
        return -math.inf
    value = value_of(gate, summary)
    return value if gate.goal == "maximize" else -value


def next_stamp(policy: RankingPolicy, present: Iterable[Stamp | None], *, now: float) -> Stamp:
    """A stamp that is later than every one that is `present`, even if clocks differ; `now` is in seconds."""
    return Stamp(max([now, *(stamp.at + 1e-3 for stamp in present if stamp)]), policy)


def stamp_text(stamp: Stamp) -> str:
    """The stamp as text, for `parse_stamp`."""
    return json.dumps(
        {"at": stamp.at, "mode": stamp.policy.mode, "gates": [*map(json_arguments.gate_document, stamp.policy.gates)]}
    )


def parse_stamp(text: str) -> Stamp | None:
    """The stamp of a task; None if it has none, or one that a user edited: then a user tagged it."""
    try:
        read = json.loads(text)
        policy = RankingPolicy(str(read["mode"]), json_arguments.gates(json.dumps(read["gates"])))
        return Stamp(float(read["at"]), policy) if math.isfinite(read["at"]) else None
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
