"""The difference between a candidate's sample and the reference, and what can be known of it."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from clearml_ci.core import gate as plain
from clearml_ci.core import student
from clearml_ci.core.formatting import count
from clearml_ci.core.gate import Gate
from clearml_ci.core.noise import Noise

CONFIDENCE = 0.99  # in each end of an interval


SEEN = 0.8  # a visible loss is found in so many cases


@dataclass(frozen=True)
class Difference:
    """The mean of `runs` runs against that of `reference_runs`, in the metric's unit; `noise` includes these runs.

    Its figures are those of Student's t test for two means with a pooled variance; with one run, they are those of a
    prediction.
    """

    gate: Gate
    value: float
    reference: float
    runs: int
    reference_runs: int
    noise: Noise

    @property
    def gain(self) -> float:
        """Value minus reference, with the sign changed if lower is better: a loss is negative."""
        return self.value - self.reference if self.gate.goal == "maximize" else self.reference - self.value

    @property
    def allowed(self) -> float:
        """The loss that the gate's tolerance allows, in the metric's unit."""
        return abs(plain.limit(self.gate, self.reference) - self.reference)

    @property
    def is_allowed(self) -> bool:
        """True if the loss, as estimated, is within the gate's tolerance."""
        return plain.holds(self.gate, self.value, self.reference)

    @cached_property
    def error(self) -> float:
        """The standard error of the gain."""
        return self.noise.standard_error(self.runs, self.reference_runs)

    @cached_property
    def probability(self) -> float:
        """The probability of a gain as low as this, or lower, if nothing changed."""
        return self._share_below(self.gain)

    @property
    def probability_if_allowed(self) -> float:
        """The probability of a gain as high as this, or higher, if the loss were all that is allowed."""
        return 1 - self._share_below(self.gain + self.allowed)

    @property
    def interval(self) -> tuple[float, float]:
        """The lowest and the highest gain that agree with the runs: the truth lies beyond each end in 1 % of cases."""
        reach = student.quantile(CONFIDENCE, self.noise.df) * self.error
        return self.gain - reach, self.gain + reach

    def visible(self, *, most: int, level: float, tests: int = 1) -> float:
        """The smallest loss that is found in 80 % of cases if up to `most` runs are judged, the last time at `level`.

        One look finds a loss of (quantile of its level + quantile of 80 %) * error in exactly so many cases, on
        average over the noise as it is estimated. Early looks let some losses pass: `_lost` makes up for them. Of
        several `tests`, this is the one whose loss is the largest.
        """
        runs = max(most, self.runs)
        error = self.noise.standard_error(runs, self.reference_runs)
        power = SEEN if runs == 1 else SEEN + self._lost(min(runs, 5))
        credible = self.credible(most=most, level=level, tests=tests)
        return max(credible, self.allowed) + student.quantile(power, self.noise.df) * error

    def credible(self, *, most: int, level: float, tests: int = 1) -> float:
        """The smallest loss, as measured, that counts if up to `most` runs are judged, the last time at `level`.

        A tolerance below it allows no less than none: it is the noise that decides.
        """
        runs = max(most, self.runs)
        error = self.noise.standard_error(runs, self.reference_runs)
        return student.quantile(1 - level / tests, self.noise.df + runs - self.runs) * error

    def _lost(self, runs: int) -> float:
        """The share of losses that early looks let pass, fitted to simulation: 2 to 5 runs, 1 to 10 of the reference.

        The fit holds within two points from 6 degrees of freedom on, and within three from 4 on.
        """
        independent = self.reference_runs / (runs + self.reference_runs)
        return 0.08 * independent * (runs / 5) ** 2 + 0.7 / self.noise.df**2

    def words(self, *, visible: float, of: str = "main") -> str:
        """`Worse by 1.2 % (99 %: 0.4 to 2.0), with 4 runs against 10 of main; a loss of 0.9 % or more would be seen.`

        Numbers are in the unit of the gate's tolerance: percent of the reference, or the metric's own.
        """
        percent = self.gate.relative and self.reference
        scale, unit = (100 / abs(self.reference), " %") if percent else (1.0, "")
        digits = max(0, -math.floor(math.log10(self.error * scale / 2)))

        def number(loss: float) -> str:
            return f"{round(loss * scale, digits) + 0.0:.{digits}f}"  # + 0.0: never -0

        sign = 1 if self.gain > 0 else -1
        low, high = sorted(sign * end for end in self.interval)
        return (
            f"{'Better' if self.gain > 0 else 'Worse'} by {number(abs(self.gain))}{unit} "
            f"(99 %: {number(low)} to {number(high)}), "
            f"with {count(self.runs, 'run')} against {self.reference_runs} of {of}; "
            f"a loss of {number(visible)}{unit} or more would be seen."
        )

    def _share_below(self, gain: float) -> float:
        return student.cdf(gain / self.error, self.noise.df)


def between(gate: Gate, values: Sequence[float], reference: Sequence[float], noise: Noise) -> Difference:
    """The difference of two lists of finite values, neither empty; `noise` is that of the other samples."""
    return Difference(
        gate,
        statistics.fmean(values),
        statistics.fmean(reference),
        len(values),
        len(reference),
        noise.and_values(values),
    )
