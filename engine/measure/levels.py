"""Grey levels of fixed width, as PyRadiomics or as IBSI anchors them, or a fixed number of them in each mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.measure.neighbourhood import ANGLES, Frame
from engine.protocol import FeatureGrid, Features

ValuesZyx = NDArray[np.float64] | NDArray[np.float32] | NDArray[np.int16]
# Co-occurrence tables grow with the square: this many levels are 13 tables of 64 MB.
MOST_LEVELS = 4096
LARGEST_BIN = 2.0**30
FLAT_HALF_RANGE = 0.5


@dataclass(frozen=True, slots=True)
class Binning:
    """Bins of `width`; `origin` None: bins anchored at 0, level 1 the lowest in the mask (PyRadiomics).

    With an origin (IBSI's fixed bin size with a lower bound) level 1 begins there and levels are counted from it.

    With a `count` above 0 width and origin are not used: each mask's own range in each image is cut into so many equal
    bins, closed below and open above but for the last, which holds the highest value (IBSI's fixed bin number). The
    edges are PyRadiomics' (numpy.histogram), so that only a value which rounding puts on an inner edge may differ
    from IBSI's formula. A constant mask falls in level count // 2 + 1, as in PyRadiomics; IBSI does not define it.
    """

    width: float
    origin: float | None = None
    count: int = 0

    def __post_init__(self) -> None:
        if not self.width > 0:
            raise ValueError(f"bin width must be above 0, got {self.width}")
        if self.count < 0 or self.count > MOST_LEVELS:
            raise ValueError(f"number of bins must lie in 0..{MOST_LEVELS}, got {self.count}")
        if self.count and self.origin is not None:
            raise ValueError(f"a number of bins spans each mask's own range and has no origin, got {self.origin}")

    def of_filtered(self) -> Binning:
        """The bins of a filtered image: an origin holds for the original image only."""
        return Binning(self.width, None, self.count)

    def first_level(self, present: NDArray[np.int64]) -> int:
        """The bin that is level 1 of a mask with these bins, ascending; ValueError for a bin below the origin."""
        if self.count:
            return 1
        if self.origin is None:
            return int(present[0])
        if present[0] < 0:
            raise ValueError(f"values must not lie below the bins' origin {self.origin}, got a bin {present[0]}")
        return 0


def check_levels(count: int, width: float, directions: int = ANGLES) -> None:
    """ValueError where bins of a width give more grey levels than co-occurrence tables of all directions can hold."""
    most = int(MOST_LEVELS * np.sqrt(ANGLES / directions))
    if count > most:
        raise ValueError(f"bin width {width} must give at most {most} grey levels, got {count}")


def binning_of(features: Features, grid: FeatureGrid) -> Binning:
    """The bins that a protocol asks for; IBSI's begin at the lowest value that is kept."""
    lowest = features.resegment_hu[0] if features.resegment_hu else float(grid.lowest_hu)
    return Binning(features.bin_width_hu, lowest if features.bin_origin == "ibsi" else None, features.bin_count)


def padded_bins(values: ValuesZyx, frame: Frame, binning: Binning) -> NDArray[np.int32]:
    """The bin of every voxel in the frame's rows, array z, y, x with one voxel of padding; non-finite values get 0.

    With a number of bins the frame must be that of one mask, and the bins 1..count are those of its voxels.
    """
    bins = np.zeros(frame.padded_shape, dtype=np.int32)
    if binning.count:
        inside = values[frame.union]
        if np.isfinite(inside).all():
            bins[1:-1, 1:-1, 1:-1][frame.union] = np.searchsorted(
                _lower_edges(inside, binning.count), inside, side="right"
            )
    else:
        _bin_rows(values, frame.first, frame.last, binning.width, binning.origin or 0.0, bins)
    return bins


def _lower_edges(values: ValuesZyx, count: int) -> NDArray[np.float64] | NDArray[np.float32]:
    """Lower edges of equal bins over the range of some values, in their own precision as numpy.histogram's."""
    low, high = values.min() * 1.0, values.max() * 1.0
    if low == high:
        low, high = low - FLAT_HALF_RANGE, high + FLAT_HALF_RANGE
    exact = np.float32 if values.dtype == np.float32 else np.float64
    return np.asarray(np.linspace(low, high, count + 1, dtype=exact)[:-1])


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
