"""Array aliases and the checks that every statistic makes of its input."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Flags = NDArray[np.bool_]


def vector(name: str, values: ArrayLike, length: int | None = None) -> Floats:
    """Return `values` as a finite float64 vector (n,); ValueError names the argument and the law that fails."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got shape {array.shape}")
    if length is not None and array.size != length:
        raise ValueError(f"{name} must have {length} values, got {array.size}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {int((~np.isfinite(array)).sum())} values that are not")
    return array


def matrix(name: str, values: ArrayLike, rows: int | None = None) -> Floats:
    """Return `values` as a finite float64 matrix (n, p); ValueError names the argument and the law that fails."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"{name} must have two dimensions, got shape {array.shape}")
    if rows is not None and array.shape[0] != rows:
        raise ValueError(f"{name} must have {rows} rows, got {array.shape[0]}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {int((~np.isfinite(array)).sum())} values that are not")
    return array


def binary(name: str, values: ArrayLike, length: int | None = None) -> Flags:
    """Return 0/1 or boolean `values` as booleans (n,); anything else is a ValueError."""
    array = vector(name, values, length)
    if not np.isin(array, (0.0, 1.0)).all():
        raise ValueError(f"{name} must hold only 0 and 1, got {array[~np.isin(array, (0.0, 1.0))][0]}")
    return np.asarray(array == 1.0, dtype=np.bool_)


def weights_or_ones(values: ArrayLike | None, length: int) -> Floats:
    """Return non-negative weights (n,) with a positive sum; None means one each."""
    if values is None:
        return np.ones(length)
    array = vector("weights", values, length)
    if (array < 0).any() or array.sum() <= 0:
        raise ValueError(f"weights must be non-negative with a positive sum, got minimum {array.min(initial=0.0)}")
    return array
