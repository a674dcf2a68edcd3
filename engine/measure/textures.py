"""The five texture matrices of one mask of one image in three passes over its voxels: PyRadiomics' counts, faster.

PyRadiomics walks the whole box once per matrix and direction; here the list of mask voxels is walked once for all
directions (co-occurrence, dependence, tone difference), once for runs and once for zones. Counts are whole numbers
and equal PyRadiomics' own (tests/engine/measure).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.measure.neighbourhood import (
    AHEAD,
    ALL_NEIGHBOURS,
    ANGLES,
    BITS_SET,
    DIRECTIONS,
    LOWEST_BIT,
    Bits,
    ImageNeighbours,
    MaskVoxels,
)

Counts = NDArray[np.int32]
Tones = NDArray[np.float64]
# A zone's voxel is joined to as few visited neighbours as needed: one at a face stands for those that touch it.
FACES_FIRST = np.array(sorted(range(ANGLES), key=lambda a: (sum(map(abs, DIRECTIONS[a])), -DIRECTIONS[a][0])))
STANDS_FOR = np.array(
    [
        sum(
            1 << b
            for b in range(ANGLES)
            if max(abs(p - q) for p, q in zip(DIRECTIONS[a], DIRECTIONS[b], strict=True)) <= 1
        )
        for a in range(ANGLES)
    ],
    dtype=np.int64,
)


@dataclass(frozen=True, slots=True, eq=False)
class Buffers:
    """Scratch of the size of the padded, flattened box, used by one mask after the other."""

    shared: Bits
    parent: NDArray[np.int32]

    @classmethod
    def of(cls, size: int) -> Buffers:
        """Scratch for a box of so many voxels."""
        return cls(np.zeros(size, dtype=np.int32), np.zeros(size, dtype=np.int32))


@dataclass(frozen=True, slots=True, eq=False)
class Textures:
    """Raw matrices over all grey levels 1..Ng (place level - 1), without symmetry or normalisation.

    co_occurrence (13, Ng, Ng): neighbours in one direction; run_length (13, Ng, longest): runs of length place + 1;
    dependence (Ng, 27): voxels with place equal neighbours; tone_difference (Ng, 2): voxels and summed difference from
    the neighbours' mean; zones (n, 2): level and size of each 26-connected zone.
    """

    co_occurrence: Counts
    run_length: Counts
    dependence: Counts
    tone_difference: Tones
    zones: NDArray[np.int32]


def texture_matrices(
    mask: MaskVoxels, image: ImageNeighbours, jumps: NDArray[np.int64], low: int, count: int, buffers: Buffers
) -> Textures:
    """All texture matrices of a mask; grey level = bin - low + 1 in 1..count.

    A direction in which no line holds two mask voxels has no runs, as in PyRadiomics.
    """
    joint, dependence, tones = _co_occurrence(
        mask.voxels, mask.inside, image.bins, image.equal, image.sums, jumps, low, count, buffers.shared
    )
    runs = _runs(mask.voxels, buffers.shared, image.bins, jumps, low, count, max(mask.extents))
    _add_single_runs(runs, joint, tones)
    for angle in np.flatnonzero(~(runs[:, :, 1:].any(axis=(1, 2)))):
        if not _lines_hold_two(mask, int(angle)):
            runs[angle] = 0
    zones = _zones(mask.voxels, buffers.shared, buffers.parent, image.bins, jumps, low)
    return Textures(joint, runs, dependence, tones, zones)


def _lines_hold_two(mask: MaskVoxels, angle: int) -> bool:
    """Whether a line in this direction holds two mask voxels, neighbours or not."""
    points = mask.points()
    direction = np.array(DIRECTIONS[angle])
    axis = int(np.flatnonzero(direction)[0])
    feet = points - (points[:, axis] * direction[axis])[:, None] * direction
    return len(np.unique(feet, axis=0)) < len(feet)


def _add_single_runs(runs: Counts, joint: Counts, tones: Tones) -> None:
    """Runs of one voxel: a level's voxels less its equal pairs are its runs; less its longer runs, its single ones."""
    pairs = np.diagonal(joint, axis1=1, axis2=2)
    runs[:, :, 0] = tones[:, 0].astype(np.int32)[None, :] - pairs - runs[:, :, 1:].sum(axis=2, dtype=np.int32)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _co_occurrence(
    voxels: NDArray[np.int32],
    inside: Bits,
    bins: NDArray[np.int32],
    equal: Bits,
    sums: NDArray[np.int32],
    jumps: NDArray[np.int64],
    low: int,
    count: int,
    shared: Bits,
) -> tuple[Counts, Counts, Tones]:
    joint = np.zeros((ANGLES, count, count), dtype=np.int32)
    dependence = np.zeros((count, 2 * ANGLES + 1), dtype=np.int32)
    tones = np.zeros((count, 2))
    for place in range(len(voxels)):
        voxel = voxels[place]
        level = bins[voxel] - low
        within = inside[place]
        same = equal[voxel] & within
        shared[voxel] = same
        if within == ALL_NEIGHBOURS:
            neighbours, total = 2 * ANGLES, sums[voxel] - 2 * ANGLES * low
            for angle in range(ANGLES):
                joint[angle, level, bins[voxel + jumps[angle]] - low] += 1
        else:
            neighbours = BITS_SET[within & AHEAD] + BITS_SET[within >> ANGLES]
            total = _border_neighbours(voxel, level, within, bins, jumps, low, joint)
        dependence[level, BITS_SET[same & AHEAD] + BITS_SET[same >> ANGLES]] += 1
        tones[level, 0] += 1.0
        if neighbours > 0:
            tones[level, 1] += abs(level - total / neighbours)
    return joint, dependence, tones


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _border_neighbours(
    voxel: int, level: int, within: int, bins: NDArray[np.int32], jumps: NDArray[np.int64], low: int, joint: Counts
) -> int:
    """Count the pairs of a voxel that has neighbours outside the mask; the sum of those inside."""
    total = 0
    rest = within & AHEAD
    while rest != 0:
        angle = LOWEST_BIT[rest]
        rest &= rest - 1
        other = bins[voxel + jumps[angle]] - low
        joint[angle, level, other] += 1
        total += other
    rest = within >> ANGLES
    while rest != 0:
        total += bins[voxel - jumps[LOWEST_BIT[rest]]] - low
        rest &= rest - 1
    return total


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _runs(
    voxels: NDArray[np.int32],
    shared: Bits,
    bins: NDArray[np.int32],
    jumps: NDArray[np.int64],
    low: int,
    count: int,
    longest: int,
) -> Counts:
    """Runs of two voxels and more; they begin where the voxel ahead is equal and the one behind is not."""
    runs = np.zeros((ANGLES, count, longest), dtype=np.int32)
    for voxel in voxels:
        same = shared[voxel]
        starts = same & ~(same >> ANGLES) & AHEAD
        while starts != 0:
            angle = LOWEST_BIT[starts]
            starts &= starts - 1
            jump, bit = jumps[angle], 1 << angle
            place, length = voxel + jump, 2
            while shared[place] & bit:
                place += jump
                length += 1
            runs[angle, bins[voxel] - low, length - 1] += 1
    return runs


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _root(parent: NDArray[np.int32], voxel: int) -> int:
    while parent[voxel] != voxel:
        parent[voxel] = parent[parent[voxel]]
        voxel = parent[voxel]
    return voxel


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _zones(
    voxels: NDArray[np.int32],
    shared: Bits,
    parent: NDArray[np.int32],
    bins: NDArray[np.int32],
    jumps: NDArray[np.int64],
    low: int,
) -> NDArray[np.int32]:
    """Union-find over voxels in order; a root is the first voxel of its zone."""
    for voxel in voxels:
        parent[voxel] = voxel
        rest = shared[voxel] >> ANGLES
        for angle in FACES_FIRST:
            if rest == 0:
                break
            if rest & (1 << angle):
                rest &= ~STANDS_FOR[angle]
                one, other = _root(parent, voxel), _root(parent, voxel - jumps[angle])
                if one < other:
                    parent[other] = one
                else:
                    parent[one] = other
    found = 0
    zones = np.zeros((len(voxels), 2), dtype=np.int32)
    for voxel in voxels:
        if parent[voxel] == voxel:
            zones[found, 0] = bins[voxel] - low + 1
            zones[found, 1] = 1
            parent[voxel] = -found - 1
            found += 1
        else:
            parent[voxel] = parent[parent[voxel]]
            zones[-parent[voxel] - 1, 1] += 1
    return zones[:found].copy()
