"""Cumulative incidence under competing risks, right with tied times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from engine.statistics.checks import Floats, vector


@dataclass(frozen=True, slots=True)
class CumulativeIncidence:
    """A step function of the probability in [0, 1] of the event by each time, with log-log bounds."""

    times: Floats
    incidence: Floats
    standard_error: Floats
    lower: Floats
    upper: Floats


def cumulative_incidence(times: ArrayLike, causes: ArrayLike, cause: int, level: float = 0.95) -> CumulativeIncidence:
    """Return the Aalen-Johansen estimate of the incidence of `cause`, other causes competing.

    `times` (n,) non-negative, `causes` (n,) integers, 0 censored. Ties are handled as they are: nothing is jittered.
    The standard error is the delta-method one of R survival::survfit. Source: Aalen and Johansen 1978.
    """
    duration = vector("times", times)
    kinds = np.asarray(causes)
    if kinds.shape != duration.shape or cause == 0:
        raise ValueError(f"causes must have shape {duration.shape} and cause not be 0, got {kinds.shape}, {cause}")
    moments, position = np.unique(duration, return_inverse=True)
    own = np.bincount(position, kinds == cause, moments.size).astype(np.float64)
    every = np.bincount(position, kinds != 0, moments.size).astype(np.float64)
    at_risk = np.cumsum(np.bincount(position, minlength=moments.size)[::-1])[::-1].astype(np.float64)
    survival = np.cumprod(1 - every / at_risk)
    before = np.concatenate(([1.0], survival[:-1]))
    incidence = np.cumsum(before * own / at_risk)
    error = np.sqrt(_variance(incidence, before, own, every, at_risk))
    lower, upper = _log_log(incidence, error, level)
    return CumulativeIncidence(moments, incidence, error, lower, upper)


def _variance(incidence: Floats, before: Floats, own: Floats, every: Floats, at_risk: Floats) -> Floats:
    """Delta-method variance at every time, from running sums of the expanded square."""
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.where(at_risk > every, every / (at_risk * (at_risk - every)), 0.0)
    chance = before**2 * own * (at_risk - own) / at_risk**3
    cross = before * own / at_risk**2
    first = incidence**2 * np.cumsum(spread) - 2 * incidence * np.cumsum(incidence * spread)
    first += np.cumsum(incidence**2 * spread)
    mixed = incidence * np.cumsum(cross) - np.cumsum(incidence * cross)
    return np.asarray(np.maximum(first + np.cumsum(chance) - 2 * mixed, 0.0), dtype=np.float64)


def _log_log(incidence: Floats, error: Floats, level: float) -> tuple[Floats, Floats]:
    """Bounds on the scale log(-log(1 - incidence)); incidence itself where it is 0 or 1."""
    inside = (incidence > 0) & (incidence < 1)
    safe = np.where(inside, incidence, 0.5)
    half = norm.isf((1 - level) / 2) * error / np.abs((1 - safe) * np.log1p(-safe))
    lower = 1 - (1 - safe) ** np.exp(-half)
    upper = 1 - (1 - safe) ** np.exp(half)
    return np.where(inside, lower, incidence), np.where(inside, upper, incidence)


def incidence_at(curve: CumulativeIncidence, times: ArrayLike) -> Floats:
    """Return the incidence by each of `times` (m,); 0 before the first time, the last value carried on."""
    position = np.searchsorted(curve.times, vector("times", times), side="right")
    return np.concatenate(([0.0], curve.incidence))[position]
