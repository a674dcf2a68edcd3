"""Logarithm: of one more than the size of every value, its sign kept, scaled back to the image's range."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from engine.measure.filters.source import FilterSource
from engine.measure.levels import ValuesZyx


def logarithm(source: FilterSource) -> Iterator[tuple[str, ValuesZyx]]:
    """sign(x) log(|x| + 1) max|x| / log(max|x| + 1); not a number where the whole image is 0."""
    yield "logarithm", source.looked_up(_logged)


def _logged(values: NDArray[np.float64], largest: float) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.float64(largest) / np.log(np.float64(largest) + 1)
        return np.asarray(np.sign(values) * np.log(np.abs(values) + 1) * scale)
