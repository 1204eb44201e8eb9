import math
import random

import pytest
from scipy import stats

from clearml_ci.core import noise
from clearml_ci.core.noise import UNKNOWN, Noise


def draws(count: int, *, mean: float = 0.0, seed: int = 1) -> list[float]:
    draw = random.Random(seed)  # noqa: S311
    return [draw.gauss(mean, 1) for _ in range(count)]


def test_pooled__groups_of_different_means__is_the_error_of_an_analysis_of_variance() -> None:
    first, second = draws(10), draws(5, mean=30, seed=2)
    pooled = noise.pooled([first, second, [7.0], []])
    difference = (sum(first) / 10 - sum(second) / 5) / pooled.standard_error(10, 5)
    assert pooled.df == 13
    assert difference == pytest.approx(stats.ttest_ind(first, second).statistic)


def test_pooled__with_one_more_sample__is_pooled_over_all() -> None:
    first, second = draws(10), draws(5, mean=30, seed=2)
    together, added = noise.pooled([first, second]), noise.pooled([first]).and_values(second)
    assert added.sd == pytest.approx(together.sd)
    assert added.df == together.df
    assert noise.pooled([first]).and_values([3.0]) == noise.pooled([first])
    assert UNKNOWN.and_values([]) == UNKNOWN


@pytest.mark.parametrize("groups", [[], [[]], [[0.9]], [[0.9], [0.8]]])
def test_pooled__no_group_of_two__is_unknown(groups: list[list[float]]) -> None:
    pooled = noise.pooled(groups)
    assert (pooled, pooled.known, pooled.missing) == (UNKNOWN, False, 4)


def test_pooled__runs_of_one_value__has_the_step_of_the_last_digit() -> None:
    assert noise.pooled([[0.95, 0.95]]) == Noise(0.01, 1, 0.01)
    assert UNKNOWN.and_values([0.95] * 5) == Noise(0.01, 4, 0.01)


@pytest.mark.parametrize(
    ("values", "step"),
    [
        pytest.param([0.95], 0.01, id="last digit"),
        pytest.param([0.95, 0.9], 0.05, id="no two values are nearer"),
        pytest.param([0.951, 0.9], 0.051, id="one distance is all that is known"),
        pytest.param([17.0, 1700.0, 18.0], 1.0, id="whole numbers"),
        pytest.param([700 / 719, 699 / 719, 690 / 719, 699 / 719], 1 / 719, id="images of a test set"),
        pytest.param([0.1 + 0.2, 0.3, 0.5], 0.2, id="rounding is no step"),
        pytest.param([0.0, 0.0], 0.01, id="zeros"),
        pytest.param([1.0, 1.0], 0.01, id="a perfect accuracy is no whole number"),
        pytest.param([1.0, 718 / 719], 1 / 719, id="one image less"),
        pytest.param([1e-7, 1e-7], 1e-7, id="small numbers"),
        pytest.param([], 0.0, id="none"),
    ],
)
def test_resolution__of_values__is_their_smallest_step(values: list[float], step: float) -> None:
    assert noise.resolution(values) == pytest.approx(step)


def test_odd__one_run_that_diverged__is_named() -> None:
    values = draws(9)
    assert noise.pooled([values]).odd is None
    assert noise.pooled([[*values, -30.0]]).odd == -30


def test_odd__normal_values__are_named_once_in_a_thousand_cases() -> None:
    named = sum(noise.pooled([draws(10, seed=seed)]).odd is not None for seed in range(1000))
    assert named <= 5


def test_standard_error__one_run_against_ten__is_that_of_a_prediction() -> None:
    assert Noise(2.0, 9).standard_error(1, 10) == pytest.approx(2 * math.sqrt(1.1))


def test_and_values__sample_that_spreads_credibly_further__adds_nothing() -> None:
    main = noise.pooled([draws(10)])
    assert main.and_values([0.0, -90.0]) == main
    assert main.is_exceeded_by([0.0, -90.0])
    assert not UNKNOWN.is_exceeded_by([0.0, -90.0])


def test_is_exceeded_by__ordinary_samples__is_true_once_in_a_hundred_cases() -> None:
    exceeded = [noise.pooled([draws(10, seed=seed)]).is_exceeded_by(draws(3, seed=5000 + seed)) for seed in range(2000)]
    assert 8 <= sum(exceeded) <= 34


def test_pooled__groups_that_lie_apart__have_no_step_between_them() -> None:
    assert noise.pooled([[0.9012] * 5, [0.9534] * 5]) == Noise(0.0001, 8, 0.0001)


def test_resolution__of_values_too_small_to_square__is_no_zero() -> None:
    assert noise.resolution([1e-310]) == 1e-100
