"""Agreement of two raters on a square table of counts: weighted kappa, Gwet's AC1, specific agreement.

Rows are the first rater's categories, columns the second's, in the same order. Intervals are Student's with n - 1
degrees of freedom, as in R's irrCAC.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

Floats = NDArray[np.float64]
Weights = Literal["none", "linear", "quadratic"]


@dataclass(frozen=True, slots=True)
class RaterAgreement:
    """A coefficient with its standard error and 95 % interval; all NaN where it is not defined."""

    estimate: float
    se: float
    lower: float
    upper: float
    n: int


def weighted_kappa(table: ArrayLike, weights: Weights = "quadratic") -> RaterAgreement:
    """Cohen's kappa, weighted by the distance of categories; in -1..1, NaN where all ratings are one category.

    Large-sample standard error of Fleiss, Cohen and Everitt (Psychol Bull 1969;72:323). ValueError for a table that is
    not square or holds negative counts.
    """
    counts, n = _checked(table)
    if n == 0:
        return _undefined(0)
    share, agree = counts / n, _agreement_weights(len(counts), weights)
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    expected = float(rows @ agree @ columns)
    if math.isclose(expected, 1.0):
        return _undefined(n)
    observed = float((agree * share).sum())
    kappa = (observed - expected) / (1 - expected)
    of_row, of_column = agree @ columns, rows @ agree
    terms = agree - (of_row[:, None] + of_column[None, :]) * (1 - kappa)
    variance = ((share * terms**2).sum() - (kappa - expected * (1 - kappa)) ** 2) / (n * (1 - expected) ** 2)
    return _estimate(kappa, variance, n)


def gwet_ac1(table: ArrayLike) -> RaterAgreement:
    """Gwet's AC1 (Br J Math Stat Psychol 2008;61:29), which stays high where nearly all ratings are one category.

    NaN without ratings or with a single category. ValueError as weighted_kappa.
    """
    counts, n = _checked(table)
    categories = len(counts)
    if n == 0 or categories < 2:
        return _undefined(n)
    share = counts / n
    mean_share = (share.sum(axis=0) + share.sum(axis=1)) / 2
    expected = float((mean_share * (1 - mean_share)).sum()) / (categories - 1)
    observed = float(np.trace(share))
    ac1 = (observed - expected) / (1 - expected)
    pairs = 1 - (mean_share[:, None] + mean_share[None, :]) / 2
    terms = np.eye(categories) - 2 * (1 - ac1) * pairs / (categories - 1)
    variance = ((share * terms**2).sum() - (observed - 2 * (1 - ac1) * expected) ** 2) / (n * (1 - expected) ** 2)
    return _estimate(ac1, variance, n)


def specific_agreement(table: ArrayLike, chosen: tuple[int, ...]) -> RaterAgreement:
    """Positive agreement 2a / (2a + b + c) on a group of categories: of what one rater calls so, how much both do.

    Standard error by the delta method for multinomial counts (MacKinnon, Comput Biol Med 2000;30:127); 0..1, NaN where
    no rater chose the group. `chosen` are row numbers of the table.
    """
    counts, n = _checked(table)
    inside = np.isin(np.arange(len(counts)), chosen)
    both = float(counts[np.ix_(inside, inside)].sum())
    one = float(counts[np.ix_(inside, ~inside)].sum() + counts[np.ix_(~inside, inside)].sum())
    if both + one == 0:
        return _undefined(n)
    whole = 2 * both + one
    found = _estimate(2 * both / whole, 4 * both * one * (both + one) / whole**4, n)
    return RaterAgreement(found.estimate, found.se, max(0.0, found.lower), found.upper, n)


def _agreement_weights(categories: int, weights: Weights) -> Floats:
    """1 on the diagonal, falling with the distance of two categories."""
    if weights == "none" or categories < 2:
        return np.eye(categories)
    place = np.arange(categories)
    distance = np.abs(place[:, None] - place[None, :]) / (categories - 1)
    return np.asarray(1 - (distance if weights == "linear" else distance**2), dtype=np.float64)


def _estimate(value: float, variance: float, n: int) -> RaterAgreement:
    if n < 2:
        return RaterAgreement(value, math.nan, math.nan, math.nan, n)
    se = math.sqrt(max(0.0, float(variance)))
    half = float(t.ppf(0.975, n - 1)) * se
    return RaterAgreement(value, se, max(-1.0, value - half), min(1.0, value + half), n)


def _undefined(n: int) -> RaterAgreement:
    return RaterAgreement(math.nan, math.nan, math.nan, math.nan, n)


def _checked(table: ArrayLike) -> tuple[Floats, int]:
    counts = np.asarray(table, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"table must be square, got shape {counts.shape}")
    if (counts < 0).any() or (counts != np.floor(counts)).any():
        raise ValueError("table must hold counts from 0 on")
    return counts, int(counts.sum())
