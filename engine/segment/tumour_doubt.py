"""Where a model wavers between tumour and anything else: a mask for the reader's eye, from the sweep that was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.geometry import Box, box_of, cropped_grid, resample_mask, same_grid
from engine.segment.sliding_window import Slab
from store.volumes import BoolZyx, Grid, Mask

LEAST, MOST = 0.1, 0.9  # mean probability of tumour between which a voxel is in doubt, both included
Bits = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Doubtful:
    """The voxels in doubt of a sweep on its grid: a row of bits for each slice, an eighth of a byte a voxel."""

    bits: Bits
    grid: Grid

    @property
    def voxels(self) -> BoolZyx:
        """Array z, y, x on `grid`."""
        z, y, x = self.grid.shape_zyx
        return np.unpackbits(self.bits, axis=1, count=y * x).reshape(z, y, x).astype(np.bool_)


def doubtful_bits(slab: Slab) -> Bits:
    """Which voxels of a slab have a mean probability of tumour between LEAST and MOST, one row of bits a slice."""
    share = slab.tumour[0]
    found = (share >= LEAST) & (share <= MOST)
    return np.packbits(found.reshape(len(found), -1), axis=1)


def doubt_mask(doubtful: Doubtful, lungs: Sequence[Mask], source: str, native: Grid) -> Mask:
    """The voxels in doubt on the CT's grid by nearest neighbour, inside the box of the lungs; empty where none is.

    Lungs on another grid, and empty ones, draw no box; without any the whole sweep counts.
    """
    box = _box(lungs, native)
    voxels = np.zeros(native.shape_zyx, np.bool_)
    voxels[box] = resample_mask(doubtful.voxels, doubtful.grid, cropped_grid(native, box))
    return Mask("doubt", "automatic", source, voxels, native)


def _box(lungs: Sequence[Mask], native: Grid) -> Box:
    """The smallest box z, y, x that holds every lung; everything without one."""
    boxes = [box_of(lung.voxels) for lung in lungs if same_grid(lung.grid, native) and lung.voxels.any()]
    if not boxes:
        z, y, x = (slice(0, n) for n in native.shape_zyx)
        return (z, y, x)
    z, y, x = (slice(min(s.start for s in sides), max(s.stop for s in sides)) for sides in zip(*boxes, strict=True))
    return (z, y, x)
