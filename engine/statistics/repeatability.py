"""How far repeated measurements of one patient lie apart, in the feature's own unit and as a share of its mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.statistics.checks import Floats

TWO_SIDED_95 = 1.959963984540054


@dataclass(frozen=True, slots=True, eq=False)
class Repeatability:
    """Per feature, each (p,): pooled within-patient sd, its share of the absolute mean, repeatability coefficient."""

    within_sd: Floats
    within_cv: Floats
    coefficient: Floats


def repeatability(values: NDArray[np.float64]) -> Repeatability:
    """Repeatability of values (patients n, measurements k, features p), n >= 1 and k >= 2.

    The pooled sd is the root of the mean variance within patients; two measurements of a patient differ by less than
    the coefficient, 1.96 sqrt(2) sd, in 95 % (Bland and Altman, Lancet 1986;327:307). The share is NaN where the mean
    is 0. A value that is not finite makes its feature NaN.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 3 or array.shape[0] < 1 or array.shape[1] < 2:
        raise ValueError(f"values must be (patients, measurements >= 2, features), got shape {array.shape}")
    with np.errstate(invalid="ignore", divide="ignore"):
        within = np.sqrt(array.var(axis=1, ddof=1).mean(axis=0))
        mean = np.abs(array.mean(axis=(0, 1)))
        share = np.where(mean > 0, within / mean, np.nan)
    return Repeatability(within, share, TWO_SIDED_95 * np.sqrt(2.0) * within)
