"""Ridge predictions for rows that the fit did not see: each row in turn left out, everything fitted on the others.

The level is one for all rows. Were it the mean of the others, a row with a high value would get a low prediction for
that reason alone: columns that say nothing would then seem to rank backwards (rho down to -1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from engine.statistics.checks import Floats, matrix, vector
from engine.statistics.logistic import fit_logistic, predict_logistic
from store.records import DeclinedError

SMALLEST_SPREAD = 1e-12


def ridge_predictions(x: ArrayLike, y: ArrayLike, new: ArrayLike, ridge: float) -> Floats:
    """Predictions (m,) for rows `new` (m, p) of the linear ridge regression of `y` (n,) on `x` (n, p), n >= 2.

    Columns are standardised by `x`; the penalty is ridge * sum(slope^2) beside the sum of squares, the intercept is
    free. Columns constant in `x` do not count. ValueError for another shape, too few rows or a negative ridge.
    """
    rows, target, wanted = matrix("x", x), vector("y", y), matrix("new", new)
    if rows.shape[0] != target.size or rows.shape[1] != wanted.shape[1]:
        raise ValueError(f"x {rows.shape}, y {target.shape} and new {wanted.shape} do not fit together")
    if target.size < 2 or ridge < 0:
        raise ValueError(f"a ridge fit needs two rows and a penalty of at least 0, got {target.size} and {ridge}")
    scaled, new_scaled = standardised(rows, wanted)
    gram = scaled.T @ scaled + ridge * np.eye(scaled.shape[1])
    slopes = np.linalg.lstsq(gram, scaled.T @ (target - target.mean()), rcond=None)[0]
    return np.asarray(target.mean() + new_scaled @ slopes, dtype=np.float64)


def left_out_ridge(x: ArrayLike, y: ArrayLike, ridge: float) -> Floats:
    """Prediction (n,) of each row of `y` with slopes fitted on all others, about the mean of all; n >= 3."""
    rows, target = matrix("x", x), vector("y", y)
    others = ~np.eye(target.size, dtype=np.bool_)
    found = [
        ridge_predictions(rows[kept], target[kept], rows[i : i + 1], ridge)[0] - target[kept].mean()
        for i, kept in enumerate(others)
    ]
    return np.asarray(target.mean() + np.array(found), dtype=np.float64)


def logistic_probabilities(x: ArrayLike, y: ArrayLike, new: ArrayLike, ridge: float) -> Floats:
    """Probabilities (m,) for rows `new` of the ridge logistic regression of 0/1 `y` on `x`; DeclinedError of one class.

    Columns are standardised by `x`.
    """
    scaled, new_scaled = standardised(matrix("x", x), matrix("new", new))
    return predict_logistic(fit_logistic(scaled, y, ridge=ridge), new_scaled)


def left_out_logistic(x: ArrayLike, y: ArrayLike, ridge: float) -> Floats:
    """Probability (n,) of each row with slopes fitted on all others, about the log odds of all.

    DeclinedError with fewer than two rows of a class.
    """
    rows, target = matrix("x", x), vector("y", y)
    if min(int(target.sum()), int(target.size - target.sum())) < 2:
        raise DeclinedError("leaving one out needs two rows of each class")
    others = ~np.eye(target.size, dtype=np.bool_)
    found = [
        logit(logistic_probabilities(rows[kept], target[kept], rows[i : i + 1], ridge)[0]) - logit(target[kept].mean())
        for i, kept in enumerate(others)
    ]
    return np.asarray(expit(logit(target.mean()) + np.array(found)), dtype=np.float64)


def standardised(x: Floats, new: Floats) -> tuple[Floats, Floats]:
    """Both tables with the columns' mean and standard deviation in `x` taken out; constant columns become 0."""
    mean, spread = x.mean(axis=0), x.std(axis=0)
    varies = spread > SMALLEST_SPREAD
    scale = np.where(varies, spread, 1.0)
    return (x - mean) / scale * varies, (new - mean) / scale * varies
