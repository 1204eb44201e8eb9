import random
from statistics import NormalDist

import pytest
from scipy import stats

from clearml_ci.core.multiple_tests import benjamini_hochberg, holm, of_families


def test_holm__textbook_values__are_adjusted_step_by_step() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
def test_correction__of_one_or_none__changes_nothing(correct: object) -> None:
    assert callable(correct)
    assert correct([]) == []
    assert correct([0.3]) == [0.3]
    assert max(correct([0.9, 0.9, 1.0])) == 1


def test_benjamini_hochberg__any_values__are_those_of_scipy() -> None:
    draw = random.Random(5)  # noqa: S311
    for length in (1, 2, 7, 40):
        p_values = [draw.random() ** 3 for _ in range(length)] + [0.02, 0.02]
        assert benjamini_hochberg(p_values) == pytest.approx(list(stats.false_discovery_control(p_values)))


def test_holm__any_values__lie_between_the_raw_ones_and_those_of_bonferroni() -> None:
    draw = random.Random(5)  # noqa: S311
    p_values = [draw.random() ** 4 for _ in range(30)]
    adjusted = holm(p_values)
    assert all(raw <= one <= min(1, 30 * raw) for raw, one in zip(p_values, adjusted, strict=True))
    assert min(adjusted) == pytest.approx(min(1, 30 * min(p_values)))


def test_of_families__one_family_or_single_tests__are_the_plain_corrections() -> None:
    draw = random.Random(7)  # noqa: S311
    p_values = [draw.random() ** 3 for _ in range(25)]
    (together,) = of_families([p_values])
    assert together == pytest.approx(list(stats.false_discovery_control(p_values)))
    assert [p for (p,) in of_families([[p] for p in p_values])] == pytest.approx(holm(p_values))
    assert of_families([]) == []
    assert of_families([[0.0, 0.5], [0.3]]) == [[0.0, 1.0], [0.3]]


def test_of_families__slices_beside_a_gate__count_as_one_test() -> None:
    slices, (gate,) = of_families([[0.001] * 5 + [0.5] * 5, [0.004]])
    assert slices[:5] == pytest.approx([2 * 0.002] * 5)
    assert gate == pytest.approx(0.004)
    (alone, *_), (gate,) = of_families([[0.001] + [0.9] * 9, [0.004]])
    assert [alone, gate] == pytest.approx([0.01, 0.008])


@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_of_families__nothing_lost__is_red_as_rarely_as_one_test(shared: float) -> None:
    """Also if the slices move together, as those of one model do."""
    draw, normal = random.Random(11), NormalDist()  # noqa: S311
    level, checks, red = 0.05, 2_000, 0
    for _ in range(checks):
        common = draw.gauss(0, 1)
        gains = [shared**0.5 * common + (1 - shared) ** 0.5 * draw.gauss(0, 1) for _ in range(20)]
        families = of_families([[normal.cdf(gain) for gain in gains], [draw.random()]])
        red += min(map(min, families)) < level
    assert red / checks < level + 3 * (level * (1 - level) / checks) ** 0.5
