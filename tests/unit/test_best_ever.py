import math
from dataclasses import replace

import pytest

from clearml_ci.core import noise
from clearml_ci.core.gate import Gate
from clearml_ci.decisions import best_ever
from tools import bench_noise

ACCURACY = Gate("accuracy", "validation", tolerance=1.0)


@pytest.mark.parametrize("percent", [0, 1, 2])
def test_false_alarms__of_a_baseline__are_those_of_a_simulation(percent: float) -> None:
    source, _ = bench_noise.sources()
    gate = replace(ACCURACY, tolerance=percent)
    expected, red = 0.0, 0
    for _ in range(3000):
        main = [source.draw() for _ in range(10)]
        expected += best_ever.false_alarms(gate, max(main), main, noise.pooled([main])) / 3000
        red += source.draw() < max(main) * (1 - percent / 100)
    assert red / 3000 == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(
    "gate",
    [
        pytest.param(ACCURACY, id="percent"),
        pytest.param(replace(ACCURACY, relative=False, tolerance=0.001), id="the metric's unit"),
        pytest.param(replace(ACCURACY, goal="minimize"), id="lower is better"),
    ],
)
def test_tolerance_that_holds__in_the_gate__is_red_for_nothing_in_one_of_a_hundred(gate: Gate) -> None:
    main = [0.93, 0.94, 0.95, 0.96, 0.97]
    best = max(main) if gate.goal == "maximize" else min(main)
    known = noise.pooled([main])
    tolerance = best_ever.tolerance_that_holds(gate, best, main, known)
    assert best_ever.false_alarms(gate, best, main, known) > 0.5
    assert best_ever.false_alarms(replace(gate, tolerance=tolerance), best, main, known) == pytest.approx(0.01)


def test_tolerance_that_holds__in_percent_of_zero__is_infinite() -> None:
    main = [-0.02, -0.01, 0.0, -0.01, -0.02]
    assert best_ever.tolerance_that_holds(ACCURACY, 0, main, noise.pooled([main])) == math.inf


def test_tolerance_that_holds__baseline_far_below_the_reference__is_none() -> None:
    main = [0.93, 0.94, 0.95, 0.96, 0.97]
    assert best_ever.tolerance_that_holds(ACCURACY, 0.5, main, noise.pooled([main])) == 0
