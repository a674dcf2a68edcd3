"""Risk sets and Efron's partial likelihood: what Cox regression and its tests are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.statistics.checks import Floats, Indices, binary, matrix, vector, weights_or_ones
from store.records import DeclinedError


@dataclass(frozen=True, slots=True)
class RiskSets:
    """Rows sorted by time, latest first, and centred on `mean`; `moments` are the event times, latest first.

    `dead` are the rows of events, moment by moment, `first` where each moment's begin, `share` Efron's share of a
    moment's tied events that is taken off its risk set for each.
    """

    x: Floats
    weights: Floats
    mean: Floats
    moments: Floats
    entered: tuple[int, ...]
    dead: Indices
    first: Indices
    share: Floats

    @property
    def counts(self) -> Indices:
        """Events at every moment (m,)."""
        return np.diff(np.append(self.first, self.dead.size))


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
    dead = np.flatnonzero(happened)  # latest first, as the rows are
    counts = np.bincount(np.searchsorted(-moments, -duration[dead]), minlength=moments.size)
    first = np.concatenate(([0], np.cumsum(counts)[:-1]))
    return RiskSets(
        x=values[order] - mean,
        weights=scale[order],
        mean=mean,
        moments=moments,
        entered=tuple(int(row) for row in np.searchsorted(-duration, -moments, side="right")),
        dead=dead,
        first=first,
        share=(np.arange(dead.size) - np.repeat(first, counts)) / np.repeat(counts, counts),
    )


def likelihood_step(risk: RiskSets, beta: Floats) -> LikelihoodStep:
    """Return Efron's likelihood and its derivatives at the log hazard ratios `beta` (p,)."""
    linear = risk.x @ beta
    ends = np.asarray(risk.entered) - 1
    counts = risk.counts
    at = np.repeat(np.arange(ends.size), counts)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        weight = risk.weights * np.exp(linear)
        weighted = weight[:, None] * risk.x
        squared = weighted[:, :, None] * risk.x[:, None, :]
        zero = _without(weight, risk, ends, at)
        means = _without(weighted, risk, ends, at) / zero[:, None]
        second = _without(squared, risk, ends, at) / zero[:, None, None]
        mass = risk.weights[risk.dead]
        mean_mass = np.add.reduceat(mass, risk.first) / counts
        total = float(mass @ linear[risk.dead] - mean_mass[at] @ np.log(zero))
        own = np.add.reduceat(mass[:, None] * risk.x[risk.dead], risk.first)
        scores = own - mean_mass[:, None] * np.add.reduceat(means, risk.first)
        spread = np.add.reduceat(second - means[:, :, None] * means[:, None, :], risk.first)
        hazard = mean_mass * np.add.reduceat(1 / zero, risk.first)
    return LikelihoodStep(total, scores, mean_mass[:, None, None] * spread, hazard)


def _without(values: Floats, risk: RiskSets, ends: Indices, at: Indices) -> Floats:
    """Sums over the risk set of every event, less Efron's share of the events tied with it."""
    tied = np.add.reduceat(values[risk.dead], risk.first)
    share = risk.share.reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(np.cumsum(values, axis=0)[ends][at] - share * tied[at])
