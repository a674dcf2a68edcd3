"""Risk sets and Efron's partial likelihood: what Cox regression and its tests are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.statistics.checks import Floats, binary, matrix, vector, weights_or_ones
from store.records import DeclinedError


@dataclass(frozen=True, slots=True)
class RiskSets:
    """Rows sorted by time, latest first, and centred on `mean`; `moments` are the event times, latest first."""

    x: Floats
    weights: Floats
    mean: Floats
    moments: Floats
    entered: tuple[int, ...]
    deaths: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class LikelihoodStep:
    """Log partial likelihood with score (moments, p), information (moments, p, p) and hazard of each event time."""

    log_likelihood: float
    scores: Floats
    information: Floats
    hazard: Floats


def risk_sets(x: ArrayLike, times: ArrayLike, events: ArrayLike, weights: ArrayLike | None) -> RiskSets:
    """Return the checked, sorted rows; DeclinedError without events or with a constant column."""
    values = matrix("x", x)
    duration = vector("times", times, values.shape[0])
    happened = binary("events", events, values.shape[0])
    scale = weights_or_ones(weights, values.shape[0])
    kept = scale > 0
    values, duration, happened, scale = values[kept], duration[kept], happened[kept], scale[kept]
    if not happened.any():
        raise DeclinedError("a Cox model needs events, got none")
    if values.shape[1] and (np.ptp(values, axis=0) == 0).any():
        raise DeclinedError("a Cox model needs columns that vary, got a constant one")
    order = np.argsort(-duration, kind="stable")
    mean = np.average(values, axis=0, weights=scale)
    duration, happened = duration[order], happened[order]
    moments = np.unique(duration[happened])[::-1]
    return RiskSets(
        x=values[order] - mean,
        weights=scale[order],
        mean=mean,
        moments=moments,
        entered=tuple(int(row) for row in np.searchsorted(-duration, -moments, side="right")),
        deaths=tuple(tuple(np.flatnonzero(happened & (duration == moment)).tolist()) for moment in moments),
    )


def likelihood_step(risk: RiskSets, beta: Floats) -> LikelihoodStep:
    """Return Efron's likelihood and its derivatives at the log hazard ratios `beta` (p,)."""
    x, p = risk.x, risk.x.shape[1]
    linear = x @ beta
    ends = np.asarray(risk.entered) - 1
    scores, information = np.zeros((ends.size, p)), np.zeros((ends.size, p, p))
    hazard = np.zeros(ends.size)
    total = 0.0
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        weight = risk.weights * np.exp(linear)
        weighted = weight[:, None] * x
        sum0 = np.cumsum(weight)[ends]
        sum1 = np.cumsum(weighted, axis=0)[ends]
        sum2 = np.cumsum(weighted[:, :, None] * x[:, None, :], axis=0)[ends]
        for at, rows in enumerate(risk.deaths):
            dead = list(rows)
            mass = risk.weights[dead]
            share = (np.arange(len(dead)) / len(dead))[:, None]
            zero = sum0[at] - share * weight[dead].sum()
            means = (sum1[at] - share * weighted[dead].sum(axis=0)) / zero
            second = sum2[at] - share[:, :, None] * (weighted[dead].T @ x[dead])
            total += float(mass @ linear[dead]) - float(mass.mean() * np.log(zero).sum())
            scores[at] = mass @ x[dead] - mass.mean() * means.sum(axis=0)
            information[at] = mass.mean() * ((second / zero[:, :, None]).sum(axis=0) - means.T @ means)
            hazard[at] = mass.mean() * (1 / zero).sum()
    return LikelihoodStep(total, scores, information, hazard)
