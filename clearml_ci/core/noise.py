"""The noise of a metric: what the same training, repeated with another seed, changes about it."""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from clearml_ci.core import student

ENOUGH = 4  # degrees of freedom: with fewer, the noise is unknown


_ODD = 0.001  # a value that far out is found among ordinary ones in one case of a thousand


_WIDE = 0.01  # a spread that large beside others is found in one sample of a hundred


_SMALLEST = 100  # digits: the square of a smaller step is 0


_OF_A_SHARE = 0.01  # the last digit that an accuracy of 1.0 does not show


@dataclass(frozen=True)
class Noise:
    """The standard deviation `sd`, in the metric's unit, pooled over groups with `df` degrees of freedom.

    `resolution` is the smallest step of the metric, below which no `sd` is believed. `odd` is a value that lies too
    far out for a normal distribution.
    """

    sd: float
    df: int
    resolution: float = 0.0
    odd: float | None = None

    @property
    def known(self) -> bool:
        """True with enough degrees of freedom."""
        return self.df >= ENOUGH

    @property
    def missing(self) -> int:
        """The number of runs that are missing until the noise is known: of a commit or a branch that has one."""
        return max(0, ENOUGH - self.df)

    def and_values(self, values: Sequence[float]) -> "Noise":
        """The noise pooled with one more group, the finite values of one sample.

        A sample that spreads credibly further adds nothing: one collapsed run of two would hide its own loss.
        """
        df = self.df + len(values) - 1
        if len(values) < 2 or self.is_exceeded_by(values):
            return self
        sd = math.sqrt((self.sd**2 * self.df + _squares(values)) / df)
        smallest = self.resolution or resolution(values)
        return Noise(max(sd, smallest), df, smallest, self.odd)

    def is_exceeded_by(self, values: Sequence[float]) -> bool:
        """True if this noise is known, and the finite values spread credibly further: an F test."""
        df = len(values) - 1
        if not self.known or df < 1 or not self.sd:
            return False
        return student.variance_ratio_tail(_squares(values) / df / self.sd**2, df, self.df) < _WIDE

    def standard_error(self, candidate: int, reference: int) -> float:
        """The standard deviation of a difference between the means of so many runs; with one run, of a prediction."""
        return self.sd * math.sqrt(1 / candidate + 1 / reference)


UNKNOWN = Noise(0.0, 0)


def pooled(groups: Sequence[Sequence[float]]) -> Noise:
    """The noise within groups of finite values, each of which has its own mean; empty groups are left out."""
    groups = [group for group in groups if group]
    df = sum(len(group) - 1 for group in groups)
    if not df:
        return UNKNOWN
    smallest = _resolution(groups)
    sd = math.sqrt(sum(map(_squares, groups)) / df)
    return Noise(max(sd, smallest), df, smallest, _odd(groups, sd, df))


def resolution(values: Sequence[float]) -> float:
    """The smallest step of a metric: at least that of the last digit reported; 0 without values.

    An accuracy on 719 images moves in steps of 1/719, which no digit shows: the smallest distance of two values does.
    """
    return _resolution([values])


def _resolution(groups: Sequence[Sequence[float]]) -> float:
    """The smallest step of a metric within these groups: the distance of two groups is no step."""
    pairs = [pair for group in groups for pair in itertools.pairwise(sorted(group))]
    steps = [above - below for below, above in pairs if not math.isclose(below, above, rel_tol=1e-9)]
    return max(min(map(_last_digit, itertools.chain(*groups)), default=0.0), min(steps, default=0.0))


def _last_digit(value: float) -> float:
    """`0.01` for 0.95; 1 for 17.0 and for 1700.0; 0.01 for 1.0 and 0.0, which are rather shares than numbers."""
    if value in (-1.0, 0.0, 1.0):
        return _OF_A_SHARE
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    return 10.0 ** max(-_SMALLEST, min(0, int(exponent)))


def _squares(values: Sequence[float]) -> float:
    mean = statistics.fmean(values)
    return math.fsum((value - mean) ** 2 for value in values)


def _odd(groups: Sequence[Sequence[float]], sd: float, df: int) -> float | None:
    """The value with the largest studentized residual, if Grubbs' test (Annals of Statistics 21, 1950) rejects it."""
    if df < ENOUGH or not sd:
        return None
    residuals = [
        (abs(value - statistics.fmean(group)) / math.sqrt(1 - 1 / len(group)) / sd, value)
        for group in groups
        if len(group) > 1
        for value in group
    ]
    largest, value = max(residuals)
    rest = df - largest**2
    tail = 0.0 if rest <= 0 else 1 - student.cdf(largest * math.sqrt((df - 1) / rest), df - 1)
    return value if 2 * tail * len(residuals) < _ODD else None
