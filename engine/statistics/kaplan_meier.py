"""Kaplan-Meier survival curves with case weights and log-log confidence bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from engine.statistics.checks import Floats, binary, vector, weights_or_ones


@dataclass(frozen=True, slots=True)
class SurvivalCurve:
    """A step function: values hold from each distinct time on; before the first time survival is 1."""

    times: Floats
    at_risk: Floats
    events: Floats
    censored: Floats
    survival: Floats
    lower: Floats
    upper: Floats


def kaplan_meier(
    times: ArrayLike, events: ArrayLike, weights: ArrayLike | None = None, level: float = 0.95
) -> SurvivalCurve:
    """Return the product-limit estimate of survival with log-log bounds (Greenwood's variance).

    `times` (n,) non-negative, `events` (n,) 0/1, `weights` (n,) frequency weights; rows of weight 0 do not count. At a
    tied time events come before censorings. Bounds are survival itself while it is 1, and NaN where it is 0. Source:
    Kaplan and Meier 1958; R survival::survfit(conf.type = "log-log").
    """
    duration = vector("times", times)
    if duration.size == 0 or (duration < 0).any():
        raise ValueError(
            f"times must hold non-negative values, got minimum {duration.min(initial=0)} of {duration.size}"
        )
    happened = binary("events", events, duration.size)
    scale = weights_or_ones(weights, duration.size)
    duration, happened, scale = duration[scale > 0], happened[scale > 0], scale[scale > 0]
    moments, position = np.unique(duration, return_inverse=True)
    deaths = np.bincount(position, scale * happened, moments.size).astype(np.float64)
    leaving = np.bincount(position, scale, moments.size).astype(np.float64)
    at_risk = np.cumsum(leaving[::-1])[::-1]
    survival, lower, upper = _estimate(deaths, at_risk, level)
    return SurvivalCurve(moments, at_risk, deaths, leaving - deaths, survival, lower, upper)


def _estimate(deaths: Floats, at_risk: Floats, level: float) -> tuple[Floats, Floats, Floats]:
    """Survival and its log-log bounds."""
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.where(at_risk > 0, 1 - deaths / at_risk, 1.0)
        survival = np.asarray(np.cumprod(np.maximum(step, 0.0)), dtype=np.float64)
        greenwood = np.cumsum(np.where(deaths > 0, deaths / (at_risk * (at_risk - deaths)), 0.0))
        half = norm.isf((1 - level) / 2) * np.sqrt(greenwood) / np.abs(np.log(survival))
        lower, upper = survival ** np.exp(half), survival ** np.exp(-half)
    whole = survival == 1
    gone = survival <= 0
    lower = np.where(whole, 1.0, np.where(gone, np.nan, lower))
    upper = np.where(whole, 1.0, np.where(gone, np.nan, upper))
    return survival, lower, upper


def survival_at(curve: SurvivalCurve, times: ArrayLike) -> Floats:
    """Return survival just after each of `times` (m,); beyond the last time the last value is carried on."""
    position = np.searchsorted(curve.times, vector("times", times), side="right")
    return np.concatenate(([1.0], curve.survival))[position]


def survival_before(curve: SurvivalCurve, times: ArrayLike) -> Floats:
    """Return survival just before each of `times` (m,): the left limit S(t-)."""
    position = np.searchsorted(curve.times, vector("times", times), side="left")
    return np.concatenate(([1.0], curve.survival))[position]


def at_risk_at(curve: SurvivalCurve, times: ArrayLike) -> Floats:
    """Return the number still at risk at each of `times` (m,): the row under a Kaplan-Meier figure."""
    position = np.searchsorted(curve.times, vector("times", times), side="left")
    return np.concatenate((curve.at_risk, [0.0]))[position]


def median_survival(curve: SurvivalCurve) -> float | None:
    """Return the first time at which survival is 0.5 or less; None when it never is.

    Where survival equals 0.5 exactly, midway to the next event, as R does.
    """
    below = np.flatnonzero(curve.survival <= 0.5 + 1e-12)
    if below.size == 0:
        return None
    first = int(below[0])
    later = np.flatnonzero(curve.survival < 0.5 - 1e-12)
    if abs(float(curve.survival[first]) - 0.5) < 1e-12 and later.size:
        return float((curve.times[first] + curve.times[int(later[0])]) / 2)
    return float(curve.times[first])
