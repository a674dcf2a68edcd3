"""Log-rank test of survival curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2

from engine.statistics.checks import Floats, binary, vector


@dataclass(frozen=True, slots=True)
class LogRank:
    """Chi-square, degrees of freedom and p; observed and expected events of each group in sorted order."""

    statistic: float
    degrees: int
    p_value: float
    observed: Floats
    expected: Floats


def log_rank(times: ArrayLike, events: ArrayLike, groups: ArrayLike) -> LogRank:
    """Return the unweighted log-rank test of two groups or more.

    `times` (n,), `events` (n,) 0/1, `groups` (n,) labels. Ties by the hypergeometric variance. ValueError with fewer
    than two groups or no event. Source: Mantel 1966; R survival::survdiff.
    """
    duration = vector("times", times)
    happened = binary("events", events, duration.size)
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    if names.size < 2 or not happened.any():
        raise ValueError(f"groups must be two or more with an event, got {names.size} and {int(happened.sum())} events")
    moments = np.unique(duration[happened])
    belongs = member[None, :] == np.arange(names.size)[:, None]
    risk = np.stack([[(duration[own] >= moment).sum() for moment in moments] for own in belongs]).astype(np.float64)
    deaths = np.stack([[(duration[own & happened] == moment).sum() for moment in moments] for own in belongs])
    return _test(risk, deaths.astype(np.float64))


def _test(risk: Floats, deaths: Floats) -> LogRank:
    """The test from groups x event times tables of numbers at risk and events."""
    total, events = risk.sum(axis=0), deaths.sum(axis=0)
    expected = risk / total * events
    factor = np.where(total > 1, events * (total - events) / np.maximum(total - 1, 1), 0.0)
    share = risk / total
    covariance = np.diag((share * factor).sum(axis=1)) - (share * factor) @ share.T
    gap = (deaths - expected).sum(axis=1)[:-1]
    statistic = float(gap @ np.linalg.lstsq(covariance[:-1, :-1], gap, rcond=None)[0])
    degrees = risk.shape[0] - 1
    return LogRank(statistic, degrees, float(chi2.sf(statistic, degrees)), deaths.sum(axis=1), expected.sum(axis=1))
