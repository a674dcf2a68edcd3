"""Harrell's concordance index for censored times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.statistics.checks import binary, vector
from store.records import DeclinedError


@dataclass(frozen=True, slots=True)
class Concordance:
    """C index in [0, 1] with its pair counts; tied risks count one half."""

    index: float
    concordant: int
    discordant: int
    tied_risk: int


def concordance(times: ArrayLike, events: ArrayLike, risk: ArrayLike) -> Concordance:
    """Return the share of comparable pairs in which the higher `risk` (n,) had the earlier event.

    A pair is comparable when the shorter `times` (n,) is an event; at equal times, when one is an event and the other
    censored (known to outlive it). DeclinedError without a comparable pair. Source: Harrell 1982; R survival.
    """
    duration = vector("times", times)
    happened = binary("events", events, duration.size)
    score = vector("risk", risk, duration.size)
    concordant = discordant = tied = 0
    for row in np.flatnonzero(happened):
        later = (duration > duration[row]) | ((duration == duration[row]) & ~happened)
        concordant += int((score[later] < score[row]).sum())
        discordant += int((score[later] > score[row]).sum())
        tied += int((score[later] == score[row]).sum())
    pairs = concordant + discordant + tied
    if pairs == 0:
        raise DeclinedError("concordance needs a pair of patients whose order of events is known, got none")
    return Concordance((concordant + tied / 2) / pairs, concordant, discordant, tied)
