"""Voxel lists and neighbour bits: what one mask needs once for all images, and one image once for all masks.

Everything lies in one padded box around all masks, so that an image's arrays are read by every mask without a copy.
A voxel's 26 neighbours are bits: 0-12 those ahead in the order of DIRECTIONS, 13-25 those behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.geometry import Box, box_of
from store.volumes import BoolZyx

DIRECTIONS = tuple((z, y, x) for z in (0, 1) for y in (-1, 0, 1) for x in (-1, 0, 1) if (z, y, x) > (0, 0, 0))
ANGLES = len(DIRECTIONS)
AHEAD = 2**ANGLES - 1
ALL_NEIGHBOURS = 2 ** (2 * ANGLES) - 1
# Number of set bits and place of the lowest set bit of every 13-bit number.
BITS_SET = np.array([number.bit_count() for number in range(AHEAD + 1)], dtype=np.int8)
LOWEST_BIT = np.array([max((number & -number).bit_length() - 1, 0) for number in range(AHEAD + 1)], dtype=np.int8)

# Masks share a core when this much of their union is common to both.
SHARED_ENOUGH = 0.5

Bits = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The box around all masks and the range of columns that any mask uses in each row of it."""

    box: Box
    union: BoolZyx
    first: NDArray[np.int32]
    last: NDArray[np.int32]

    @property
    def padded_shape(self) -> tuple[int, int, int]:
        """Shape of the box with one voxel around it."""
        z, y, x = self.union.shape
        return (z + 2, y + 2, x + 2)

    @property
    def jumps(self) -> NDArray[np.int64]:
        """Distance in the padded, flattened box of each direction."""
        _, rows, columns = self.padded_shape
        return np.array(DIRECTIONS, dtype=np.int64) @ np.array([rows * columns, columns, 1], dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Core:
    """Voxels that all masks of a group contain with all their neighbours: what they count is the same for every mask.

    Flat `places` in the box, `voxels` in the padded box; `within`: bits of neighbours that are core; `member`: whether
    a voxel of the padded box is core.
    """

    places: NDArray[np.int32]
    voxels: NDArray[np.int32]
    within: Bits
    member: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class MaskVoxels:
    """One mask as the core of its group and the list of its other voxels, its rim.

    `inside`, `core_ahead`: bits of a rim voxel's neighbours that lie in the mask, and of those ahead that are core.
    extents: size of the mask's own box z, y, x; `bounds`: that box in the whole image.
    """

    core: Core
    places: NDArray[np.int32]
    voxels: NDArray[np.int32]
    inside: Bits
    core_ahead: Bits
    extents: tuple[int, int, int]
    bounds: Box
    frame_shape: tuple[int, int, int]

    def points(self) -> NDArray[np.int64]:
        """Indices z, y, x of all voxels in the frame's box, shape (n, 3)."""
        places = np.concatenate([self.core.places, self.places])
        return np.stack(np.unravel_index(places, self.frame_shape), axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class ImageNeighbours:
    """One discretised image in the padded, flattened box: bins, bits of equal neighbours, sum of the 26 neighbours."""

    bins: NDArray[np.int32]
    equal: Bits
    sums: NDArray[np.int32]


def frame_of(masks: Sequence[BoolZyx]) -> Frame:
    """The frame of non-empty masks z, y, x of one shape; ValueError where one is empty."""
    boxes = [box_of(mask) for mask in masks]
    z, y, x = (slice(min(b[a].start for b in boxes), max(b[a].stop for b in boxes)) for a in range(3))
    union = np.zeros((z.stop - z.start, y.stop - y.start, x.stop - x.start), dtype=np.bool_)
    for mask in masks:
        union |= mask[z, y, x]
    used = union.any(axis=2)
    first = np.where(used, union.argmax(axis=2), 0).astype(np.int32)
    last = np.where(used, union.shape[2] - union[:, :, ::-1].argmax(axis=2), 0).astype(np.int32)
    return Frame((z, y, x), union, first, last)


def mask_groups(masks: Sequence[BoolZyx], frame: Frame) -> tuple[tuple[tuple[int, ...], tuple[MaskVoxels, ...]], ...]:
    """Masks that overlap enough to share a core, as places in the sequence and voxel lists; each mask is in one group.

    A mask joins the first group with whose first mask it shares SHARED_ENOUGH of their union.
    """
    cut = [mask[frame.box] for mask in masks]
    sizes = [int(np.count_nonzero(mask)) for mask in cut]
    groups: list[list[int]] = []
    for place, mask in enumerate(cut):
        for group in groups:
            shared = int(np.count_nonzero(mask & cut[group[0]]))
            if shared >= SHARED_ENOUGH * (sizes[place] + sizes[group[0]] - shared):
                group.append(place)
                break
        else:
            groups.append([place])
    return tuple((tuple(group), _group_voxels([masks[place] for place in group], frame)) for group in groups)


def _group_voxels(masks: Sequence[BoolZyx], frame: Frame) -> tuple[MaskVoxels, ...]:
    common = masks[0][frame.box].copy()
    for mask in masks[1:]:
        common &= mask[frame.box]
    core = _core(common, frame)
    return tuple(_mask_voxels(mask, core, frame) for mask in masks)


def _core(common: BoolZyx, frame: Frame) -> Core:
    member = np.pad(common, 1).ravel()
    voxels = np.flatnonzero(member).astype(np.int32)
    voxels = voxels[_inside(member, voxels, frame.jumps) == ALL_NEIGHBOURS]
    core = np.zeros_like(member)
    core[voxels] = True
    places = np.flatnonzero(core.reshape(frame.padded_shape)[1:-1, 1:-1, 1:-1]).astype(np.int32)
    return Core(places, voxels, _inside(core, voxels, frame.jumps), core)


def _mask_voxels(mask: BoolZyx, core: Core, frame: Frame) -> MaskVoxels:
    cut = mask[frame.box]
    member = np.pad(cut, 1).ravel()
    rim = member & ~core.member
    voxels = np.flatnonzero(rim).astype(np.int32)
    places = np.flatnonzero(rim.reshape(frame.padded_shape)[1:-1, 1:-1, 1:-1]).astype(np.int32)
    bounds = box_of(mask)
    z, y, x = (side.stop - side.start for side in bounds)
    core_ahead = _inside(core.member, voxels, frame.jumps) & AHEAD
    inside = _inside(member, voxels, frame.jumps)
    return MaskVoxels(core, places, voxels, inside, core_ahead, (z, y, x), bounds, cut.shape)


def image_neighbours(bins: NDArray[np.int32], frame: Frame) -> ImageNeighbours:
    """Neighbour bits and sums of an image whose bins fill the padded box (z, y, x)."""
    equal = np.zeros(bins.shape, dtype=np.int32)
    sums = np.zeros(bins.shape, dtype=np.int32)
    _neighbours_of_rows(bins, frame.first, frame.last, np.array(DIRECTIONS, dtype=np.int64), equal, sums)
    return ImageNeighbours(bins.ravel(), equal.ravel(), sums.ravel())


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _inside(member: NDArray[np.bool_], voxels: NDArray[np.int32], jumps: NDArray[np.int64]) -> Bits:
    inside = np.zeros(len(voxels), dtype=np.int32)
    for place in range(len(voxels)):
        voxel = voxels[place]
        bits = 0
        for angle in range(ANGLES):
            if member[voxel + jumps[angle]]:
                bits |= 1 << angle
            if member[voxel - jumps[angle]]:
                bits |= 1 << (ANGLES + angle)
        inside[place] = bits
    return inside


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _neighbours_of_rows(
    bins: NDArray[np.int32],
    first: NDArray[np.int32],
    last: NDArray[np.int32],
    directions: NDArray[np.int64],
    equal: Bits,
    sums: NDArray[np.int32],
) -> None:
    for z in range(first.shape[0]):
        for y in range(first.shape[1]):
            start, stop = first[z, y] + 1, last[z, y] + 1
            if stop > start:
                row, bits, total = (
                    bins[z + 1, y + 1, start:stop],
                    equal[z + 1, y + 1, start:stop],
                    sums[z + 1, y + 1, start:stop],
                )
                for angle in range(ANGLES):
                    dz, dy, dx = directions[angle]
                    ahead = bins[z + 1 + dz, y + 1 + dy, start + dx : stop + dx]
                    behind = bins[z + 1 - dz, y + 1 - dy, start - dx : stop - dx]
                    _add_neighbours(row, ahead, bits, total, np.int32(1 << angle))
                    _add_neighbours(row, behind, bits, total, np.int32(1 << (ANGLES + angle)))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add_neighbours(
    row: NDArray[np.int32], other: NDArray[np.int32], bits: Bits, total: NDArray[np.int32], bit: np.int32
) -> None:
    for x in range(len(row)):
        total[x] += other[x]
        bits[x] |= bit if row[x] == other[x] else np.int32(0)
