"""Stability of feature selection over resamples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm


@dataclass(frozen=True, slots=True)
class Stability:
    """Nogueira's index (1 identical, 0 as by chance; can be negative) with standard error and confidence bounds."""

    index: float
    standard_error: float
    lower: float
    upper: float


def nogueira(selected: NDArray[np.bool_], level: float = 0.95) -> Stability:
    """Return the stability of `selected` (resamples M >= 2, features d), True where a resample chose a feature.

    One minus the mean unbiased variance of the selection indicators over that of random sets of the same mean size.
    All-or-nothing selection (no or every feature always chosen) has no variance to compare: NaN throughout. Source:
    Nogueira, Sechidis and Brown 2018, JMLR 18(174), theorems 4 and 7.
    """
    table = np.asarray(selected, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < 2 or not np.isin(table, (0.0, 1.0)).all():
        raise ValueError(f"selected must be a 0/1 table of two resamples or more, got shape {table.shape}")
    rows, columns = table.shape
    share = table.mean(axis=0)
    sizes = table.sum(axis=1)
    mean = sizes.mean() / columns if columns else 0.0
    chance = mean * (1 - mean)
    if chance == 0:
        return Stability(float("nan"), float("nan"), float("nan"), float("nan"))
    index = 1 - rows / (rows - 1) * float((share * (1 - share)).mean()) / chance
    own = _influence(table, share, index)
    error = float(np.sqrt(4 / rows**2 * ((own - own.mean()) ** 2).sum()))
    half = float(norm.isf((1 - level) / 2)) * error
    return Stability(index, error, index - half, index + half)


def _influence(table: NDArray[np.float64], share: NDArray[np.float64], index: float) -> NDArray[np.float64]:
    """Contribution of every resample to the index (theorem 7)."""
    columns = table.shape[1]
    sizes = table.sum(axis=1)
    mean = float(sizes.mean()) / columns
    parts = table @ share / columns - sizes * mean / columns
    parts = parts + index / 2 * (2 * mean * sizes / columns - sizes / columns - mean + 1)
    return np.asarray(parts / (mean * (1 - mean)), dtype=np.float64)
