"""Calibration of predicted probabilities: intercept and slope, groups with Wilson bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logit
from scipy.stats import norm

from engine.statistics.checks import Floats, binary, vector, weights_or_ones
from engine.statistics.intervals import Interval
from engine.statistics.logistic import fit_logistic

LOGIT_CLIP = 1e-6


@dataclass(frozen=True, slots=True)
class CalibrationLine:
    """Intercept with the slope held at 1 (0 ideal; above 0: risks too low) and slope (1 ideal), with Wald bounds."""

    intercept: float
    intercept_lower: float
    intercept_upper: float
    slope: float
    slope_lower: float
    slope_upper: float


@dataclass(frozen=True, slots=True)
class CalibrationGroups:
    """Groups of rising predicted risk: mean prediction, observed share with Wilson bounds, rows and their weight."""

    predicted: Floats
    observed: Floats
    lower: Floats
    upper: Floats
    size: Floats
    weight: Floats


def calibration_line(
    labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None, level: float = 0.95
) -> CalibrationLine:
    """Return calibration-in-the-large and calibration slope of `probabilities` (n,) against 0/1 `labels` (n,).

    Logistic regression of the label on logit(probability): as offset for the intercept, as covariate for the slope.
    Probabilities are cut to [1e-6, 1 - 1e-6]. DeclinedError with one class; the slope is NaN when all predictions are
    equal or separate the labels. Never show it in-sample (always 1 there). Source: Cox 1958; Van Calster 2016; R rms.
    """
    predicted = _probabilities(probabilities)
    logits = logit(np.clip(predicted, LOGIT_CLIP, 1 - LOGIT_CLIP))
    centre = fit_logistic(np.empty((logits.size, 0)), labels, weights, offset=logits)
    quantile = float(norm.isf((1 - level) / 2))
    intercept, half = float(centre.coefficients[0]), quantile * float(centre.standard_errors[0])
    slope, slope_half = float("nan"), float("nan")
    if np.ptp(logits) > 0:
        line = fit_logistic(logits[:, None], labels, weights)
        if line.converged:
            slope, slope_half = float(line.coefficients[1]), quantile * float(line.standard_errors[1])
    return CalibrationLine(intercept, intercept - half, intercept + half, slope, slope - slope_half, slope + slope_half)


def calibration_groups(
    labels: ArrayLike, probabilities: ArrayLike, groups: int = 10, weights: ArrayLike | None = None
) -> CalibrationGroups:
    """Return observed shares in `groups` groups of about equal size by predicted risk.

    Equal predictions stay together, so fewer groups can come back. With weights the Wilson bounds use the effective
    number of rows, (sum w)^2 / sum w^2. Rows without weight do not count.
    """
    predicted = _probabilities(probabilities)
    truth = binary("labels", labels, predicted.size)
    scale = weights_or_ones(weights, predicted.size)
    if groups < 1:
        raise ValueError(f"groups must be at least 1, got {groups}")
    kept = scale > 0
    predicted, truth, scale = predicted[kept], truth[kept], scale[kept]
    edges = np.quantile(predicted, np.linspace(0, 1, groups + 1)[1:-1])
    member = np.searchsorted(edges, predicted, side="left")
    parts = [np.flatnonzero(member == group) for group in np.unique(member)]
    weight = np.array([scale[part].sum() for part in parts])
    share = np.array([np.average(truth[part], weights=scale[part]) for part in parts])
    effective = weight**2 / np.array([(scale[part] ** 2).sum() for part in parts])
    bounds = [wilson_interval(float(s * e), float(e)) for s, e in zip(share, effective, strict=True)]
    return CalibrationGroups(
        predicted=np.array([np.average(predicted[part], weights=scale[part]) for part in parts]),
        observed=share,
        lower=np.array([bound.lower for bound in bounds]),
        upper=np.array([bound.upper for bound in bounds]),
        size=np.array([float(part.size) for part in parts]),
        weight=weight,
    )


def wilson_interval(events: float, size: float, level: float = 0.95) -> Interval:
    """Return Wilson's score interval of a share, `events` of `size` > 0 (either may be a weighted count)."""
    if size <= 0 or not 0 <= events <= size * (1 + 1e-12):
        raise ValueError(f"events must lie between 0 and size > 0, got {events} of {size}")
    z = float(norm.isf((1 - level) / 2))
    share = min(events / size, 1.0)
    centre = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * float(np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2)))
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def _probabilities(values: ArrayLike) -> Floats:
    """Values in [0, 1]."""
    predicted = vector("probabilities", values)
    if ((predicted < 0) | (predicted > 1)).any():
        raise ValueError(f"probabilities must lie in [0, 1], got {predicted.min()} to {predicted.max()}")
    return predicted
