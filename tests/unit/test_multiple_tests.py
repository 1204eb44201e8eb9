import random

import pytest
from scipy import stats

from clearml_ci.core.multiple_tests import benjamini_hochberg, holm


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
