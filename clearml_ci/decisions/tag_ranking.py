"""Which tagged task keeps the tag of the best, where a move was interrupted or two are made at once? Pure.

Nothing on a ClearML server can be changed on a condition. What holds it together, so that there is never no best:

- A task is stamped before it is tagged: with the moment, and with the rule by which its mover ranks.
- Whoever tagged one reads back all that are tagged, and ranks them by the rule of the newest stamp among them: all who
  see the same ones agree. The highest keeps the tag, and its mover takes it from the others; the mover of another one
  takes only its own away.
- Each says in the ledger that it is settling before it reads back. Whoever stamps a task that had a stamp or the tag
  already first waits for those that are: they may have seen it rank lower, and take the tag from it.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from clearml_ci.core import json_arguments
from clearml_ci.core.gate import Gate, Reported, doubtful_zero, value_of

Rank = tuple[tuple[float, ...], float, str]


@dataclass(frozen=True)
class Rule:
    """How tagged tasks are ranked: by the values of these gates, then by their stamps. `mode` says whose rule it is."""

    mode: str
    gates: tuple[Gate, ...] = ()


@dataclass(frozen=True)
class Stamp:
    """When a task was made the best, in seconds, and by which rule."""

    at: float
    rule: Rule


Stamps = Mapping[str, Stamp | None]  # by the ids of tasks; None where one was tagged by hand


def ruling(stamps: Stamps, *, otherwise: Rule) -> Rule:
    """The rule of the newest of these stamps, by which all of them are ranked; `otherwise` where there is none."""
    known = [(stamp.at, task, stamp.rule) for task, stamp in stamps.items() if stamp]
    return max(known, key=lambda one: one[:2])[2] if known else otherwise


def rank(by: Rule, reported: Reported, *, stamp: Stamp | None, task: str) -> Rank:
    """What orders tagged tasks: in `better` by the gates' values, then, and else only, by their stamps."""
    return tuple(_value(gate, reported) for gate in by.gates), stamp.at if stamp else -math.inf, task


def highest(stamps: Stamps, by: Rule, reported: Mapping[str, Reported]) -> str:
    """The one of these tagged tasks that keeps the tag."""
    return max(stamps, key=lambda task: rank(by, reported.get(task, {}), stamp=stamps[task], task=task))


def losers(tagged: Iterable[str], *, task: str, highest: str) -> list[str]:
    """Those of the tagged ones from which the mover of `task` takes the tag: all others, or only its own."""
    return [one for one in tagged if (one == task) is (task != highest)]


def _value(gate: Gate, reported: Reported) -> float:
    summary = reported.get(gate)
    if summary is None or doubtful_zero(gate, summary) or not math.isfinite(value_of(gate, summary)):
        return -math.inf
    value = value_of(gate, summary)
    return value if gate.goal == "maximize" else -value


def next_stamp(by: Rule, present: Iterable[Stamp | None], *, now: float) -> Stamp:
    """Later than every stamp that is `present`, whatever the clocks of two machines say; `now` is in seconds."""
    return Stamp(max([now, *(stamp.at + 1e-3 for stamp in present if stamp)]), by)


def stamp_text(stamp: Stamp) -> str:
    """What `stamp_of` reads."""
    return json.dumps({"at": stamp.at, "mode": stamp.rule.mode, "gates": [asdict(gate) for gate in stamp.rule.gates]})


def stamp_of(text: str) -> Stamp | None:
    """The stamp of a task; None where it has none, or one that somebody edited: it was tagged by hand."""
    try:
        read = json.loads(text)
        by = Rule(str(read["mode"]), json_arguments.gates(json.dumps(read["gates"])))
        return Stamp(float(read["at"]), by) if math.isfinite(read["at"]) else None
    except (ValueError, TypeError, KeyError):
        return None
