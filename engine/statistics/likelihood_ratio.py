"""Likelihood-ratio test of a block of columns that was fixed beforehand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from engine.statistics.checks import Floats
from engine.statistics.cox import fit_cox
from engine.statistics.logistic import fit_logistic
from store.records import DeclinedError


@dataclass(frozen=True, slots=True)
class LikelihoodRatio:
    """Twice the gain in log likelihood, its degrees of freedom and p."""

    statistic: float
    degrees: int
    p_value: float


def logistic_ratio(base: Floats, block: Floats, labels: Floats) -> LikelihoodRatio:
    """Return the test that `block` (n, q) adds nothing to `base` (n, p) in an unpenalised logistic model.

    Valid for columns chosen without these labels only. DeclinedError for one class or separated data.
    """
    small, large = fit_logistic(base, labels), fit_logistic(_beside(base, block), labels)
    return _ratio(small.converged and large.converged, large.log_likelihood - small.log_likelihood, block.shape[1])


def cox_ratio(base: Floats, block: Floats, days: Floats, event: Floats) -> LikelihoodRatio:
    """As `logistic_ratio` in a Cox model of times (n,) with 0/1 events (n,): censored patients stay in."""
    large = fit_cox(_beside(base, block), days, event)
    small_likelihood, converged = large.log_likelihood_null, large.converged
    if base.shape[1]:
        small = fit_cox(base, days, event)
        small_likelihood, converged = small.log_likelihood, converged and small.converged
    return _ratio(converged, large.log_likelihood - small_likelihood, block.shape[1])


def _beside(base: Floats, block: Floats) -> Floats:
    return np.column_stack([base, block])


def _ratio(converged: bool, gain: float, degrees: int) -> LikelihoodRatio:
    if not converged:
        raise DeclinedError("the likelihood has no maximum: a column separates events from non-events")
    statistic = max(2 * gain, 0.0)
    return LikelihoodRatio(statistic, degrees, float(chi2.sf(statistic, degrees)))
