"""The features that run lengths, zones and dependences share: a table of grey levels against sizes.

Each class names them in its own words (Short Run, Small Area, Small Dependence). Definitions: PyRadiomics 3.0.1.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.measure.textures import Textures

EPSILON = float(np.spacing(1.0))
# Places in the row that `_size_features` fills.
(
    LEVEL_NONUNIFORMITY,
    LEVEL_NONUNIFORMITY_NORMALISED,
    LEVEL_VARIANCE,
    HIGH_LEVEL,
    LARGE,
    LARGE_HIGH_LEVEL,
    LARGE_LOW_LEVEL,
    LOW_LEVEL,
    ENTROPY,
    SIZE_NONUNIFORMITY,
    SIZE_NONUNIFORMITY_NORMALISED,
    PERCENTAGE,
    SIZE_VARIANCE,
    SMALL,
    SMALL_HIGH_LEVEL,
    SMALL_LOW_LEVEL,
) = range(16)
FEATURES = 16
ZONE_ORDER = (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 13, 14, 15, 8, 11, 12)
DEPENDENCE_ORDER = (8, 9, 10, 12, 0, 2, 3, 4, 5, 6, 7, 13, 14, 15)

Row = NDArray[np.float64]


def run_features(textures: Textures) -> tuple[float, ...]:
    """The 16 GLRLM features in the frozen order, averaged over the directions that have runs; NaN without any."""
    longest = int(np.flatnonzero(textures.run_length.any(axis=(0, 1)))[-1]) + 1 if textures.run_length.any() else 1
    sizes = np.arange(1, longest + 1, dtype=np.float64)
    rows = [_size_features(table[:, :longest], sizes) for table in textures.run_length if table[:, :longest].any()]
    return tuple(np.mean(rows, axis=0).tolist()) if rows else (np.nan,) * FEATURES


def zone_features(textures: Textures) -> tuple[float, ...]:
    """The 16 GLSZM features in the frozen order."""
    sizes, column = np.unique(textures.zones[:, 1], return_inverse=True)
    levels = int(textures.zones[:, 0].max())
    cells = np.bincount((textures.zones[:, 0] - 1) * len(sizes) + column, minlength=levels * len(sizes))
    table = cells.reshape(levels, len(sizes)).astype(np.int32)
    row = _size_features(table, sizes.astype(np.float64))
    return tuple(float(row[place]) for place in ZONE_ORDER)


def dependence_features(textures: Textures) -> tuple[float, ...]:
    """The 14 GLDM features in the frozen order; a voxel without equal neighbours has dependence 1."""
    table = textures.dependence
    row = _size_features(table, np.arange(1, table.shape[1] + 1, dtype=np.float64))
    return tuple(float(row[place]) for place in DEPENDENCE_ORDER)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _size_features(table: NDArray[np.int32], sizes: Row) -> Row:
    """The shared features of a table (levels, sizes) of counts; place in levels + 1 is the grey level."""
    found = np.zeros(FEATURES)
    by_level, by_size = np.zeros(table.shape[0]), np.zeros(table.shape[1])
    for level in range(table.shape[0]):
        for size in range(table.shape[1]):
            if table[level, size] > 0:
                by_level[level] += table[level, size]
                by_size[size] += table[level, size]
                _add_cell(found, table[level, size], (level + 1.0) ** 2, sizes[size] ** 2)
    total = by_level.sum()
    for place in (LARGE_HIGH_LEVEL, LARGE_LOW_LEVEL, SMALL_HIGH_LEVEL, SMALL_LOW_LEVEL):
        found[place] /= total
    found[ENTROPY] = _entropy(table, total)
    _fill_levels(found, by_level / total, total)
    _fill_sizes(found, by_size / total, sizes, total)
    return found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add_cell(found: Row, count: int, level_squared: float, size_squared: float) -> None:
    found[LARGE_HIGH_LEVEL] += count * level_squared * size_squared
    found[LARGE_LOW_LEVEL] += count * size_squared / level_squared
    found[SMALL_HIGH_LEVEL] += count * level_squared / size_squared
    found[SMALL_LOW_LEVEL] += count / (level_squared * size_squared)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _entropy(table: NDArray[np.int32], total: float) -> float:
    entropy = 0.0
    for count in table.flat:
        if count > 0:
            entropy -= count / total * np.log2(count / total + EPSILON)
    return entropy


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill_levels(found: Row, share: Row, total: float) -> None:
    levels = np.arange(1.0, len(share) + 1.0)
    mean = (share * levels).sum()
    found[LEVEL_NONUNIFORMITY_NORMALISED] = (share**2).sum()
    found[LEVEL_NONUNIFORMITY] = found[LEVEL_NONUNIFORMITY_NORMALISED] * total
    found[LEVEL_VARIANCE] = (share * (levels - mean) ** 2).sum()
    found[HIGH_LEVEL] = (share * levels**2).sum()
    found[LOW_LEVEL] = (share / levels**2).sum()


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill_sizes(found: Row, share: Row, sizes: Row, total: float) -> None:
    mean = (share * sizes).sum()
    found[SIZE_NONUNIFORMITY_NORMALISED] = (share**2).sum()
    found[SIZE_NONUNIFORMITY] = found[SIZE_NONUNIFORMITY_NORMALISED] * total
    found[PERCENTAGE] = 1.0 / mean
    found[SIZE_VARIANCE] = (share * (sizes - mean) ** 2).sum()
    found[LARGE] = (share * sizes**2).sum()
    found[SMALL] = (share / sizes**2).sum()
