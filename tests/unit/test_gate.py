import math

import pytest

from clearml_ci import gate
from clearml_ci.check import Metric
from clearml_ci.gate import Summary


def metric(goal: str = "maximize", threshold: float = 3.0) -> Metric:
    return Metric("accuracy", "validation", goal, threshold)


def summary(value: float, *, last: float | None = None) -> Summary:
    return Summary("accuracy", "validation", value if last is None else last, value, value)


# The predecessor's own example: 3 % of 100 and MAX allows 97. It inverted the tolerance for negative metrics.
@pytest.mark.parametrize(
    ("goal", "baseline", "value", "outcome"),
    [
        pytest.param("maximize", 100, 101, "improved", id="max-better"),
        pytest.param("maximize", 100, 100, "passed", id="max-equal"),
        pytest.param("maximize", 100, 97, "passed", id="max-at-the-limit"),
        pytest.param("maximize", 100, 96.9, "regressed", id="max-below-the-limit"),
        pytest.param("maximize", 100, 50, "regressed", id="max-halved"),
        pytest.param("maximize", -100, -103, "passed", id="max-negative-at-the-limit"),
        pytest.param("maximize", -100, -103.1, "regressed", id="max-negative-below-the-limit"),
        pytest.param("maximize", -100, -99, "improved", id="max-negative-better"),
        pytest.param("maximize", 0, 0, "passed", id="max-zero-equal"),
        pytest.param("maximize", 0, -1e-9, "regressed", id="max-zero-has-no-relative-tolerance"),
        pytest.param("minimize", 1.0, 0.9, "improved", id="min-better"),
        pytest.param("minimize", 1.0, 1.03, "passed", id="min-at-the-limit"),
        pytest.param("minimize", 1.0, 1.04, "regressed", id="min-above-the-limit"),
        pytest.param("minimize", -1.0, -0.97, "passed", id="min-negative-at-the-limit"),
        pytest.param("maximize", 0.85, 0.85 * 0.97, "passed", id="max-at-the-limit-but-for-rounding"),
        pytest.param("minimize", 0.85, 0.85 * 1.03, "passed", id="min-at-the-limit-but-for-rounding"),
        pytest.param("minimize", -1.0, -0.96, "regressed", id="min-negative-above-the-limit"),
    ],
)
def test_judge__value_against_best__has_outcome(goal: str, baseline: float, value: float, outcome: str) -> None:
    judged = gate.judge(metric(goal), summary(value), {"best": summary(baseline)})
    assert (judged.outcome, judged.value, judged.baseline) == (outcome, value, baseline)
    assert judged.difference == pytest.approx(value - baseline)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_judge__number_that_is_not_finite__is_inconclusive_on_either_side(bad: float) -> None:
    assert gate.judge(metric(), summary(bad), {"best": summary(1)}).outcome == "inconclusive"
    assert gate.judge(metric(), summary(1), {"best": summary(bad)}).outcome == "inconclusive"


def test_judge__metric_missing_on_either_side__is_inconclusive_and_named() -> None:
    missing = gate.judge(metric(), None, {"best": summary(1)})
    one_sided = gate.judge(metric(), summary(1), {"best": None})
    assert (missing.outcome, one_sided.outcome) == ("inconclusive", "inconclusive")
    assert "accuracy/validation" in missing.reason
    assert "accuracy/validation" in one_sided.reason


def test_judge__missing_metric_without_any_best__never_passes_as_first_model() -> None:
    assert gate.judge(metric(), None, {}).outcome == "inconclusive"


def test_judge__no_best__is_no_baseline() -> None:
    judged = gate.judge(metric(), summary(0.9), {})
    assert (judged.outcome, judged.value, judged.limit) == ("no_baseline", 0.9, None)


def test_judge__several_bests__the_best_of_them_counts_in_the_goals_direction() -> None:
    bests = {"new": summary(0.8), "old": summary(0.9), "empty": None}
    assert gate.judge(metric("maximize"), summary(0.85), bests).baseline_id == "old"
    assert gate.judge(metric("minimize"), summary(0.85), bests).baseline_id == "new"


def test_best_of_curve__goal__takes_the_extreme_and_not_the_last() -> None:
    curve = Summary("loss", "train", last=0.5, minimum=0.2, maximum=0.9)
    assert gate.best_of_curve(metric("minimize"), curve) == 0.2
    assert gate.best_of_curve(metric("maximize"), curve) == 0.9


DIVERGED = Summary("accuracy", "validation", last=0.0, minimum=0.0, maximum=2.3)


def test_judge__zero_that_may_be_a_nan__is_inconclusive_on_either_side() -> None:
    """The SDK records NaN as 0: a loss that diverged would be the best of all."""
    diverged = gate.judge(metric("minimize"), DIVERGED, {"best": summary(0.5)})
    assert (diverged.outcome, "NaN" in diverged.reason) == ("inconclusive", True)
    assert gate.judge(metric("minimize"), summary(0.5), {"best": DIVERGED}).outcome == "inconclusive"


def test_judge__zero_throughout__is_a_value() -> None:
    assert gate.judge(metric("minimize"), summary(0.0), {"best": summary(0.0)}).outcome == "passed"


def test_as_document__not_finite_number__becomes_none() -> None:
    judged = gate.judge(metric(), summary(1.0), {"best": summary(0.5)})
    document = gate.as_document(metric(), judged)
    assert (document["value"], document["baseline"], document["limit"]) == (1.0, 0.5, pytest.approx(0.485))
    assert gate.as_document(metric(), gate.Judgement("inconclusive", "", value=math.nan))["value"] is None
