"""Receiver operating characteristic with case weights and ties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.statistics.checks import Flags, Floats, binary, vector, weights_or_ones


@dataclass(frozen=True, slots=True)
class RocCurve:
    """Points from (0, 0) to (1, 1); positive means score >= threshold; the first threshold is infinite."""

    threshold: Floats
    false_positive_rate: Floats
    true_positive_rate: Floats


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold (positive means score >= threshold) with its sensitivity and specificity in [0, 1]."""

    threshold: float
    sensitivity: float
    specificity: float


def roc_curve(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> RocCurve:
    """Return the ROC points of `scores` (n,) against 0/1 `labels` (n,), one point for each distinct score.

    Higher scores must mean events: the direction is never flipped. Tied scores make one sloping step. ValueError when
    events or non-events have no weight.
    """
    truth, values, scale = _checked(labels, scores, weights)
    order = np.argsort(-values, kind="stable")
    last = np.append(np.flatnonzero(np.diff(values[order])), values.size - 1)
    true = np.cumsum(scale[order] * truth[order])[last]
    false = np.cumsum(scale[order] * ~truth[order])[last]
    return RocCurve(
        threshold=np.concatenate(([np.inf], values[order][last])),
        false_positive_rate=np.concatenate(([0.0], false / false[-1])),
        true_positive_rate=np.concatenate(([0.0], true / true[-1])),
    )


def weighted_auc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the area under the ROC curve in [0, 1]: the weighted share of (event, non-event) pairs ordered right.

    A tied pair counts one half. Arguments and errors as in `roc_curve`. With inverse-probability-of-censoring weights
    this is the cumulative/dynamic AUC at the horizon.
    """
    curve = roc_curve(labels, scores, weights)
    return float(np.trapezoid(curve.true_positive_rate, curve.false_positive_rate))


def youden_point(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> OperatingPoint:
    """Return the point with the largest sensitivity + specificity; the threshold is midway to the next lower score."""
    curve = roc_curve(labels, scores, weights)
    best = int(np.argmax(curve.true_positive_rate - curve.false_positive_rate))
    upper = curve.threshold[best]
    lower = curve.threshold[best + 1] if best + 1 < curve.threshold.size else -np.inf
    return OperatingPoint(
        threshold=float((upper + lower) / 2),
        sensitivity=float(curve.true_positive_rate[best]),
        specificity=float(1 - curve.false_positive_rate[best]),
    )


def _checked(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike | None) -> tuple[Flags, Floats, Floats]:
    """Rows with weight only; both classes present."""
    values = vector("scores", scores)
    truth = binary("labels", labels, values.size)
    scale = weights_or_ones(weights, values.size)
    kept = scale > 0
    if not truth[kept].any() or truth[kept].all():
        raise ValueError(f"labels must hold events and non-events, got {int(truth[kept].sum())} of {int(kept.sum())}")
    return truth[kept], values[kept], scale[kept]
