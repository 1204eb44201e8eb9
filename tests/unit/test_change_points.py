"""Where the mean of a series changed: against scipy and ruptures, and what must not be taken for a change."""

import itertools
import math
import random

import pytest
import ruptures
from scipy import stats

from clearml_ci.decisions import change_points
from clearml_ci.decisions.change_points import Change, Groups

BEFORE = (0.950, 0.954, 0.948, 0.951, 0.953, 0.947, 0.952, 0.949, 0.951, 0.950)
AFTER = (0.921, 0.917, 0.919, 0.923, 0.918)


def each(*values: float) -> Groups:
    return [[value] for value in values]


def found(groups: Groups) -> list[int]:
    return [change.at for change in change_points.find(groups)]


def test_find__lower_level__is_found_where_it_begins() -> None:
    (change,) = change_points.find(each(*BEFORE, *AFTER))
    assert (change.at, change.before, change.after) == (10, BEFORE, AFTER)
    assert change.first <= 10 <= change.last
    assert change.difference == pytest.approx(-0.0309, abs=1e-4)


def test_find__down_and_up_again__has_both() -> None:
    assert found(each(*BEFORE, *AFTER, *BEFORE)) == [10, 15]


def test_find__change_within_a_commit__is_none() -> None:
    """Ten runs of one commit differ by their seeds, however far."""
    assert found([[*BEFORE[:5], *AFTER]]) == []
    assert found([[value] for value in BEFORE] + [[*BEFORE[:2], *AFTER]]) == [10]


def test_find__commits_without_values__keep_their_places() -> None:
    groups = [[], *each(*BEFORE), [], [], *each(*AFTER), []]
    (change,) = change_points.find(groups)
    assert (change.at, change.first, change.last) == (13, 13, 13)


@pytest.mark.parametrize(
    "groups",
    [
        pytest.param([], id="no runs"),
        pytest.param([[], []], id="no values"),
        pytest.param(each(0.9), id="one run"),
        pytest.param(each(0.9, 0.1), id="two runs"),
        pytest.param(each(0.9, 0.91, 0.1), id="three runs"),
        pytest.param(each(*[0.95] * 30), id="equal values"),
        pytest.param(each(*[0.0] * 30), id="zeros"),
        pytest.param(each(*BEFORE, 0.1), id="the newest run collapsed"),
        pytest.param(each(*BEFORE[:5], 0.1, *BEFORE[5:]), id="a run collapsed"),
        pytest.param(each(*BEFORE, *BEFORE, *BEFORE), id="the same again"),
        pytest.param(each(*[0.95] * 10, *[0.95 + 1e-12] * 10), id="rounding errors"),
    ],
)
def test_find__nothing_that_lasts__is_no_change(groups: Groups) -> None:
    assert found(groups) == []


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12], ids=["tiny", "ordinary", "huge"])
def test_find__equal_values_and_then_others__is_a_change_without_any_spread(scale: float) -> None:
    assert found(each(*[0.95 * scale] * 10, *[0.9 * scale] * 3)) == [10]


def test_find__two_thousand_runs__ends_in_time_and_has_the_changes() -> None:
    random_ = random.Random(2)  # noqa: S311
    levels = [0.95] * 700 + [0.93] * 700 + [0.96] * 600
    changes = found(each(*(random_.gauss(level, 0.005) for level in levels)))
    assert changes == [700, 1400]


@pytest.mark.parametrize("seed", range(20))
def test_p_value__is_that_of_scipy(seed: int) -> None:
    random_ = random.Random(seed)  # noqa: S311
    left = [random_.gauss(0, 1) for _ in range(random_.randint(2, 30))]
    right = [random_.gauss(random_.choice([0, 1, 3]), 1) for _ in range(random_.randint(1, 30))]
    assert change_points.p_value(left, right) == pytest.approx(stats.ttest_ind(left, right).pvalue, rel=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_divergences__are_those_of_the_formula(seed: int) -> None:
    """Equations 2 to 5 of https://arxiv.org/abs/1306.4933, with the exponent 1, term by term."""
    random_ = random.Random(seed)  # noqa: S311
    values = [random_.gauss(0, 1) for _ in range(12)]

    def mean_distance(pairs: list[tuple[float, float]]) -> float:
        return sum(abs(x - y) for x, y in pairs) / len(pairs)

    for place in range(2, 11):
        left, right = values[:place], values[place:]
        energy = 2 * mean_distance(list(itertools.product(left, right)))
        energy -= sum(mean_distance(list(itertools.combinations(side, 2))) for side in (left, right))
        expected = len(left) * len(right) / 12 * energy
        assert change_points.divergences(values)[place] == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(20))
def test_find__levels_far_apart__are_those_of_ruptures(seed: int) -> None:
    """Its optimal partition by least squares, an algorithm of another kind."""
    random_ = random.Random(seed)  # noqa: S311
    places = sorted(random_.sample(range(1, 8), random_.randint(1, 3)))
    ends = [0, *(10 * place for place in places), 80]
    levels = itertools.accumulate(random_.choice([-8, 8]) for _ in ends[1:])
    values = [
        random_.gauss(level, 1)
        for level, (start, end) in zip(levels, itertools.pairwise(ends), strict=True)
        for _ in range(end - start)
    ]
    expected = ruptures.Dynp(model="l2", min_size=2, jump=1).fit_predict(as_array(values), n_bkps=len(places))
    assert {*expected[:-1]} <= {*found(each(*values))}  # which has a false one in a tenth of series


def as_array(values: list[float]) -> object:
    import numpy as np

    return np.array(values)


def test_final_level__more_values__is_smaller() -> None:
    levels = [change_points.final_level(number) for number in (0, 4, 30, 2000)]
    assert levels == sorted(levels, reverse=True) and all(math.isfinite(level) for level in levels)


def test_change__difference__has_the_sign_of_the_metric() -> None:
    assert Change(1, 1, 1, (1.0, 3.0), (5.0,)).difference == 3.0
