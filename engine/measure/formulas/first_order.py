"""First-order statistics of the voxels of one mask, as PyRadiomics 3.0.1 defines them."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

EPSILON = float(np.spacing(1.0))
PERCENT = np.array([10.0, 25.0, 50.0, 75.0, 90.0])
SORTING_CELLS = 4096
Values = NDArray[np.float64]


def first_order_features(values: Values, level_counts: NDArray[np.int64], voxel_mm3: float) -> tuple[float, ...]:
    """The 18 features in the frozen order, from the mask's values (n,) and the voxels of each grey level.

    NaN throughout where a value is not finite. Kurtosis is not less 3; entropy is in bits.
    """
    low, high, mean, energy = _extent(values)
    if not np.isfinite(energy):
        return (np.nan,) * 18
    m2, m3, m4, deviation = _moments(values, mean)
    p10, p25, p50, p75, p90 = percentiles(values, low, high)
    flat = m2 == 0.0
    share = level_counts[level_counts > 0] / len(values)
    return (
        p10,
        p90,
        energy,
        float(-(share * np.log2(share + EPSILON)).sum()),
        p75 - p25,
        m4 if flat else m4 / m2**2,
        high,
        deviation,
        mean,
        p50,
        low,
        high - low,
        _robust_deviation(values, p10, p90),
        float(np.sqrt(energy / len(values))),
        m3 if flat else m3 / m2**1.5,
        energy * voxel_mm3,
        float((share**2).sum()),
        m2,
    )


def percentiles(values: Values, low: float, high: float) -> tuple[float, ...]:
    """Percentiles 10, 25, 50, 75, 90 by NumPy's linear interpolation, to the last digit."""
    position = (len(values) - 1) * (PERCENT / 100.0)
    below = np.floor(position)
    part = position - below
    ranks = np.stack([below, np.minimum(below + 1, len(values) - 1)]).astype(np.int64)
    a, b = _ordered(values, low, high, ranks.ravel()).reshape(2, -1)
    found = np.where(part < 0.5, a + (b - a) * part, b - (b - a) * (1.0 - part))
    found[2] = a[2] if part[2] == 0.0 else (a[2] + b[2]) / 2.0
    return tuple(float(value) for value in found)


@njit(cache=True, nogil=True, fastmath={"reassoc", "nsz"})  # type: ignore[untyped-decorator]
def _extent(values: Values) -> tuple[float, float, float, float]:
    low = high = values[0]
    total = energy = 0.0
    for value in values:
        low = min(low, value)
        high = max(high, value)
        total += value
        energy += value * value
    return low, high, total / len(values), energy


@njit(cache=True, nogil=True, fastmath={"reassoc", "nsz"})  # type: ignore[untyped-decorator]
def _moments(values: Values, mean: float) -> tuple[float, float, float, float]:
    m2 = m3 = m4 = deviation = 0.0
    for value in values:
        d = value - mean
        m2 += d * d
        m3 += d * d * d
        m4 += d * d * d * d
        deviation += abs(d)
    n = len(values)
    return m2 / n, m3 / n, m4 / n, deviation / n


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _ordered(values: Values, low: float, high: float, ranks: NDArray[np.int64]) -> Values:
    """The values of given ranks: counted into cells, then only the cells that hold a rank are sorted."""
    scale = SORTING_CELLS / (high - low) if high > low else 0.0
    if not np.isfinite(scale):
        scale = 0.0
    counts = np.zeros(SORTING_CELLS + 2, dtype=np.int64)
    for value in values:
        counts[int((value - low) * scale) + 1] += 1
    begins = np.cumsum(counts)
    wanted = np.zeros(SORTING_CELLS + 1, dtype=np.bool_)
    for rank in ranks:
        wanted[np.searchsorted(begins, rank, side="right") - 1] = True
    chosen = np.empty(counts[1:][wanted].sum(), dtype=np.float64)
    found = 0
    for value in values:
        if wanted[int((value - low) * scale)]:
            chosen[found] = value
            found += 1
    chosen.sort()
    result = np.empty(len(ranks))
    for place in range(len(ranks)):
        cell = np.searchsorted(begins, ranks[place], side="right") - 1
        skipped = counts[1 : cell + 1][~wanted[:cell]].sum()
        result[place] = chosen[ranks[place] - skipped]
    return result


@njit(cache=True, nogil=True, fastmath={"reassoc", "nsz"})  # type: ignore[untyped-decorator]
def _robust_deviation(values: Values, p10: float, p90: float) -> float:
    total, count = 0.0, 0
    for value in values:
        if p10 <= value <= p90:
            total += value
            count += 1
    if count == 0:
        return np.nan
    mean, deviation = total / count, 0.0
    for value in values:
        if p10 <= value <= p90:
            deviation += abs(value - mean)
    return deviation / count
