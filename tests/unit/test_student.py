import pytest
from scipy import stats

from clearml_ci.core import student

DEGREES = [1, 2, 4, 5, 9, 20, 60, 1000]


@pytest.mark.parametrize("df", DEGREES)
@pytest.mark.parametrize("t", [-40, -3.5, -1.2, -1e-9, 0, 0.3, 1, 2.8, 12])
def test_cdf__any_t__is_that_of_scipy(t: float, df: int) -> None:
    assert student.cdf(t, df) == pytest.approx(stats.t.cdf(t, df), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("df", DEGREES)
@pytest.mark.parametrize("probability", [1e-6, 0.0015, 0.01, 0.24, 0.5, 0.8, 0.95, 0.992])
def test_quantile__any_probability__is_that_of_scipy(probability: float, df: int) -> None:
    assert student.quantile(probability, df) == pytest.approx(stats.t.ppf(probability, df), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("probability", "df", "message"),
    [(0, 4, "the probability must"), (1, 4, "the probability must"), (0.9, 0, "the degrees"), (0.9, -1, "the degrees")],
)
def test_quantile__outside_its_range__is_refused(probability: float, df: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        student.quantile(probability, df)


@pytest.mark.parametrize(("df", "other"), [(1, 9), (2, 4), (4, 20), (9, 9)])
@pytest.mark.parametrize("ratio", [0.0, 0.5, 1, 3.7, 40, 3600])
def test_variance_ratio_tail__any_ratio__is_that_of_scipy(ratio: float, df: int, other: int) -> None:
    assert student.variance_ratio_tail(ratio, df, other) == pytest.approx(stats.f.sf(ratio, df, other), rel=1e-9)
