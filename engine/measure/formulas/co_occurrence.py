"""The 24 features of the grey level co-occurrence matrix, as PyRadiomics 3.0.1 defines them, averaged over directions.

The matrix is symmetric, so half of it is read, and features of sums and differences are read off their distributions.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.measure.formulas.correlation import maximal_correlation
from engine.measure.textures import Textures

EPSILON = float(np.spacing(1.0))
# Places in the frozen order.
(
    AUTOCORRELATION,
    CLUSTER_PROMINENCE,
    CLUSTER_SHADE,
    CLUSTER_TENDENCY,
    CONTRAST,
    CORRELATION,
    DIFFERENCE_AVERAGE,
    DIFFERENCE_ENTROPY,
    DIFFERENCE_VARIANCE,
    ID,
    IDM,
    IDMN,
    IDN,
    IMC1,
    IMC2,
    INVERSE_VARIANCE,
    JOINT_AVERAGE,
    JOINT_ENERGY,
    JOINT_ENTROPY,
    MCC,
    MAXIMUM_PROBABILITY,
    SUM_AVERAGE,
    SUM_ENTROPY,
    SUM_SQUARES,
) = range(24)
FEATURES = 24
Row = NDArray[np.float64]
Table = NDArray[np.float64]


def co_occurrence_features(textures: Textures) -> tuple[float, ...]:
    """The 24 GLCM features in the frozen order; NaN where no two mask voxels are neighbours.

    Directions without a pair are left out; a feature that one direction leaves undefined is averaged over the others.
    """
    present = np.flatnonzero(textures.tone_difference[:, 0] > 0)
    return tuple(_averaged(textures.co_occurrence, present).tolist())


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _averaged(counts: NDArray[np.int32], present: NDArray[np.int64]) -> Row:
    total, defined = np.zeros(FEATURES), np.zeros(FEATURES)
    table = np.empty((len(present), len(present)))
    for angle in range(counts.shape[0]):
        pairs = _fill_table(counts[angle], present, table)
        if pairs == 0.0:
            continue
        row = _features(table, present, counts.shape[1])
        for place in range(FEATURES):
            if not np.isnan(row[place]):
                total[place] += row[place]
                defined[place] += 1.0
    return total / defined


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill_table(counts: NDArray[np.int32], present: NDArray[np.int64], table: Table) -> float:
    """Symmetric probabilities of the present levels; the number of pairs, each counted both ways."""
    pairs = 0.0
    for i in range(len(present)):
        for j in range(len(present)):
            table[i, j] = counts[present[i], present[j]] + counts[present[j], present[i]]
            pairs += table[i, j]
    if pairs > 0.0:
        table /= pairs
    return pairs


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _features(table: Table, present: NDArray[np.int64], levels: int) -> Row:
    row = np.zeros(FEATURES)
    margin = table.sum(axis=1)
    differences, sums = np.zeros(levels), np.zeros(2 * levels - 1)
    for i in range(len(present)):
        for j in range(i + 1):
            p = table[i, j] if i == j else 2.0 * table[i, j]
            differences[present[i] - present[j]] += p
            sums[present[i] + present[j]] += p
            row[AUTOCORRELATION] += p * (present[i] + 1.0) * (present[j] + 1.0)
    _fill_margin(row, table, margin, present)
    _fill_information(row, table, margin)
    _fill_differences(row, differences)
    _fill_sums(row, sums)
    row[MCC] = maximal_correlation(table, margin)
    return row


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill_margin(row: Row, table: Table, margin: Row, present: NDArray[np.int64]) -> None:
    mean = 0.0
    for i in range(len(present)):
        mean += margin[i] * (present[i] + 1.0)
    variance = covariance = 0.0
    for i in range(len(present)):
        d = present[i] + 1.0 - mean
        variance += margin[i] * d * d
        for j in range(len(present)):
            covariance += table[i, j] * d * (present[j] + 1.0 - mean)
    row[JOINT_AVERAGE] = mean
    row[SUM_SQUARES] = variance
    row[CORRELATION] = covariance / (variance + EPSILON) if variance > 0.0 else 1.0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill_information(row: Row, table: Table, margin: Row) -> None:
    joint = crossed = independent = energy = largest = 0.0
    for i in range(len(margin)):
        for j in range(i + 1):
            both = 1.0 if i == j else 2.0
            p, q = table[i, j], margin[i] * margin[j]
            information = np.log2(q + EPSILON)
            crossed -= both * p * information
            independent -= both * q * information
            if p > 0.0:
                joint -= both * p * np.log2(p + EPSILON)
                energy += both * p * p
                largest = max(largest, p)
    of_margin = -(margin * np.log2(margin + EPSILON)).sum()
    row[JOINT_ENTROPY], row[JOINT_ENERGY], row[MAXIMUM_PROBABILITY] = joint, energy, largest
    row[IMC1] = (joint - crossed) / of_margin if of_margin != 0.0 else 0.0
    gain = 1.0 - np.exp(-2.0 * (independent - joint))
    row[IMC2] = np.sqrt(gain) if gain >= 0.0 else np.nan


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill_differences(row: Row, share: Row) -> None:
    levels = len(share)
    for k in range(levels):
        p = share[k]
        row[DIFFERENCE_AVERAGE] += p * k
        row[CONTRAST] += p * k * k
        row[ID] += p / (1.0 + k)
        row[IDM] += p / (1.0 + k * k)
        row[IDN] += p / (1.0 + k / levels)
        row[IDMN] += p / (1.0 + k * k / levels**2)
        if p > 0.0:
            row[DIFFERENCE_ENTROPY] -= p * np.log2(p + EPSILON)
        if k > 0:
            row[INVERSE_VARIANCE] += p / (k * k)
    for k in range(levels):
        row[DIFFERENCE_VARIANCE] += share[k] * (k - row[DIFFERENCE_AVERAGE]) ** 2


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill_sums(row: Row, share: Row) -> None:
    for k in range(len(share)):
        p = share[k]
        row[SUM_AVERAGE] += p * (k + 2.0)
        if p > 0.0:
            row[SUM_ENTROPY] -= p * np.log2(p + EPSILON)
    for k in range(len(share)):
        d = k + 2.0 - 2.0 * row[JOINT_AVERAGE]
        row[CLUSTER_TENDENCY] += share[k] * d * d
        row[CLUSTER_SHADE] += share[k] * d * d * d
        row[CLUSTER_PROMINENCE] += share[k] * d * d * d * d
