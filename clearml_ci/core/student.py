"""Student's t distribution and that of a ratio of variances, for agents that have no scipy.

Formulas: NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov, 8.17.
"""

import math
from functools import lru_cache

_TERMS = 300  # of the continued fraction; ten are enough for a few degrees of freedom
_TINY = 1e-300


@lru_cache(maxsize=4096)
def quantile(probability: float, df: float) -> float:
    """The t, of any sign, below which lies this share of the distribution with `df` degrees of freedom.

    Raises ValueError if the probability is not between 0 and 1, or `df` not above 0.
    """
    if not 0 < probability < 1:
        raise ValueError(f"the probability must lie between 0 and 1: {probability}")
    if probability < 0.5:
        return -quantile(1 - probability, df)
    low, high = 0.0, 1.0
    while cdf(high, df) < probability:
        low, high = high, 2 * high
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if cdf(middle, df) < probability else (low, middle)
    return middle


def cdf(t: float, df: float) -> float:
    """The share of Student's t distribution with `df` degrees of freedom that lies below t.

    Raises ValueError if `df` is not above 0.
    """
    if not df > 0:
        raise ValueError(f"the degrees of freedom must be above 0: {df}")
    tail = _incomplete_beta(df / 2, 0.5, df / (df + t * t)) / 2
    return tail if t < 0 else 1 - tail


def variance_ratio_tail(ratio: float, df: float, other_df: float) -> float:
    """The share of Fisher's F distribution above this ratio of two variances with so many degrees of freedom, each > 0.

    Formula: F tail as an incomplete beta function, Abramowitz and Stegun 26.6.2.
    """
    return _incomplete_beta(other_df / 2, df / 2, other_df / (other_df + df * ratio))


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularized incomplete beta function I_x(a, b): DLMF 8.17.2, by the continued fraction 8.17.22."""
    if x in (0, 1):
        return x
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast below
        return 1 - _incomplete_beta(b, a, 1 - x)
    log_beta = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    return math.exp(a * math.log(x) + b * math.log1p(-x) - log_beta) / a / _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    """1 + d1/(1 + d2/(1 + …)) of DLMF 8.17.22, by Lentz's method as Thompson and Barnett gave it."""
    value = numerator = 1.0
    denominator = 0.0
    for term in range(1, _TERMS):
        m, odd = divmod(term, 2)
        if odd:
            factor = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            factor = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        denominator = 1 / ((1 + factor * denominator) or _TINY)
        numerator = (1 + factor / numerator) or _TINY
        value *= numerator * denominator
        if abs(numerator * denominator - 1) < 1e-14:
            break
    return value
