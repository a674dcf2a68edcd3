"""Firth's penalised logistic regression: finite estimates with few events or separation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import chi2

from engine.statistics.checks import Flags, Floats, binary, matrix, weights_or_ones
from store.records import DeclinedError

MAX_ITERATIONS = 200
MAX_HALVINGS = 30
MAX_LOGIT_STEP = 5.0
TOLERANCE = 1e-11


@dataclass(frozen=True, slots=True)
class FirthFit:
    """Coefficients (1 + p,), intercept first, with profile bounds and p of the penalised likelihood ratio."""

    coefficients: Floats
    covariance: Floats
    standard_errors: Floats
    lower: Floats
    upper: Floats
    p_values: Floats
    log_likelihood: float
    converged: bool


@dataclass(frozen=True, slots=True)
class _Task:
    """Design with intercept (n, 1 + p), labels and weights."""

    design: Floats
    truth: Flags
    weights: Floats


@dataclass(frozen=True, slots=True)
class _Maximum:
    """Where the search ended."""

    beta: Floats
    value: float
    converged: bool


def fit_firth(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None, level: float = 0.95) -> FirthFit:
    """Return the logistic regression of 0/1 `y` (n,) on `x` (n, p) with Jeffreys' penalty log|information| / 2.

    Bounds are profile penalised likelihood, p the penalised likelihood ratio with the coefficient held at 0.
    DeclinedError when one class is missing, a column is constant or columns are collinear. Source: Firth 1993; Heinze
    and Schemper 2002; R logistf.
    """
    values = matrix("x", x)
    truth = binary("y", y, values.shape[0])
    scale = weights_or_ones(weights, values.shape[0])
    kept = scale > 0
    task = _Task(np.column_stack([np.ones(int(kept.sum())), values[kept]]), truth[kept], scale[kept])
    if not task.truth.any() or task.truth.all():
        raise DeclinedError("a logistic model needs events and non-events, got one class only")
    if np.linalg.matrix_rank(task.design) < task.design.shape[1]:
        raise DeclinedError("a logistic model needs columns that vary independently, got collinear ones")
    size = task.design.shape[1]
    best = _maximise(task, np.zeros(size), np.arange(size))
    covariance = np.asarray(np.linalg.inv(_information(task, best.beta)), dtype=np.float64)
    errors = np.sqrt(np.diag(covariance))
    nulls = [_held(task, best, column, 0.0).value for column in range(size)]
    drop = chi2.isf(1 - level, 1) / 2
    bounds = [
        _profile(task, best, column, sign * float(errors[column]), drop) for sign in (-1, 1) for column in range(size)
    ]
    return FirthFit(
        coefficients=best.beta,
        covariance=covariance,
        standard_errors=errors,
        lower=np.array(bounds[:size]),
        upper=np.array(bounds[size:]),
        p_values=np.asarray(chi2.sf(np.maximum(2 * (best.value - np.array(nulls)), 0.0), 1)),
        log_likelihood=best.value,
        converged=best.converged,
    )


def _information(task: _Task, beta: Floats) -> Floats:
    """Fisher information of the unpenalised likelihood."""
    logits = task.design @ beta
    return np.asarray((task.design * (task.weights * expit(logits) * expit(-logits))[:, None]).T @ task.design)


def _value(task: _Task, beta: Floats) -> float:
    """Penalised log likelihood."""
    logits = task.design @ beta
    likelihood = float(task.weights @ (task.truth * logits - np.logaddexp(0.0, logits)))
    return likelihood + float(np.linalg.slogdet(_information(task, beta))[1]) / 2


def _score(task: _Task, beta: Floats, information: Floats) -> Floats:
    """Firth's modified score: residuals moved by leverage * (1/2 - probability)."""
    probability = expit(task.design @ beta)
    spread = task.weights * probability * (1 - probability)
    leverage = spread * np.einsum("ij,ji->i", task.design, np.linalg.solve(information, task.design.T))
    moved = task.weights * (task.truth - probability) + leverage * (0.5 - probability)
    return np.asarray(task.design.T @ moved)


def _maximise(task: _Task, start: Floats, free: np.ndarray[tuple[int], np.dtype[np.intp]]) -> _Maximum:
    """Scoring steps on the `free` coefficients, shortened while the value falls."""
    beta, value = start.copy(), _value(task, start)
    for _ in range(MAX_ITERATIONS):
        information = _information(task, beta)
        if free.size == 0:
            return _Maximum(beta, value, converged=True)
        move = np.zeros_like(beta)
        move[free] = np.linalg.solve(information[np.ix_(free, free)], _score(task, beta, information)[free])
        reach = float(np.abs(task.design @ move).max())
        if reach <= TOLERANCE:
            return _Maximum(beta, value, converged=True)
        move *= min(1.0, MAX_LOGIT_STEP / reach)
        for power in range(MAX_HALVINGS):
            after = _value(task, beta + move / 2**power)
            if np.isfinite(after) and after >= value - 1e-12 * (abs(value) + 1):
                beta, value = beta + move / 2**power, after
                break
    return _Maximum(beta, value, converged=bool(reach < 1e-6))


def _held(task: _Task, best: _Maximum, column: int, at: float) -> _Maximum:
    """The maximum with one coefficient held."""
    start = best.beta.copy()
    start[column] = at
    return _maximise(task, start, np.delete(np.arange(start.size), column))


def _profile(task: _Task, best: _Maximum, column: int, step: float, drop: float) -> float:
    """The value on one side at which the profile has fallen by `drop`; infinite when it never does."""
    centre = float(best.beta[column])

    def gap(at: float) -> float:
        return best.value - _held(task, best, column, at).value - drop

    near, far = centre, centre + 2 * step
    for _ in range(MAX_HALVINGS):
        if gap(far) > 0:
            return float(brentq(gap, near, far, xtol=1e-10))
        near, far = far, centre + (far - centre) * 2
        if abs(far) > 1e6 * (1 + abs(step)):
            break
    return float(np.copysign(np.inf, step))
