"""Inverse probability of censoring weights at a horizon, and the AUC and Brier score weighted by them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.statistics.checks import Flags, Floats, binary, vector, weights_or_ones
from engine.statistics.roc import weighted_auc
from store.records import DeclinedError


@dataclass(frozen=True, slots=True)
class CensoringCurve:
    """Probability G of being uncensored just after each of the sorted `times`."""

    times: Floats
    survival: Floats


def fit_censoring(times: ArrayLike, events: ArrayLike, weights: ArrayLike | None = None) -> CensoringCurve:
    """Return the Kaplan-Meier curve of censoring, estimated on these (training) rows.

    `times` (n,), `events` (n,) 0/1, `weights` (n,) multiplicities. At a tied time events leave before censorings.
    """
    duration = vector("times", times)
    happened = binary("events", events, duration.size)
    scale = weights_or_ones(weights, duration.size)
    moments, position = np.unique(duration, return_inverse=True)
    deaths = np.bincount(position, scale * happened, moments.size)
    censored = np.bincount(position, scale * ~happened, moments.size)
    at_risk = np.cumsum((deaths + censored)[::-1])[::-1] - deaths
    step = 1 - np.divide(censored, at_risk, out=np.zeros(moments.size), where=at_risk > 0)
    return CensoringCurve(moments, np.cumprod(step))


def ipcw_weights(curve: CensoringCurve, times: ArrayLike, events: ArrayLike, horizon: float) -> Floats:
    """Return the weight of every row (n,) for its outcome at `horizon`.

    1 / G(T-) for events up to and at the horizon; 1 / G(horizon-) for those known to be event-free at it (followed
    beyond it, or censored exactly at it: an administrative cut must not lose everybody); 0 for those censored earlier.
    Without censorings exactly at the horizon this is the usual 1 / G(horizon) of R riskRegression.
    DeclinedError when a needed G is 0: nobody in training was followed so long.
    """
    duration = vector("times", times)
    happened = binary("events", events, duration.size)
    steps = np.concatenate(([1.0], curve.survival))
    before = steps[np.searchsorted(curve.times, duration, side="left")]
    event = happened & (duration <= horizon)
    survivor = (duration > horizon) | ((duration == horizon) & ~happened)
    at_horizon = float(steps[np.searchsorted(curve.times, horizon, side="left")])
    if (survivor.any() and at_horizon <= 0) or (before[event] <= 0).any():
        raise DeclinedError(f"nobody in training was followed to {horizon:g}: weights are not defined")
    weights = np.zeros(duration.size)
    weights[event] = 1 / before[event]
    weights[survivor] = 1 / at_horizon if survivor.any() else 0.0
    return weights


def horizon_labels(times: ArrayLike, events: ArrayLike, horizon: float) -> Flags:
    """Return True (n,) where the event happened up to and at `horizon`; meaningful only where the weight is above 0."""
    duration = vector("times", times)
    return binary("events", events, duration.size) & (duration <= horizon)


def ipcw_auc(labels: ArrayLike, scores: ArrayLike, weights: ArrayLike) -> float:
    """Return the cumulative/dynamic AUC at the horizon in [0, 1] (Uno 2007; Blanche 2013): R riskRegression."""
    return weighted_auc(labels, scores, weights)


def ipcw_brier(labels: ArrayLike, probabilities: ArrayLike, weights: ArrayLike) -> float:
    """Return the Brier score at the horizon: sum of weight * (label - probability)^2 over all rows, divided by n.

    n counts the censored rows (weight 0) too. 0 or more, 0 is perfect. Source: Graf 1999; R riskRegression.
    """
    predicted = vector("probabilities", probabilities)
    truth = binary("labels", labels, predicted.size)
    scale = weights_or_ones(weights, predicted.size)
    return float((scale * (truth - predicted) ** 2).sum() / predicted.size)
