"""Fractional logit: regression of a share in [0, 1], such as Dice, with robust errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit
from scipy.stats import chi2, norm

from engine.statistics.checks import Floats, matrix, vector
from store.records import DeclinedError

MAX_ITERATIONS = 100
TOLERANCE = 1e-11


@dataclass(frozen=True, slots=True)
class FractionalFit:
    """Coefficients (1 + p,) on the logit scale, intercept first, with HC1 errors, Wald bounds and p."""

    coefficients: Floats
    standard_errors: Floats
    lower: Floats
    upper: Floats
    p_values: Floats
    covariance: Floats


def fit_fractional(x: ArrayLike, y: ArrayLike, level: float = 0.95) -> FractionalFit:
    """Return the binomial quasi-likelihood regression of `y` (n,) in [0, 1] on `x` (n, p) with an intercept.

    Standard errors are HC1: sandwich times n / (n - p - 1), as in R sandwich (statsmodels 0.15.0 leaves that factor
    out for a GLM). DeclinedError when y is all 0 or all 1, when columns are collinear, when n <= p + 1 or when there is
    no maximum. Source: Papke and Wooldridge 1996.
    """
    values = matrix("x", x)
    share = vector("y", y, values.shape[0])
    design = np.column_stack([np.ones(share.size), values])
    if ((share < 0) | (share > 1)).any():
        raise ValueError(f"y must lie in [0, 1], got {share.min()} to {share.max()}")
    if share.size <= design.shape[1] or np.linalg.matrix_rank(design) < design.shape[1]:
        raise DeclinedError(f"a fractional logit needs more cases than columns, independent: {design.shape}")
    beta = _fitted(design, share)
    mean = expit(design @ beta)
    bread = np.linalg.inv((design * (mean * (1 - mean))[:, None]).T @ design)
    meat = (design * ((share - mean) ** 2)[:, None]).T @ design
    covariance = np.asarray(bread @ meat @ bread) * (share.size / (share.size - design.shape[1]))
    errors = np.sqrt(np.diag(covariance))
    half = norm.isf((1 - level) / 2) * errors
    with np.errstate(divide="ignore", invalid="ignore"):
        p_values = 2 * norm.sf(np.abs(beta / errors))
    return FractionalFit(beta, errors, beta - half, beta + half, p_values, covariance)


@dataclass(frozen=True, slots=True)
class MeanChange:
    """Change of the mean share between two designs, its bounds, and p of no effect of the columns that differ."""

    change: float
    lower: float
    upper: float
    p_value: float


def mean_change(
    fit: FractionalFit, low: Floats, high: Floats, columns: tuple[int, ...], level: float = 0.95
) -> MeanChange:
    """Mean predicted share with the design `high` less with `low` (both (n, p), no intercept), by the delta method.

    Each patient keeps his other columns (standardisation, g-computation). p is the joint Wald test of `columns`, places
    in the design from 0. Source: Papke and Wooldridge 1996, average partial effects.
    """
    before, after = (np.column_stack([np.ones(len(x)), x]) for x in (low, high))
    first, second = expit(before @ fit.coefficients), expit(after @ fit.coefficients)
    slope = (after * (second * (1 - second))[:, None]).mean(axis=0)
    slope = slope - (before * (first * (1 - first))[:, None]).mean(axis=0)
    change = float((second - first).mean())
    half = float(norm.isf((1 - level) / 2) * np.sqrt(slope @ fit.covariance @ slope))
    places = np.array(columns) + 1
    beta, spread = fit.coefficients[places], fit.covariance[np.ix_(places, places)]
    wald = float(beta @ np.linalg.pinv(spread) @ beta)
    return MeanChange(change, change - half, change + half, float(chi2.sf(wald, places.size)))


def _fitted(design: Floats, share: Floats) -> Floats:
    """Coefficients by Newton's method, steps of at most 2 on the logit scale."""
    beta = np.zeros(design.shape[1])
    for _ in range(MAX_ITERATIONS):
        mean = expit(design @ beta)
        information = (design * (mean * (1 - mean))[:, None]).T @ design
        move = np.linalg.lstsq(information, design.T @ (share - mean), rcond=None)[0]
        reach = float(np.abs(design @ move).max())
        beta = beta + move * min(1.0, 2.0 / max(reach, TOLERANCE))
        if reach <= TOLERANCE:
            return np.asarray(beta, dtype=np.float64)
    raise DeclinedError("a fractional logit has no maximum here: the shares separate completely")
