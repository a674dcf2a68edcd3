"""DeLong's variance of correlated areas under the ROC curve; valid on held-out or determined scores only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from engine.statistics.checks import Floats, binary, matrix
from store.records import DeclinedError

VARIANCE_FLOOR = 1e-20


@dataclass(frozen=True, slots=True)
class DeLong:
    """Areas (models,) in [0, 1] and their covariance (models, models)."""

    auc: Floats
    covariance: Floats


@dataclass(frozen=True, slots=True)
class AucInterval:
    """An area with its standard error and confidence bounds."""

    auc: float
    standard_error: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class AucComparison:
    """Difference first - second with bounds, z and two-sided p; z and p are None where it cannot be tested."""

    first: float
    second: float
    difference: float
    standard_error: float
    lower: float
    upper: float
    z: float | None
    p_value: float | None


def delong(labels: ArrayLike, scores: ArrayLike) -> DeLong:
    """Return the areas of m models on the same n patients and their covariance by placement values (midranks).

    `labels` (n,) 0/1, `scores` (m, n); higher must mean events, never flipped. DeclinedError with fewer than two events
    or two non-events. Source: DeLong et al. 1988; Sun and Xu 2014; R pROC 1.18.0.
    """
    values = matrix("scores", scores)
    truth = binary("labels", labels, values.shape[1])
    events, others = int(truth.sum()), int((~truth).sum())
    if events < 2 or others < 2:
        raise DeclinedError(f"an AUC interval needs two events and two non-events, got {events} and {others}")
    ranks = rankdata(values, axis=1)
    above = (ranks[:, truth] - rankdata(values[:, truth], axis=1)) / others
    below = 1 - (ranks[:, ~truth] - rankdata(values[:, ~truth], axis=1)) / events
    covariance = np.atleast_2d(np.cov(above)) / events + np.atleast_2d(np.cov(below)) / others
    return DeLong(auc=above.mean(axis=1), covariance=covariance)


def auc_interval(labels: ArrayLike, scores: ArrayLike, level: float = 0.95) -> AucInterval:
    """Return the area of `scores` (n,) with DeLong's standard error and the Wald interval, cut to [0, 1] as in pROC."""
    result = delong(labels, np.asarray(scores, dtype=np.float64)[None, :])
    auc, error = float(result.auc[0]), float(np.sqrt(result.covariance[0, 0]))
    half = float(norm.isf((1 - level) / 2)) * error
    return AucInterval(auc, error, max(0.0, auc - half), min(1.0, auc + half))


def auc_logit_interval(labels: ArrayLike, scores: ArrayLike, level: float = 0.95) -> AucInterval:
    """Return the area with DeLong's standard error and an interval on the logit scale, always inside (0, 1).

    An area of exactly 0 or 1 has no logit: the bounds are then the area itself.
    """
    wald = auc_interval(labels, scores, level)
    if not 0 < wald.auc < 1:
        return AucInterval(wald.auc, wald.standard_error, wald.auc, wald.auc)
    half = float(norm.isf((1 - level) / 2)) * wald.standard_error / (wald.auc * (1 - wald.auc))
    centre = logit(wald.auc)
    return AucInterval(wald.auc, wald.standard_error, float(expit(centre - half)), float(expit(centre + half)))


def compare_aucs(labels: ArrayLike, first: ArrayLike, second: ArrayLike, level: float = 0.95) -> AucComparison:
    """Return DeLong's paired comparison of two models' scores (n,) on the same patients: first - second.

    Scores that order all pairs alike have variance 0: the difference stands, z and p are None ("not testable").
    DeclinedError as in `delong`. Not valid at its level on apparent or resampled predictions.
    """
    result = delong(labels, np.stack([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)]))
    covariance = result.covariance
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    difference = float(result.auc[0] - result.auc[1])
    testable = variance > VARIANCE_FLOOR
    error = float(np.sqrt(variance)) if testable else 0.0
    half = float(norm.isf((1 - level) / 2)) * error
    z = difference / error if testable else None
    return AucComparison(
        first=float(result.auc[0]),
        second=float(result.auc[1]),
        difference=difference,
        standard_error=error,
        lower=difference - half,
        upper=difference + half,
        z=z,
        p_value=None if z is None else float(2 * norm.sf(abs(z))),
    )
