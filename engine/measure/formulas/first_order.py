"""First-order statistics of the voxels of one mask, as PyRadiomics 3.0.1 defines them.

A mask is the core of its group and its own rim. Both are sorted, the core once for all masks, so that order
statistics are searched, and sums over a range of values are differences of running sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

EPSILON = float(np.spacing(1.0))
PERCENT = np.array([10.0, 25.0, 50.0, 75.0, 90.0])
FEATURES = 18
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SortedValues:
    """Values (n,) ascending; running sums (n + 1,) of their difference to a pivot; energy and powers 1-4 of it."""

    values: Values
    running: Values
    energy: float
    powers: Values

    @classmethod
    def of(cls, values: Values, pivot: float) -> SortedValues:
        """Sort values of any order; all sums are taken about one pivot near their mean."""
        ordered = np.sort(values)
        return cls(ordered, *_sums(ordered, pivot))


def first_order_features(
    core: SortedValues, rim: SortedValues, pivot: float, level_counts: NDArray[np.int64], voxel_mm3: float
) -> tuple[float, ...]:
    """The 18 features in the frozen order, from values sorted about one pivot and the voxels of each grey level.

    NaN throughout where a value is not finite. Kurtosis is not less 3; entropy is in bits.
    """
    energy, count = core.energy + rim.energy, len(core.values) + len(rim.values)
    if not np.isfinite(energy):
        return (np.nan,) * FEATURES
    (p10, p25, p50, p75, p90), low, high = _percentiles(core.values, rim.values)
    m2, m3, m4 = _moments((core.powers + rim.powers) / count) if high > low else (0.0, 0.0, 0.0)
    mean = pivot + float(core.powers[0] + rim.powers[0]) / count
    share = level_counts[level_counts > 0] / count
    return (
        p10,
        p90,
        energy,
        float(-(share * np.log2(share + EPSILON)).sum()),
        p75 - p25,
        m4 / m2**2 if m2 else 0.0,
        high,
        _deviation(core, rim, pivot, low, high),
        mean,
        p50,
        low,
        high - low,
        _deviation(core, rim, pivot, p10, p90),
        float(np.sqrt(energy / count)),
        m3 / m2**1.5 if m2 else 0.0,
        energy * voxel_mm3,
        float((share**2).sum()),
        m2,
    )


def _percentiles(core: Values, rim: Values) -> tuple[tuple[float, ...], float, float]:
    """Percentiles 10, 25, 50, 75, 90 by NumPy's linear interpolation, to the last digit; smallest, largest value."""
    last = len(core) + len(rim) - 1
    position = last * (PERCENT / 100.0)
    below = np.floor(position)
    part = position - below
    ranks = np.concatenate([below, np.minimum(below + 1, last), [0, last]]).astype(np.int64)
    found = _ordered(core, rim, ranks)
    a, b = found[:5], found[5:10]
    between = np.where(part < 0.5, a + (b - a) * part, b - (b - a) * (1.0 - part))
    between[2] = a[2] if part[2] == 0.0 else (a[2] + b[2]) / 2.0
    return tuple(float(value) for value in between), float(found[10]), float(found[11])


def _moments(powers: Values) -> tuple[float, float, float]:
    """Central moments 2, 3, 4 from mean powers of the difference to a pivot."""
    d, s2, s3, s4 = (float(power) for power in powers)
    m2 = max(s2 - d**2, 0.0)
    return m2, s3 - 3.0 * d * s2 + 2.0 * d**3, s4 - 4.0 * d * s3 + 6.0 * d**2 * s2 - 3.0 * d**4


def _deviation(core: SortedValues, rim: SortedValues, pivot: float, low: float, high: float) -> float:
    """Mean absolute deviation from their mean of the values in low..high; NaN where there are none."""
    ranges = [
        (of, int(np.searchsorted(of.values, low, side="left")), int(np.searchsorted(of.values, high, side="right")))
        for of in (core, rim)
    ]
    count = sum(stop - start for _, start, stop in ranges)
    if count == 0:
        return float("nan")
    mean = sum(float(of.running[stop] - of.running[start]) for of, start, stop in ranges) / count
    total = 0.0
    for of, start, stop in ranges:
        middle = min(max(int(np.searchsorted(of.values, pivot + mean)), start), stop)
        below, above = of.running[middle] - of.running[start], of.running[stop] - of.running[middle]
        total += mean * (middle - start) - below + above - mean * (stop - middle)
    return float(total / count)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sums(ordered: Values, pivot: float) -> tuple[Values, float, Values]:
    running = np.empty(len(ordered) + 1)
    running[0] = 0.0
    energy, total, s2, s3, s4 = 0.0, 0.0, 0.0, 0.0, 0.0
    for place in range(len(ordered)):
        value = ordered[place]
        d = value - pivot
        square = d * d
        energy += value * value
        total += d
        s2 += square
        s3 += square * d
        s4 += square * square
        running[place + 1] = total
    return running, energy, np.array([total, s2, s3, s4])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _ordered(one: Values, other: Values, ranks: NDArray[np.int64]) -> Values:
    """The values of given ranks in two sorted arrays together."""
    found = np.empty(len(ranks))
    for place in range(len(ranks)):
        rank = ranks[place]
        fewest, most = max(0, rank - len(other)), min(rank, len(one))
        while fewest < most:
            taken = (fewest + most) // 2
            if one[taken] < other[rank - taken - 1]:
                fewest = taken + 1
            else:
                most = taken
        of_other = rank - fewest
        if fewest < len(one) and (of_other >= len(other) or one[fewest] <= other[of_other]):
            found[place] = one[fewest]
        else:
            found[place] = other[of_other]
    return found
