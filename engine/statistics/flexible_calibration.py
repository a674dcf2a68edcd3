"""A calibration curve that may bend, and the indices of its distance from the diagonal: ICI, E50, E90."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit
from scipy.stats import norm

from engine.statistics.checks import Floats, binary, vector, weights_or_ones
from engine.statistics.logistic import fit_logistic
from engine.statistics.spline import knots_of, restricted_cubic
from store.records import DeclinedError

LOGIT_CLIP = 1e-6
POINTS = 41


@dataclass(frozen=True, slots=True)
class FlexibleCalibration:
    """Observed risk (m,) with bounds at predicted risks (m,), and mean, median and 90th percentile of |gap|."""

    predicted: Floats
    observed: Floats
    lower: Floats
    upper: Floats
    ici: float
    e50: float
    e90: float


def flexible_calibration(
    labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None, level: float = 0.95
) -> FlexibleCalibration:
    """Return the observed risk as a restricted cubic spline (three knots) of logit(probability).

    `labels` (n,) 0/1, `probabilities` (n,) in [0, 1], cut to [1e-6, 1 - 1e-6], `weights` (n,). The curve spans the
    predictions; bounds are Wald's on the logit scale. ICI is the weighted mean of |observed - predicted| over rows,
    E50 and E90 its percentiles. DeclinedError with one class, or where predictions do not spread over three knots or
    separate the labels. Source: Austin and Steyerberg 2019 (indices); Harrell 2015 (spline).
    """
    predicted = vector("probabilities", probabilities)
    truth = binary("labels", labels, predicted.size)
    scale = weights_or_ones(weights, predicted.size)
    kept = scale > 0
    predicted, truth, scale = predicted[kept], truth[kept], scale[kept]
    if ((predicted < 0) | (predicted > 1)).any():
        raise ValueError(f"probabilities must lie in [0, 1], got {predicted.min()} to {predicted.max()}")
    logits = logit(np.clip(predicted, LOGIT_CLIP, 1 - LOGIT_CLIP))
    try:
        knots = knots_of(logits)
    except ValueError:
        raise DeclinedError("a calibration curve needs predictions that spread over three knots") from None
    fit = fit_logistic(restricted_cubic(logits, knots), truth, scale)
    if not fit.converged:
        raise DeclinedError("a calibration curve needs predictions that do not separate the labels")
    grid = np.linspace(predicted.min(), predicted.max(), POINTS)
    design = _design(logit(np.clip(grid, LOGIT_CLIP, 1 - LOGIT_CLIP)), knots)
    line = design @ fit.coefficients
    half = norm.isf((1 - level) / 2) * np.sqrt(np.einsum("mp,pq,mq->m", design, fit.covariance, design))
    gap = np.abs(expit(_design(logits, knots) @ fit.coefficients) - predicted)
    return FlexibleCalibration(
        grid,
        expit(line),
        expit(line - half),
        expit(line + half),
        ici=float(np.average(gap, weights=scale)),
        e50=_weighted_quantile(gap, scale, 0.5),
        e90=_weighted_quantile(gap, scale, 0.9),
    )


def _design(logits: Floats, knots: Floats) -> Floats:
    return np.column_stack([np.ones(logits.size), restricted_cubic(logits, knots)])


def _weighted_quantile(values: Floats, weights: Floats, share: float) -> float:
    """The smallest value at which the cumulated weight reaches `share` of all."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) >= share * weights.sum() - 1e-12
    return float(values[order][int(np.argmax(reached))])
