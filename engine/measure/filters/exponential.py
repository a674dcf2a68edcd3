"""Exponential: e to the power of every value, scaled so that the image's largest absolute value keeps its size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from engine.measure.filters.source import FilterSource
from engine.measure.levels import ValuesZyx


def exponential(source: FilterSource) -> Iterator[tuple[str, ValuesZyx]]:
    """exp(x log(max|x|) / max|x|); not a number where the whole image is 0."""
    yield "exponential", source.looked_up(_raised)


def _raised(values: NDArray[np.float64], largest: float) -> NDArray[np.float64]:
    with np.errstate(all="ignore"):
        coefficient = np.log(np.float64(largest)) / np.float64(largest)
        return np.asarray(np.exp(coefficient * values))
