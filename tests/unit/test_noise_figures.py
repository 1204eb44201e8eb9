"""The figures that the rule promises, by a simulation that is small enough for every run of the tests."""

import math

from tools import bench_noise, digits_seeds, noise_goals
from tools.noise_goals import Goal

CHECKS = 300


def test_goals__of_a_small_simulation__are_reached_up_to_chance() -> None:
    assert [goal for goal in noise_goals.measure(CHECKS) if not is_reached(goal)] == []


def is_reached(goal: Goal) -> bool:
    """True within three standard deviations of a share of so many checks, or of a mean number of trainings."""
    limits = (goal.lowest, goal.highest)
    shares = [min(max(limit / 100, 0.01), 0.99) for limit in limits]
    chance = [300 * math.sqrt(share * (1 - share) / CHECKS) if "%" in goal.name else 0.2 for share in shares]
    return limits[0] - chance[0] <= goal.reached <= limits[1] + chance[1]


def test_bench__at_its_smallest__has_each_rule_source_merges_and_loss_once() -> None:
    rows = bench_noise.measure(1)
    keys = {(row.rule, row.source, row.merges, row.loss_sigma) for row in rows}
    assert len(keys) == len(rows) == 5 * 2 * len(bench_noise.MERGES) * len(bench_noise.CHECKS)
    assert all(0 <= row.red <= 1 and 0 <= row.trainings <= 4 for row in rows)


def test_digits__of_the_recorded_seeds__are_noisy() -> None:
    accuracies = digits_seeds.read()
    assert len(accuracies) == digits_seeds.SEEDS
    assert len(set(accuracies)) > 20
    assert all(0.9 < accuracy < 1 for accuracy in accuracies)
