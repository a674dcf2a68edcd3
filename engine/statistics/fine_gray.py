"""Fine and Gray's subdistribution hazards: a Cox model in which competing events stay at risk, weighted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from engine.statistics.censoring import CensoringCurve, fit_censoring
from engine.statistics.checks import Floats, Indices, matrix, vector
from store.records import DeclinedError

MAX_ITERATIONS = 60
MAX_HALVINGS = 30
TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True)
class FineGrayFit:
    """Log subdistribution hazard ratios (p,) with sandwich errors, Wald bounds and p; not converged when separated."""

    coefficients: Floats
    standard_errors: Floats
    lower: Floats
    upper: Floats
    p_values: Floats
    converged: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Centred columns (n, p), times, causes (1 own, 2 another, 0 censored), own event times (m,) and weights (m, n).

    weights[j, i] is 1 while patient i is followed, G(t-) / G(T-) after a competing event, else 0.
    """

    x: Floats
    times: Floats
    causes: Indices
    moments: Floats
    deaths: Floats
    weights: Floats
    censoring: CensoringCurve


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """Log likelihood, score (p,), information (p, p), weighted means (m, p) and baseline hazard (m,) at beta."""

    value: float
    score: Floats
    information: Floats
    means: Floats
    hazard: Floats


def fit_fine_gray(
    x: ArrayLike, times: ArrayLike, causes: ArrayLike, cause: int = 1, level: float = 0.95
) -> FineGrayFit:
    """Return the model of the cumulative incidence of `cause`, other causes competing.

    `x` (n, p), `times` (n,), `causes` (n,) integers, 0 censored. Breslow ties; censoring by Kaplan-Meier, events
    leaving before censorings. Errors are Fine and Gray's, with the term for the estimated censoring curve.
    DeclinedError without an event of the cause or with a constant column. Source: Fine and Gray 1999; R cmprsk::crr.
    """
    rows = _rows(matrix("x", x), vector("times", times), np.asarray(causes), cause)
    beta = np.zeros(rows.x.shape[1])
    step, converged = _step(rows, beta), False
    for _ in range(MAX_ITERATIONS):
        move = np.asarray(np.linalg.lstsq(step.information, step.score, rcond=None)[0], dtype=np.float64)
        beta, step = _climbed(rows, beta, move, step)
        if np.abs(rows.x @ move).max(initial=0.0) <= TOLERANCE:
            converged = True
            break
    errors = _sandwich(rows, beta, step)
    half = norm.isf((1 - level) / 2) * errors
    with np.errstate(divide="ignore", invalid="ignore"):
        p_values = 2 * norm.sf(np.abs(beta / errors))
    return FineGrayFit(beta, errors, beta - half, beta + half, p_values, converged)


def _rows(x: Floats, times: Floats, kinds: Indices, cause: int) -> _Rows:
    """Check and arrange the rows."""
    if times.size != x.shape[0] or kinds.shape != times.shape or cause == 0:
        raise ValueError(
            f"times and causes must have {x.shape[0]} values and cause not be 0, got {times.size}, {cause}"
        )
    own, other = kinds == cause, (kinds != cause) & (kinds != 0)
    if not own.any():
        raise DeclinedError("a subdistribution model needs events of its cause, got none")
    if x.shape[1] and (np.ptp(x, axis=0) == 0).any():
        raise DeclinedError("a subdistribution model needs columns that vary, got a constant one")
    censoring = fit_censoring(times, kinds != 0)
    moments = np.unique(times[own])
    after = (times[None, :] < moments[:, None]) & other[None, :]
    ratio = _before(censoring, moments)[:, None] / np.maximum(_before(censoring, times), 1e-300)[None, :]
    weights = np.where(times[None, :] >= moments[:, None], 1.0, np.where(after, ratio, 0.0))
    deaths = np.asarray(own[None, :] & (times[None, :] == moments[:, None]), dtype=np.float64)
    return _Rows(x - x.mean(axis=0), times, own + 2 * other, moments, deaths, weights, censoring)


def _before(curve: CensoringCurve, at: Floats) -> Floats:
    """Probability of being uncensored just before each time."""
    return np.concatenate(([1.0], curve.survival))[np.searchsorted(curve.times, at, side="left")]


def _step(rows: _Rows, beta: Floats) -> _Step:
    """Breslow's likelihood and its derivatives."""
    linear = rows.x @ beta
    with np.errstate(over="ignore", invalid="ignore"):
        risk = rows.weights * np.exp(linear)
        total = risk.sum(axis=1)
        means = risk @ rows.x / total[:, None]
        second = np.einsum("mn,np,nq->mpq", risk, rows.x, rows.x) / total[:, None, None]
        count = rows.deaths.sum(axis=1)
        value = float(rows.deaths.sum(axis=0) @ linear - count @ np.log(total))
        score = rows.deaths.sum(axis=0) @ rows.x - count @ means
        information = np.tensordot(count, second - means[:, :, None] * means[:, None, :], 1)
    return _Step(value, score, information, means, count / total)


def _climbed(rows: _Rows, beta: Floats, move: Floats, before: _Step) -> tuple[Floats, _Step]:
    """The Newton step, halved until the likelihood does not fall."""
    for power in range(MAX_HALVINGS):
        trial = beta + move / 2**power
        after = _step(rows, trial)
        if np.isfinite(after.value) and after.value >= before.value - 1e-12 * (abs(before.value) + 1):
            return trial, after
    return beta, before


def _sandwich(rows: _Rows, beta: Floats, step: _Step) -> Floats:
    """Standard errors by the influence of every patient: on the score, and through the censoring curve."""
    gap = rows.x[None, :, :] - step.means[:, None, :]
    increments = rows.deaths - rows.weights * np.exp(rows.x @ beta) * step.hazard[:, None]
    influence = np.einsum("mn,mnp->np", increments, gap) + _through_censoring(rows, gap, increments)
    inverse = np.linalg.pinv(step.information, hermitian=True)
    return np.asarray(np.sqrt(np.diag(inverse @ (influence.T @ influence) @ inverse)), dtype=np.float64)


def _through_censoring(rows: _Rows, gap: Floats, increments: Floats) -> Floats:
    """Influence (n, p) through the estimated censoring curve: psi of Fine and Gray 1999."""
    censored = rows.causes == 0
    instants = np.unique(rows.times[censored])
    found = np.zeros_like(rows.x)
    if instants.size == 0:
        return found
    shift = np.array([-_later_part(rows, gap, increments, instant) for instant in instants.tolist()])
    followed = np.asarray(rows.times[None, :] >= instants[:, None], dtype=np.float64)
    own = np.asarray((rows.times[None, :] == instants[:, None]) & censored[None, :], dtype=np.float64)
    at_risk = followed.sum(axis=1)
    martingale = own - followed * (own.sum(axis=1) / at_risk)[:, None]
    return np.asarray(martingale.T @ (shift / at_risk[:, None]), dtype=np.float64)


def _later_part(rows: _Rows, gap: Floats, increments: Floats, instant: float) -> Floats:
    """What patients who left by `instant` but stay at risk, weighted, add to the score after it (p,)."""
    later, left = rows.moments > instant, rows.times <= instant
    return np.asarray(np.einsum("mn,mnp->p", increments[np.ix_(later, left)], gap[np.ix_(later, left)]))
