"""False alarms of the plain tolerance, which a gate allows around the best run so far."""

import statistics
from collections.abc import Sequence

from clearml_ci.core import gate as plain
from clearml_ci.core import student
from clearml_ci.core.gate import Gate
from clearml_ci.core.noise import Noise

HELD = 0.01  # a tolerance holds if so many changes that do nothing are red


_SEEN = 0.8  # of losses of this size are found


def false_alarms(gate: Gate, baseline: float, reference: Sequence[float], noise: Noise) -> float:
    """The share of changes that do nothing, each with one run, that are below the gate's limit around this baseline.

    `reference` are finite values, and `noise` is known.
    """
    worse = plain.limit(gate, baseline) - statistics.fmean(reference)
    return student.cdf((worse if gate.goal == "maximize" else -worse) / _error(reference, noise), noise.df)


def tolerance_that_holds(gate: Gate, baseline: float, reference: Sequence[float], noise: Noise) -> float:
    """The smallest tolerance with which only 1 % of changes that do nothing are red, in the unit of the gate's own.

    In percent, it is infinite if the baseline is 0.
    """
    luck = baseline - statistics.fmean(reference)
    reach = student.quantile(1 - HELD, noise.df) * _error(reference, noise)
    tolerance = max(0.0, reach + (luck if gate.goal == "maximize" else -luck))
    if not gate.relative:
        return tolerance
    return 100 * tolerance / abs(baseline) if baseline else float("inf")


def visible(gate: Gate, baseline: float, reference: Sequence[float], noise: Noise) -> float:
    """The smallest loss, from the mean of the reference, that one run shows in 80 % of cases."""
    below = statistics.fmean(reference) - plain.limit(gate, baseline)
    distance = below if gate.goal == "maximize" else -below
    return max(0.0, distance + student.quantile(_SEEN, noise.df) * _error(reference, noise))


def _error(reference: Sequence[float], noise: Noise) -> float:
    return noise.standard_error(1, len(reference))
