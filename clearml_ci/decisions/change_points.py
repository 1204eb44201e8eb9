"""Change points: the places at which the mean of a series of noisy values changed for good.

E-divisive means with t tests. A split is scored by the energy distance of its two sides (Matteson and James, "A
Nonparametric Approach for Multiple Change Point Analysis of Multivariate Data", https://arxiv.org/abs/1306.4933,
equations 2 to 5, with the exponent 1). Student's t test takes the place of their permutation test, which needs random
numbers and many values, and weak points are found first and removed afterwards, so that a strong change beside a weak
one is not missed (Fleming et al., "Hunter: Using Change Point Detection to Hunt for Performance Regressions",
https://arxiv.org/abs/2301.03034, section 3).
"""

import itertools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from clearml_ci.core import noise, student

FEWEST = 2  # values of a level: one alone may have collapsed


# The p value of a change among 30 values, and how it falls with their number: constant noise looks like a loss in 5 %
# of series, and like a gain in 5 %, by tools/bench_drift.py.
_LEVEL, _FALL = 0.0065, 0.6


_WEAK = 10  # times the final p value: points that are found first, as in Hunter


_FAR = 6.0  # twice the logarithm of a likelihood ratio: see tools/bench_drift.py for how often the place lies within it


CREDIBLE = 0.01  # the one-sided p value of a difference at a place that is known, as of a check's loss


Groups = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Change:
    """A change of the mean, from the values of the level `before` to those `after`.

    The level after it begins with the group `at`, and with a confidence of 95 % with one from `first` to `last`.
    """

    at: int
    first: int
    last: int
    before: tuple[float, ...]
    after: tuple[float, ...]

    @property
    def difference(self) -> float:
        """The mean after the change, less that before it."""
        return statistics.fmean(self.after) - statistics.fmean(self.before)


def find(groups: Groups) -> list[Change]:
    """The changes in a series, first to last: of finite values, in groups between which alone it may change.

    A group is the runs of one commit. Groups may be empty.
    """
    filled = [number for number, group in enumerate(groups) if group]
    values = [value for number in filled for value in groups[number]]
    starts = dict(
        zip(itertools.accumulate((len(groups[number]) for number in filled), initial=0), filled, strict=False)
    )
    places = list(starts)[1:]
    level = final_level(len(values))
    points = _strong(values, places, _weak(values, places, _WEAK * level), level)
    return [_change(values, starts, places, *around) for around in _with_neighbours(points, len(values))]


def lasts(change: Change, newest: Sequence[float]) -> bool:
    """True if the values of the newest level are credibly, at 99 %, still on that side of what was before a change."""
    since = statistics.fmean(newest) - statistics.fmean(change.before)
    return since * change.difference > 0 and p_value(change.before, newest) / 2 <= CREDIBLE


def final_level(number: int) -> float:
    """The p value below which the best split of so many values is a change: the more splits, the smaller."""
    return _LEVEL * math.pow(30 / max(1, number), _FALL)


def p_value(left: Sequence[float], right: Sequence[float]) -> float:
    """The two-sided p value of Student's t test for the means of two samples, with the noise of the house.

    No spread below the smallest step of the metric is believed: values that all are the same have one.
    """
    spread, means = noise.pooled([left, right]), (statistics.fmean(left), statistics.fmean(right))
    if not spread.df or math.isclose(*means, rel_tol=1e-9):
        return 1.0
    return 2 * student.cdf(-abs(means[0] - means[1]) / spread.standard_error(len(left), len(right)), spread.df)


def divergences(values: Sequence[float]) -> list[float]:
    """The scaled energy distance of the two sides of each split, Q in equation 5; 0 if a side has one value.

    Item `n` is that of the first `n` values and the others.
    """
    number = len(values)
    to_left = [sum(abs(value - other) for other in values[:place]) for place, value in enumerate(values)]
    to_right = [sum(abs(value - other) for other in values[place + 1 :]) for place, value in enumerate(values)]
    within_left = [0.0, *itertools.accumulate(to_left)]
    within_right = [*itertools.accumulate(reversed(to_right), initial=0.0)][::-1]
    found = [0.0] * number
    for left in range(FEWEST, number - FEWEST + 1):
        right = number - left
        across = within_left[-1] - within_left[left] - within_right[left]
        energy = 2 * across / (left * right)
        energy -= within_left[left] / math.comb(left, 2) + within_right[left] / math.comb(right, 2)
        found[left] = left * right / number * energy
    return found


def _weak(values: Sequence[float], places: Sequence[int], level: float) -> list[int]:
    """The places of all splits of splits whose sides differ at this level."""
    found, parts = [], [(0, len(values))]
    while parts:
        start, end = parts.pop()
        allowed = [place for place in places if start + FEWEST <= place <= end - FEWEST]
        if not allowed:
            continue
        score = divergences(values[start:end])
        place = max(allowed, key=lambda place: score[place - start])
        if p_value(values[start:place], values[place:end]) <= level:
            found.append(place)
            parts += [(start, place), (place, end)]
    return sorted(found)


def _strong(values: Sequence[float], places: Sequence[int], points: Sequence[int], level: float) -> list[int]:
    """Those of these points that are left after the weakest is removed, again and again, until none is above a level.

    Each point is first moved to the best place between its neighbours: it was found before they were.
    """
    while points := _moved(values, places, points):
        tested = [p_value(values[a:b], values[b:c]) for a, b, c in _with_neighbours(points, len(values))]
        weakest = max(range(len(points)), key=tested.__getitem__)
        if tested[weakest] <= level:
            break
        points = [*points[:weakest], *points[weakest + 1 :]]
    return points


def _moved(values: Sequence[float], places: Sequence[int], points: Sequence[int]) -> list[int]:
    """The points at those places between their neighbours that leave the least squares within both sides."""
    found = list(points)
    for number in range(len(found)):
        start, _, end = list(_with_neighbours(found, len(values)))[number]
        within = _squares_within(values, [p for p in places if start + FEWEST <= p <= end - FEWEST], start, end)
        found[number] = min(within, key=within.__getitem__, default=found[number])
    return sorted(found)


def _with_neighbours(points: Sequence[int], number: int) -> Iterator[tuple[int, int, int]]:
    """Each point between those before and after it, or the ends of so many values."""
    ends = [0, *points, number]
    return zip(ends, ends[1:], ends[2:], strict=False)


def _change(
    values: Sequence[float], starts: Mapping[int, int], places: Sequence[int], start: int, place: int, end: int
) -> Change:
    """The change at a place, between its neighbours `start` and `end`, and the groups with which it may have begun."""
    within = _squares_within(values, [other for other in places if start < other < end], start, end)
    smallest = noise.resolution(values[start:end]) ** 2
    near = [
        other
        for other, squares in within.items()
        if other == place or (end - start) * math.log((squares + smallest) / (within[place] + smallest)) <= _FAR
    ]
    return Change(
        starts[place], starts[min(near)], starts[max(near)], tuple(values[start:place]), tuple(values[place:end])
    )


def _squares_within(values: Sequence[float], places: Sequence[int], start: int, end: int) -> dict[int, float]:
    """The squared distances from the means of both sides, summed up, for a split at each of these places."""
    mean = statistics.fmean(values[start:end])
    centred = [value - mean for value in values[start:end]]
    sums = [0.0, *itertools.accumulate(centred)]
    total = math.fsum(value * value for value in centred)
    return {
        place: max(
            0.0,
            total - sums[place - start] ** 2 / (place - start) - (sums[-1] - sums[place - start]) ** 2 / (end - place),
        )
        for place in places
    }
