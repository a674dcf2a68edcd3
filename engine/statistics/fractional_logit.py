"""Fractional logit: regression of a share in [0, 1], such as Dice, with robust errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit
from scipy.stats import norm

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
    errors = np.sqrt(np.diag(bread @ meat @ bread) * share.size / (share.size - design.shape[1]))
    half = norm.isf((1 - level) / 2) * errors
    with np.errstate(divide="ignore", invalid="ignore"):
        p_values = 2 * norm.sf(np.abs(beta / errors))
    return FractionalFit(beta, errors, beta - half, beta + half, p_values)


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
