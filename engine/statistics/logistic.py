"""Logistic regression by iteratively reweighted least squares, with case weights, offset and ridge penalty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from engine.statistics.checks import Flags, Floats, binary, matrix, vector, weights_or_ones
from store.records import DeclinedError

MAX_ITERATIONS = 100
MAX_HALVINGS = 30
TOLERANCE = 1e-10
DIVERGED_LOGIT = 30.0


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """Coefficients (1 + p,), intercept first, with inverse information; not converged when the data separate."""

    coefficients: Floats
    covariance: Floats
    standard_errors: Floats
    log_likelihood: float
    converged: bool


@dataclass(frozen=True, slots=True)
class _Task:
    """Design with intercept (n, 1 + p), labels, weights, offset and the diagonal of the penalty."""

    design: Floats
    truth: Flags
    weights: Floats
    offset: Floats
    penalty: Floats

    def objective(self, beta: Floats) -> float:
        """Penalised log likelihood."""
        logits = self.offset + self.design @ beta
        likelihood = float(self.weights @ (self.truth * logits - np.logaddexp(0.0, logits)))
        return likelihood - float(self.penalty @ beta**2) / 2


def fit_logistic(
    x: ArrayLike,
    y: ArrayLike,
    weights: ArrayLike | None = None,
    ridge: float = 0.0,
    offset: ArrayLike | None = None,
) -> LogisticFit:
    """Return the logistic regression of 0/1 `y` (n,) on `x` (n, p) with an intercept.

    `weights` (n,) case weights, `offset` (n,) on the logit scale, `ridge` the penalty ridge / 2 * sum(slope^2) on the
    columns as given (standardise first; the intercept is free). p = 0 fits the intercept alone. DeclinedError when one
    class has no weight. `converged` is False when the likelihood has no maximum (separation, ridge 0).
    """
    task = _task(x, y, weights, ridge, offset)
    beta = np.zeros(task.design.shape[1])
    value, converged = task.objective(beta), False
    for _ in range(MAX_ITERATIONS):
        logits = task.offset + task.design @ beta
        move = np.asarray(
            np.linalg.lstsq(_information(task, logits), _score(task, logits, beta), rcond=None)[0], np.float64
        )
        beta, value = _climbed(task, beta, move, value)
        reach = float(np.abs(task.design @ move).max())
        if reach <= TOLERANCE:
            converged = True
            break
        if np.abs(task.design @ beta).max() > DIVERGED_LOGIT and ridge == 0:
            break
    information = _information(task, task.offset + task.design @ beta)
    covariance = np.asarray(np.linalg.pinv(information, hermitian=True), dtype=np.float64)
    likelihood = value + float(task.penalty @ beta**2) / 2
    return LogisticFit(beta, covariance, np.sqrt(np.maximum(np.diag(covariance), 0.0)), likelihood, converged)


def _task(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None, ridge: float, offset: ArrayLike | None) -> _Task:
    """Check the input; rows without weight do not count."""
    values = matrix("x", x)
    truth = binary("y", y, values.shape[0])
    scale = weights_or_ones(weights, values.shape[0])
    shift = np.zeros(values.shape[0]) if offset is None else vector("offset", offset, values.shape[0])
    if ridge < 0:
        raise ValueError(f"ridge must not be negative, got {ridge}")
    kept = scale > 0
    if not truth[kept].any() or truth[kept].all():
        raise DeclinedError("a logistic model needs events and non-events, got one class only")
    penalty = np.full(values.shape[1] + 1, float(ridge))
    penalty[0] = 0.0
    design = np.column_stack([np.ones(int(kept.sum())), values[kept]])
    return _Task(design, truth[kept], scale[kept], shift[kept], penalty)


def _score(task: _Task, logits: Floats, beta: Floats) -> Floats:
    """Derivative of the objective."""
    return np.asarray(task.design.T @ (task.weights * (task.truth - expit(logits))) - task.penalty * beta)


def _information(task: _Task, logits: Floats) -> Floats:
    """Negative second derivative of the objective."""
    variance = task.weights * expit(logits) * expit(-logits)
    return np.asarray((task.design * variance[:, None]).T @ task.design + np.diag(task.penalty))


def _climbed(task: _Task, beta: Floats, move: Floats, value: float) -> tuple[Floats, float]:
    """The Newton step, halved until the objective does not fall."""
    for power in range(MAX_HALVINGS):
        trial = beta + move / 2**power
        after = task.objective(trial)
        if np.isfinite(after) and after >= value - 1e-12 * (abs(value) + 1):
            return trial, after
    return beta, value


def predict_logistic(fit: LogisticFit, x: ArrayLike) -> Floats:
    """Return the predicted probability (n,) of rows `x` (n, p)."""
    values = matrix("x", x)
    return np.asarray(expit(fit.coefficients[0] + values @ fit.coefficients[1:]), dtype=np.float64)
