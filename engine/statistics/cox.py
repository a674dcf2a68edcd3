"""Cox proportional hazards regression (Efron ties) and the score test of proportional hazards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2, norm

from engine.statistics.checks import Floats, matrix
from engine.statistics.kaplan_meier import kaplan_meier, survival_before
from engine.statistics.partial_likelihood import LikelihoodStep, RiskSets, likelihood_step, risk_sets

MAX_ITERATIONS = 60
MAX_HALVINGS = 30
TOLERANCE = 1e-9
DIVERGED_LOG_HAZARD = 30.0
SMALLEST_SHARE = 1e-9  # of the spread that a column has by itself; less is rounding


@dataclass(frozen=True, slots=True)
class CoxFit:
    """Log hazard ratios (p,) with errors, bounds and Wald p; baseline cumulative hazard at `times` for x = `mean`."""

    coefficients: Floats
    covariance: Floats
    standard_errors: Floats
    lower: Floats
    upper: Floats
    p_values: Floats
    log_likelihood_null: float
    log_likelihood: float
    mean: Floats
    times: Floats
    cumulative_hazard: Floats
    converged: bool


@dataclass(frozen=True, slots=True)
class ProportionalHazards:
    """Chi-square and p of each coefficient's constancy in time (p,), and of all together."""

    statistics: Floats
    p_values: Floats
    global_statistic: float
    global_p_value: float


@dataclass(frozen=True, slots=True)
class _Maximum:
    """Where Newton's method ended."""

    beta: Floats
    step: LikelihoodStep
    converged: bool


def fit_cox(
    x: ArrayLike,
    times: ArrayLike,
    events: ArrayLike,
    weights: ArrayLike | None = None,
    ridge: float = 0.0,
    level: float = 0.95,
) -> CoxFit:
    """Return the Cox model of `x` (n, p) by Newton's method on Efron's partial likelihood.

    `times` (n,), `events` (n,) 0/1, `weights` (n,) case weights; `ridge` the penalty ridge / 2 * sum(coefficient^2) on
    the columns as given (0: none). `converged` is False when the likelihood has no maximum (separation). DeclinedError
    without events or with a constant column. Source: Cox 1972; Efron 1977; R survival::coxph.
    """
    risk = risk_sets(x, times, events, weights)
    null = likelihood_step(risk, np.zeros(risk.mean.size))
    best = _maximise(risk, null, ridge)
    information = best.step.information.sum(axis=0) + ridge * np.eye(risk.mean.size)
    covariance = np.linalg.pinv(information, hermitian=True)
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    half = norm.isf((1 - level) / 2) * errors
    with np.errstate(divide="ignore", invalid="ignore"):
        p_values = 2 * norm.sf(np.abs(best.beta / errors))
    return CoxFit(
        coefficients=best.beta,
        covariance=covariance,
        standard_errors=errors,
        lower=best.beta - half,
        upper=best.beta + half,
        p_values=p_values,
        log_likelihood_null=null.log_likelihood,
        log_likelihood=best.step.log_likelihood,
        mean=risk.mean,
        times=risk.moments[::-1].copy(),
        cumulative_hazard=np.cumsum(best.step.hazard[::-1]),
        converged=best.converged,
    )


def _maximise(risk: RiskSets, null: LikelihoodStep, ridge: float) -> _Maximum:
    """Newton steps until none moves the linear predictor; not converged when it runs away."""
    beta, step = np.zeros(risk.mean.size), null
    for _ in range(MAX_ITERATIONS):
        information = step.information.sum(axis=0) + ridge * np.eye(beta.size)
        move = np.linalg.lstsq(information, step.scores.sum(axis=0) - ridge * beta, rcond=None)[0]
        beta, step = _climbed(risk, beta, step, move, ridge)
        reach = np.abs(risk.x @ beta).max(initial=0.0)
        if reach > DIVERGED_LOG_HAZARD:
            return _Maximum(beta, step, converged=False)
        if np.abs(risk.x @ move).max(initial=0.0) <= TOLERANCE:
            return _Maximum(beta, step, converged=True)
    return _Maximum(beta, step, converged=False)


def _climbed(
    risk: RiskSets, beta: Floats, step: LikelihoodStep, move: Floats, ridge: float
) -> tuple[Floats, LikelihoodStep]:
    """The Newton step, halved until the penalised likelihood does not fall."""
    before = step.log_likelihood - ridge / 2 * float(beta @ beta)
    for power in range(MAX_HALVINGS):
        trial = beta + move / 2**power
        after = likelihood_step(risk, trial)
        value = after.log_likelihood - ridge / 2 * float(trial @ trial)
        if np.isfinite(value) and value >= before - 1e-10 * (abs(before) + 1):
            return trial, after
    return beta, step


def log_hazard(fit: CoxFit, x: ArrayLike) -> Floats:
    """Return the linear predictor (n,) of rows `x` (n, p), relative to the training mean."""
    return np.asarray((matrix("x", x) - fit.mean) @ fit.coefficients, dtype=np.float64)


def cox_survival(fit: CoxFit, x: ArrayLike, time: float) -> Floats:
    """Return the predicted survival (n,) of rows `x` (n, p) just after `time`, from Efron's baseline hazard."""
    position = int(np.searchsorted(fit.times, time, side="right"))
    hazard = float(fit.cumulative_hazard[position - 1]) if position else 0.0
    return np.exp(-hazard * np.exp(log_hazard(fit, x)))


def proportional_hazards(
    fit: CoxFit, x: ArrayLike, times: ArrayLike, events: ArrayLike, weights: ArrayLike | None = None
) -> ProportionalHazards:
    """Return the score test that each coefficient is constant in time, time on the Kaplan-Meier scale.

    Arguments are those of the fit (without ridge). The test adds x * g(time), g = 1 - left-continuous Kaplan-Meier, to
    the model and takes the score at its zero. Source: R survival >= 3, cox.zph(transform = "km"); Grambsch and
    Therneau 1994 is the older approximation. NaN for a coefficient that says nothing about time, as of a level without
    events; the joint test is of the others.
    """
    risk = risk_sets(x, times, events, weights)
    step = likelihood_step(risk, fit.coefficients)
    curve = kaplan_meier(times, events, weights)
    moment = 1 - survival_before(curve, risk.moments)
    moment = moment - np.average(moment, weights=risk.counts)
    score = moment @ step.scores
    plain = step.information.sum(axis=0)
    mixed = np.tensordot(moment, step.information, 1)
    squared = np.tensordot(moment**2, step.information, 1)
    remaining = squared - mixed @ _solved(plain, mixed)
    spread = np.diag(remaining)
    told = spread > SMALLEST_SHARE * matrix("x", x).var(axis=0) * float(moment**2 @ risk.counts)
    each = np.divide(score**2, spread, out=np.full(score.size, np.nan), where=told)
    joint = float(score[told] @ _solved(remaining[np.ix_(told, told)], score[told]))
    return ProportionalHazards(each, chi2.sf(each, 1), joint, float(chi2.sf(joint, told.sum())))


def _solved(left: Floats, right: Floats) -> Floats:
    """The solution, the shortest one where a level without events leaves the matrix singular."""
    try:
        return np.asarray(np.linalg.solve(left, right), dtype=np.float64)
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.pinv(left, hermitian=True) @ right, dtype=np.float64)
