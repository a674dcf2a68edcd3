"""Square root: of the size of every value, its sign kept, scaled by the image's largest absolute value."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from engine.measure.filters.source import FilterSource
from engine.measure.levels import ValuesZyx


def squareroot(source: FilterSource) -> Iterator[tuple[str, ValuesZyx]]:
    """sign(x) sqrt(|x| max|x|)."""
    yield "squareroot", source.looked_up(_rooted)


def _rooted(values: NDArray[np.float64], largest: float) -> NDArray[np.float64]:
    return np.asarray(np.sign(values) * np.sqrt(np.abs(values) * largest))
