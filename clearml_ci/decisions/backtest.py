"""The outcomes that a policy would have had for the checks and merges of the past, and which would have been wrong."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from clearml_ci.core.gate import Gate
from clearml_ci.core.outcome import HOLDS, Outcome
from clearml_ci.decisions.calibration import Figures
from clearml_ci.parameters.check import Check

RELIABLE = 5  # merges; with fewer the figures are not reliable


UNREADABLE = "the parameters of its run cannot be read"


Points = tuple[tuple[float, float], ...]  # (place, value)


RED, GREEN, UNDECIDED = "red", "green", "undecided"


@dataclass(frozen=True)
class Past:
    """A check of the past, or a merge that was never checked: `check` has its commit and its pull request.

    `at` is the moment up to which it knew ClearML, by the server's clock; `recorded` is its outcome, None if it left
    none. `undone` states how a merge was undone, or is "".
    """

    run: str
    at: datetime
    check: Check
    recorded: Outcome | None = None
    merged: bool = False
    undone: str = ""


@dataclass(frozen=True)
class Point:
    """The value of one gate, and the worst that it would have allowed; None if there was none."""

    gate: Gate
    value: float | None
    limit: float | None


@dataclass(frozen=True)
class Replayed:
    """The outcome of a policy for what was checked in the past; None if it was left out, for the reason `why`.

    `more`: so many more trainings of the commit would have been asked for.
    """

    past: Past
    outcome: Outcome | None
    why: str
    more: int = 0
    points: tuple[Point, ...] = ()

    @property
    def color(self) -> str:
        """`red`, `green` or `undecided`; "" if it was left out."""
        if self.outcome is None:
            return ""
        if self.outcome == Outcome.INCONCLUSIVE:
            return UNDECIDED
        return GREEN if self.outcome in HOLDS else RED


@dataclass(frozen=True)
class Counts:
    """The numbers of checks by the outcome of a policy: `kept` are merges that were never undone."""

    judged: int
    red: int
    green: int
    undecided: int
    merges: int
    red_kept: int
    red_undone: int
    green_undone: int
    undecided_undone: int
    trainings: int

    @property
    def undone(self) -> int:
        """The merges that were undone, of those that were judged."""
        return self.red_undone + self.green_undone + self.undecided_undone


@dataclass(frozen=True)
class Backtest:
    """One policy, called `name`, and its outcomes for the checks of the past, newest first.

    `figures` are those of its gates by the name of the tasks, for the noise as it is known today. So many runs were
    `unreadable`.
    """

    name: str
    check: Check
    replayed: tuple[Replayed, ...]
    figures: dict[str, list[Figures]]
    unreadable: int = 0

    @property
    def counts(self) -> Counts:
        """The numbers of outcomes."""
        judged = [found for found in self.replayed if found.outcome is not None]
        colors = Counter(found.color for found in judged)
        merged = [found for found in judged if found.past.merged]
        undone = Counter(found.color for found in merged if found.past.undone)
        kept = Counter(found.color for found in merged if not found.past.undone)
        return Counts(
            judged=len(judged),
            red=colors[RED],
            green=colors[GREEN],
            undecided=colors[UNDECIDED],
            merges=len(merged),
            red_kept=kept[RED],
            red_undone=undone[RED],
            green_undone=undone[GREEN],
            undecided_undone=undone[UNDECIDED],
            trainings=sum(found.more for found in judged),
        )

    @property
    def left_out(self) -> dict[str, int]:
        """The reasons why checks were left out, each with their number, the most frequent first."""
        reasons = Counter(found.why for found in self.replayed if found.outcome is None)
        if self.unreadable:
            reasons[UNREADABLE] = self.unreadable
        return dict(reasons.most_common())

    @property
    def gates(self) -> tuple[Gate, ...]:
        """The gates that were judged, slices among them."""
        return tuple(dict.fromkeys(point.gate for found in self.replayed for point in found.points))

    def curves(self, gate: Gate) -> tuple[Points, Points]:
        """The gate's values and the worst ones that it would have allowed, by the place of the check, oldest first."""
        points = [
            (place, point)
            for place, found in enumerate(reversed(self.replayed), start=1)
            for point in found.points
            if point.gate == gate
        ]
        return (
            tuple((float(place), point.value) for place, point in points if point.value is not None),
            tuple((float(place), point.limit) for place, point in points if point.limit is not None),
        )

    def limits(self, metric: str) -> Points:
        """The worst values that the first gate of this metric would have allowed, as `curves` has them."""
        gate = next((gate for gate in self.gates if gate.name == metric), None)
        return self.curves(gate)[1] if gate else ()

    @property
    def is_reliable(self) -> bool:
        """False if there are too few merges for the figures."""
        return self.counts.merges >= RELIABLE


@dataclass(frozen=True)
class Difference:
    """A check that two policies would have judged differently."""

    first: Replayed
    second: Replayed


def differences(first: Backtest, second: Backtest) -> list[Difference]:
    """The checks that two policies would have given another color, newest first."""
    others = {found.past.run: found for found in second.replayed}
    pairs = [(found, others[found.past.run]) for found in first.replayed if found.past.run in others]
    return [Difference(found, other) for found, other in pairs if found.color != other.color]


def as_policy(rules: Check, past: Check) -> Check:
    """The check of the past as these rules have it: only its commit and its pull request are its own."""
    return replace(rules, commit=past.commit, pull_request=past.pull_request, facts=past.facts, name=past.name)


def newest_of_commits(checks: Sequence[Past], most: int) -> list[Past]:
    """A check of each commit and pull request, newest first, at most so many: the newest one that left an outcome."""
    found: dict[tuple[str, int], Past] = {}
    for past in checks:
        key = (past.check.commit, past.check.pull_request.number)
        if key not in found or (found[key].recorded is None and past.recorded is not None):
            found[key] = past
    return list(found.values())[:most]
