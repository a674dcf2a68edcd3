"""DeLong's variance of correlated areas under the ROC curve; valid on held-out or determined scores only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from engine.statistics.checks import Floats, binary, matrix, weights_or_ones
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
class AucDifference:
    """Difference first - second of two areas with its confidence bounds."""

    difference: float
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


def weighted_auc_difference(
    labels: ArrayLike, first: ArrayLike, second: ArrayLike, weights: ArrayLike | None, level: float = 0.95
) -> AucDifference:
    """Return the difference of two weighted areas on the same patients with a Wald interval of the given level.

    The variance is that of DeLong with each placement weighted as its patient (n,) is, who then stands for so many
    others but was seen once: with equal weights it is `compare_aucs`. Patients of weight 0 do not count. DeclinedError
    as in `delong`.
    """
    scores = matrix("scores", np.stack([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)]))
    truth, share = binary("labels", labels, scores.shape[1]), weights_or_ones(weights, scores.shape[1])
    events, others = truth & (share > 0), ~truth & (share > 0)
    if events.sum() < 2 or others.sum() < 2:
        raise DeclinedError(
            f"an AUC interval needs two events and two non-events, got {events.sum()} and {others.sum()}"
        )
    (above, below), (above_second, below_second) = (_placements(row, share, events, others) for row in scores)
    above, below = above - above_second, below - below_second
    difference = float(np.average(above, weights=share[events]))
    variance = _of_mean(above, share[events]) + _of_mean(below, share[others])
    half = float(norm.isf((1 - level) / 2) * np.sqrt(variance))
    return AucDifference(difference, difference - half, difference + half)


def _placements(
    scores: Floats, share: Floats, events: NDArray[np.bool_], others: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Weighted share of non-events below each event, and of events above each non-event; ties count one half."""
    return (
        _share_below(scores[events], scores[others], share[others]),
        1.0 - _share_below(scores[others], scores[events], share[events]),
    )


def _share_below(values: Floats, others: Floats, share: Floats) -> Floats:
    order = np.argsort(others)
    total = np.concatenate(([0.0], np.cumsum(share[order])))
    left, right = (np.searchsorted(others[order], values, side=side) for side in ("left", "right"))
    return np.asarray((total[left] + total[right]) / (2.0 * total[-1]))


def _of_mean(values: Floats, share: Floats) -> float:
    """Variance of a weighted mean of values that were each seen once."""
    spread = share * (values - np.average(values, weights=share)) / share.sum()
    return float(values.size / (values.size - 1) * (spread**2).sum())
