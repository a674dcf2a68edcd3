"""Restricted cubic splines: a number as columns that let a model bend, straight beyond the outer knots."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from engine.statistics.checks import Floats, vector

THREE_KNOTS = (0.10, 0.50, 0.90)  # Harrell, Regression Modeling Strategies, 2nd ed., table 2.3


def knots_of(values: ArrayLike) -> Floats:
    """Three knots (3,) at the 10th, 50th and 90th percentile; ValueError unless they differ."""
    knots = np.quantile(vector("values", values), THREE_KNOTS)
    if not (np.diff(knots) > 0).all():
        raise ValueError(f"values must spread over three knots, got knots at {knots.tolist()}")
    return np.asarray(knots, dtype=np.float64)


def restricted_cubic(values: ArrayLike, knots: Floats) -> Floats:
    """Columns (n, 2): the value and Harrell's cubic term over the squared range of the knots (R rms rcspline.eval).

    The term is 0 up to the first knot and a straight line beyond the last.
    """
    x = vector("values", values)
    first, middle, last = (float(k) for k in knots)
    cubes = [np.maximum(x - k, 0.0) ** 3 for k in (first, middle, last)]
    bend = cubes[0] - cubes[1] * (last - first) / (last - middle) + cubes[2] * (middle - first) / (last - middle)
    return np.column_stack([x, bend / (last - first) ** 2])
