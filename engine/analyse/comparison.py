"""Two arms on the same resamples and patients, and the one sentence that may be said about them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.analyse.predictions import MeanPredictions
from engine.statistics.delong import compare_aucs
from store.records import Comparison, DeclinedError

Floats = NDArray[np.float64]
HEADLINE = ("clinical_volume", "combined")
WITHOUT_VOLUME = ("clinical", "combined")
PAIRS = (
    HEADLINE,
    WITHOUT_VOLUME,
    ("clinical", "clinical_volume"),
    ("clinical", "combined_offset"),
    ("clinical_volume", "combined_offset"),
    ("volume", "radiomic"),
    ("shuffled", "combined"),
    ("forest_clinical_volume", "forest_combined"),
    ("forest_clinical", "forest_combined"),
    ("cox_clinical_volume", "cox_combined"),
    ("cox_clinical", "cox_combined"),
    ("radiomic", "deep"),
    ("clinical", "clinical_deep"),
    ("combined", "clinical_deep"),
)
WIDEST_TELLING_SPREAD = 0.20  # AUC: a wider spread cannot tell a gain of 0.10 from a loss of 0.10
SPREAD = (2.5, 97.5)


def compare(
    base: str, extended: str, aucs: dict[str, dict[int, float]], means: MeanPredictions, locked: bool
) -> Comparison:
    """Out-of-bag AUC difference extended - base with its 2.5-97.5 % spread over resamples, and DeLong as in the paper.

    The spread is no confidence interval. DeLong runs on mean out-of-bag predictions of determined patients, which is
    anti-conservative for rival models; z and p are None before the plan is locked, and all of it when it is declined.
    """
    common = sorted(set(aucs[base]) & set(aucs[extended]))
    gain = np.array([aucs[extended][number] - aucs[base][number] for number in common])
    lo, hi = spread_of(gain)
    known = means.determined & np.isfinite(means.probability[base]) & np.isfinite(means.probability[extended])
    labels = means.label[known] == 1
    paper = _as_in_the_paper(labels, means.probability[extended][known], means.probability[base][known])
    return Comparison(
        base=base,
        extended=extended,
        difference=float(gain.mean()),
        spread_lo=lo,
        spread_hi=hi,
        sentence=sentence(lo, hi),
        delong_difference=paper[0],
        delong_lo=paper[1],
        delong_hi=paper[2],
        delong_z=paper[3] if locked else None,
        delong_p=paper[4] if locked else None,
        n=int(known.sum()),
        events=int(labels.sum()),
        resamples=len(common),
        exploratory=not locked,
    )


def spread_of(differences: Floats) -> tuple[float, float]:
    """The middle 95 % of differences over resamples: a spread, no confidence interval."""
    lo, hi = np.percentile(differences, SPREAD)
    return float(lo), float(hi)


def sentence(lo: float, hi: float) -> str:
    """What a spread of AUC differences allows: adds, not shown to add (with the gain still possible), or too small.

    "adds" when the whole spread lies above 0; "too small to tell" when it does not and is wider than 0.20; it is never
    said that something does not add.
    """
    if lo > 0:
        return "adds"
    if hi - lo > WIDEST_TELLING_SPREAD:
        return "too small to tell"
    return f"not shown to add (up to {max(hi, 0.0):+.2f} possible)"


def _as_in_the_paper(labels: NDArray[np.bool_], extended: Floats, base: Floats) -> tuple[float | None, ...]:
    """Difference, bounds, z and p by DeLong; all None with fewer than two events or non-events."""
    try:
        found = compare_aucs(labels, extended, base)
    except DeclinedError:
        return (None, None, None, None, None)
    return (found.difference, found.lower, found.upper, found.z, found.p_value)
