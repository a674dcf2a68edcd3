"""Brier score of predicted probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from engine.statistics.checks import binary, vector, weights_or_ones


def brier(labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the weighted mean squared difference of 0/1 `labels` (n,) and `probabilities` (n,): 0 perfect, 1 worst."""
    predicted = vector("probabilities", probabilities)
    truth = binary("labels", labels, predicted.size)
    scale = weights_or_ones(weights, predicted.size)
    return float(np.average((truth - predicted) ** 2, weights=scale))


def scaled_brier(labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return 1 - brier / brier of predicting the (weighted) prevalence: 1 perfect, 0 no better, negative worse.

    NaN when one class has no weight. Source: Steyerberg et al. 2010.
    """
    truth = binary("labels", labels).astype(np.float64)
    prevalence = float(np.average(truth, weights=weights_or_ones(weights, truth.size)))
    worst = prevalence * (1 - prevalence)
    return float("nan") if worst == 0 else 1 - brier(labels, probabilities, weights) / worst
