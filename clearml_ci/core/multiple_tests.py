"""Corrections of p-values for many tests: among ten true nulls, one is below 0.1 by chance."""

from collections.abc import Iterable, Sequence
from itertools import accumulate


def holm(p_values: Sequence[float]) -> list[float]:
    """The adjusted p-values, in the same order: all below `a` are rejected, and any is so by chance with at most `a`.

    Holds whatever the dependence. Holm, Scandinavian Journal of Statistics 6 (1979).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    scaled = [p_values[index] * (len(order) - rank) for rank, index in enumerate(order)]
    return _in_place(order, accumulate(scaled, max))


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """The adjusted p-values, in the same order: of those below `a`, a share of at most `a` is so by chance.

    Holds for tests that are independent or positively dependent, as slices of one model are. Benjamini and Hochberg,
    Journal of the Royal Statistical Society B 57 (1995).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__, reverse=True)
    count = len(order)
    scaled = [p_values[index] * count / (count - rank) for rank, index in enumerate(order)]
    return _in_place(order, accumulate(scaled, min))


def of_families(families: Sequence[Sequence[float]]) -> list[list[float]]:
    """The adjusted p-values of families of tests, none empty: without any effect, one is below `a` with at most `a`.

    Within a family they are those of `benjamini_hochberg`, whose smallest is the p-value of the family as a whole
    (Simes, Biometrika 73, 1986). Among families those are corrected by `holm`, and all of a family with them.
    """
    within = [benjamini_hochberg(family) for family in families]
    smallest = [min(family) for family in within]
    factors = [
        corrected / least if least else float(len(families))
        for least, corrected in zip(smallest, holm(smallest), strict=True)
    ]
    return [[min(1.0, p * factor) for p in family] for family, factor in zip(within, factors, strict=True)]


def _in_place(order: Sequence[int], adjusted: Iterable[float]) -> list[float]:
    by_index = {index: min(1.0, value) for index, value in zip(order, adjusted, strict=True)}
    return [by_index[index] for index in range(len(order))]
