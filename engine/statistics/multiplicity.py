"""Adjustment of p values for multiple tests within a declared family."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from engine.statistics.checks import Floats


def holm(p_values: ArrayLike) -> Floats:
    """Return Holm's step-down adjusted p (m,) for the family-wise error; NaN stays NaN and is not counted."""
    p, order, tested = _ordered(p_values)
    adjusted = np.maximum.accumulate(p[order] * np.arange(order.size, 0, -1))
    return _placed(adjusted, order, tested)


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Return the Benjamini-Hochberg step-up adjusted p (m,) for the false discovery rate; NaN as in `holm`."""
    p, order, tested = _ordered(p_values)
    raised = p[order] * order.size / np.arange(1, order.size + 1)
    return _placed(np.minimum.accumulate(raised[::-1])[::-1], order, tested)


def _ordered(p_values: ArrayLike) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.intp]], Floats]:
    """Tested p values, their rising order, and all values as given."""
    values = np.asarray(p_values, dtype=np.float64)
    tested = values[~np.isnan(values)]
    if values.ndim != 1 or ((tested < 0) | (tested > 1)).any():
        raise ValueError(f"p_values must be one-dimensional in [0, 1], got shape {values.shape}")
    return tested, np.argsort(tested, kind="stable"), values


def _placed(adjusted: Floats, order: np.ndarray[tuple[int], np.dtype[np.intp]], values: Floats) -> Floats:
    """Adjusted values, at most 1, back in the order given."""
    tested = np.empty(order.size)
    tested[order] = np.minimum(adjusted, 1.0)
    result = values.copy()
    result[~np.isnan(values)] = tested
    return result
