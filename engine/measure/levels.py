"""Grey levels of fixed width, as PyRadiomics or as IBSI anchors them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.measure.neighbourhood import Frame
from engine.protocol import FeatureGrid, Features

ValuesZyx = NDArray[np.float64] | NDArray[np.float32] | NDArray[np.int16]
# Co-occurrence tables grow with the square: this many levels are 13 tables of 64 MB.
MOST_LEVELS = 4096
LARGEST_BIN = 2.0**30


@dataclass(frozen=True, slots=True)
class Binning:
    """Bins of `width`; `origin` None: bins anchored at 0, level 1 the lowest in the mask (PyRadiomics).

    With an origin (IBSI's fixed bin size with a lower bound) level 1 begins there and levels are counted from it.
    """

    width: float
    origin: float | None = None

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise ValueError(f"bin width must be above 0, got {self.width}")

    def first_level(self, present: NDArray[np.int64]) -> int:
        """The bin that is level 1 of a mask with these bins, ascending; ValueError for a bin below the origin."""
        if self.origin is None:
            return int(present[0])
        if present[0] < 0:
            raise ValueError(f"values must not lie below the bins' origin {self.origin}, got a bin {present[0]}")
        return 0


def check_levels(count: int, width: float) -> None:
    """ValueError where bins of a width give more grey levels than co-occurrence tables can hold."""
    if count > MOST_LEVELS:
        raise ValueError(f"bin width {width} must give at most {MOST_LEVELS} grey levels, got {count}")


def binning_of(features: Features, grid: FeatureGrid) -> Binning:
    """The bins that a protocol asks for."""
    return Binning(features.bin_width_hu, float(grid.lowest_hu) if features.bin_origin == "ibsi" else None)


def padded_bins(values: ValuesZyx, frame: Frame, binning: Binning) -> NDArray[np.int32]:
    """The bin of every voxel in the frame's rows, array z, y, x with one voxel of padding; non-finite values get 0."""
    bins = np.zeros(frame.padded_shape, dtype=np.int32)
    _bin_rows(values, frame.first, frame.last, binning.width, binning.origin or 0.0, bins)
    return bins


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _bin_rows(
    values: ValuesZyx,
    first: NDArray[np.int32],
    last: NDArray[np.int32],
    width: float,
    origin: float,
    bins: NDArray[np.int32],
) -> None:
    """Bin k holds origin + k width <= value < origin + (k + 1) width; the quotient's rounding is put right."""
    for z in range(values.shape[0]):
        for y in range(values.shape[1]):
            for x in range(first[z, y], last[z, y]):
                value = np.float64(values[z, y, x])
                place = np.floor((value - origin) / width)
                if not abs(place) < LARGEST_BIN:
                    continue
                if value < origin + place * width:
                    place -= 1.0
                elif value >= origin + (place + 1.0) * width:
                    place += 1.0
                bins[z + 1, y + 1, x + 1] = np.int32(place)
