"""Square: every value squared and divided by the image's largest absolute value."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from engine.measure.filters.source import FilterSource
from engine.measure.levels import ValuesZyx


def square(source: FilterSource) -> Iterator[tuple[str, ValuesZyx]]:
    """(x / sqrt(max|x|))²; infinite where the whole image is 0."""
    yield "square", source.looked_up(_squared)


def _squared(values: NDArray[np.float64], largest: float) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((1 / np.sqrt(np.float64(largest)) * values) ** 2)
