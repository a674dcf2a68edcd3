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
    Core,
    ImageNeighbours,
    MaskVoxels,
)

Counts = NDArray[np.int32]
Tones = NDArray[np.float64]


def _few_joins() -> Bits:
    """Of every set of neighbours in a zone those a voxel must be joined to: one at a face stands for all it touches."""
    faces_first = sorted(range(ANGLES), key=lambda a: (sum(map(abs, DIRECTIONS[a])), -DIRECTIONS[a][0]))
    touches = [
        sum(1 << b for b in range(ANGLES) if max(abs(p - q) for p, q in zip(here, DIRECTIONS[b], strict=True)) <= 1)
        for here in DIRECTIONS
    ]
    every = np.arange(AHEAD + 1)
    rest, needed = every.copy(), np.zeros_like(every)
    for angle in faces_first:
        joined = (rest & (1 << angle)) != 0
        needed[joined] |= 1 << angle
        rest[joined] &= ~touches[angle]
    return needed.astype(np.int32)


NEEDED = _few_joins()


@dataclass(frozen=True, slots=True, eq=False)
class Buffers:
    """Scratch of the size of the padded, flattened box: each voxel's equal neighbours in the mask, and its zone."""

    shared: Bits
    node: NDArray[np.int32]

    @classmethod
    def of(cls, size: int) -> Buffers:
        """Scratch for a box of so many voxels."""
        return cls(np.zeros(size, dtype=np.int32), np.zeros(size, dtype=np.int32))


@dataclass(frozen=True, slots=True, eq=False)
class Textures:
    """Raw matrices over grey levels 1..Ng (place level - 1), without symmetry or normalisation.

    co_occurrence (13, Ng, Ng): neighbours in one direction; run_length (13, Ng, longest): runs of length place + 1;
    dependence (Ng, 27): voxels with place equal neighbours; tone_difference (Ng, 2): voxels and summed difference from
    the neighbours' mean; zones (n, 2): level and size of each 26-connected zone. Other numbers of directions, and
    weighted sums over them, come from directions.py.
    """

    co_occurrence: Counts | Tones
    run_length: Counts | Tones
    dependence: Counts
    tone_difference: Tones
    zones: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class CoreTextures:
    """What the core of a group counts in one image, over all levels of the image, and what it leaves to each mask.

    open_runs (n, 4): voxel outside the core, direction, length so far, level of runs that leave the core; core_zones
    (n, 2): level and size of the core's zones, whose numbers stand in the buffers.
    """

    image: ImageNeighbours
    jumps: NDArray[np.int64]
    low: int
    co_occurrence: Counts
    run_length: Counts
    dependence: Counts
    tone_difference: Tones
    open_runs: NDArray[np.int32]
    core_zones: NDArray[np.int32]


def core_textures(
    core: Core,
    image: ImageNeighbours,
    jumps: NDArray[np.int64],
    levels: tuple[int, int],
    longest: int,
    buffers: Buffers,
) -> CoreTextures:
    """Count a core once for all masks of its group; levels: lowest bin of the image, and number of bins."""
    low, count = levels
    joint = np.zeros((ANGLES, count, count), dtype=np.int32)
    dependence = np.zeros((count, 2 * ANGLES + 1), dtype=np.int32)
    tones = np.zeros((count, 2))
    _core_neighbours(
        core.voxels, image.bins, image.equal, image.sums, jumps, low, joint, dependence, tones, buffers.shared
    )
    runs = np.zeros((ANGLES, count, longest), dtype=np.int32)
    leaving = int(BITS_SET[~core.within & AHEAD].sum())
    open_runs = _core_runs(core.voxels, core.member, buffers.shared, image.bins, jumps, low, runs, leaving)
    zones = _core_zones(core.voxels, core.within, buffers.shared, buffers.node, image.bins, jumps, low)
    return CoreTextures(image, jumps, low, joint, runs, dependence, tones, open_runs, zones)


def texture_matrices(mask: MaskVoxels, core: CoreTextures, levels: tuple[int, int], buffers: Buffers) -> Textures:
    """All texture matrices of a mask, those of its core given; levels: bin that is level 1, and number of levels.

    A direction in which no line holds two mask voxels has no runs, as in PyRadiomics.
    """
    image, jumps, low = core.image, core.jumps, core.low
    joint, dependence = core.co_occurrence.copy(), core.dependence.copy()
    tones, runs = core.tone_difference.copy(), core.run_length.copy()
    _add_neighbours(
        mask.voxels,
        mask.inside,
        image.bins,
        image.equal,
        image.sums,
        jumps,
        low,
        joint,
        dependence,
        tones,
        buffers.shared,
    )
    _add_runs(mask.voxels, buffers.shared, image.bins, jumps, low, runs)
    _add_open_runs(core.open_runs, buffers.shared, jumps, runs)
    _add_single_runs(runs, joint, tones)
    for angle in np.flatnonzero(~(runs[:, :, 1:].any(axis=(1, 2)))):
        if not _lines_hold_two(mask, int(angle)):
            runs[angle] = 0
    zones = _zones(mask.voxels, mask.core_ahead, buffers.shared, buffers.node, image.bins, jumps, low, core.core_zones)
    first, count = levels[0] - low, levels[1]
    zones[:, 0] -= first
    kept, before = slice(max(first, 0), first + count), max(-first, 0)
    if before:  # level 1 lies below all bins of the image: the levels between stay empty
        joint = np.pad(joint, ((0, 0), (before, 0), (before, 0)))
        runs = np.pad(runs, ((0, 0), (before, 0), (0, 0)))
        dependence, tones = np.pad(dependence, ((before, 0), (0, 0))), np.pad(tones, ((before, 0), (0, 0)))
        kept = slice(0, count)
    return Textures(joint[:, kept, kept].copy(), runs[:, kept].copy(), dependence[kept], tones[kept], zones)


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
def _add_neighbours(  # noqa: PLR0913
    voxels: NDArray[np.int32],
    inside: Bits,
    bins: NDArray[np.int32],
    equal: Bits,
    sums: NDArray[np.int32],
    jumps: NDArray[np.int64],
    low: int,
    joint: Counts,
    dependence: Counts,
    tones: Tones,
    shared: Bits,
) -> None:
    steps = jumps.astype(np.uint64)
    below = np.uint64(low)
    for place in range(len(voxels)):
        voxel = np.uint64(voxels[place])
        level = np.uint64(bins[voxel]) - below
        within = inside[place]
        same = equal[voxel] & within
        shared[voxel] = same
        if within == ALL_NEIGHBOURS:
            neighbours, total = 2 * ANGLES, sums[voxel] - 2 * ANGLES * low
            for angle in range(ANGLES):
                joint[np.uint64(angle), level, np.uint64(bins[voxel + steps[angle]]) - below] += 1
        else:
            neighbours = BITS_SET[within & AHEAD] + BITS_SET[within >> ANGLES]
            total = _border_neighbours(voxel, level, within, bins, steps, low, joint)
        dependence[level, np.uint64(BITS_SET[np.uint64(same & AHEAD)] + BITS_SET[np.uint64(same >> ANGLES)])] += 1
        tones[level, 0] += 1.0
        if neighbours > 0:
            tones[level, 1] += abs(int(level) - total / neighbours)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _core_neighbours(  # noqa: PLR0913
    voxels: NDArray[np.int32],
    bins: NDArray[np.int32],
    equal: Bits,
    sums: NDArray[np.int32],
    jumps: NDArray[np.int64],
    low: int,
    joint: Counts,
    dependence: Counts,
    tones: Tones,
    shared: Bits,
) -> None:
    """As `_add_neighbours` for voxels that have all their neighbours: a row of them at a time, direction by direction.

    Two tables take turns, so that equal pairs beside each other need not wait for one another.
    """
    count = np.uint64(joint.shape[1])
    one, below = np.uint64(1), np.uint64(low)
    steps = jumps.astype(np.uint64)
    turn = np.zeros((ANGLES, joint.shape[1] * joint.shape[2]), dtype=np.int32)
    flat = joint.reshape(ANGLES, -1)
    stop = 0
    while stop < len(voxels):
        first = stop
        stop += 1
        while stop < len(voxels) and voxels[stop] == voxels[stop - 1] + 1:
            stop += 1
        begin, end = np.uint64(voxels[first]), np.uint64(voxels[first]) + np.uint64(stop - first)
        for angle in range(ANGLES):
            step, even, odd = steps[angle], flat[angle], turn[angle]
            voxel = begin
            while voxel + one < end:
                even[(np.uint64(bins[voxel]) - below) * count + np.uint64(bins[voxel + step]) - below] += 1
                voxel += one
                odd[(np.uint64(bins[voxel]) - below) * count + np.uint64(bins[voxel + step]) - below] += 1
                voxel += one
            if voxel < end:
                even[(np.uint64(bins[voxel]) - below) * count + np.uint64(bins[voxel + step]) - below] += 1
        for here in range(begin, end):
            level, same = np.uint64(bins[here]) - below, equal[here]
            shared[here] = same
            dependence[level, np.uint64(BITS_SET[np.uint64(same & AHEAD)] + BITS_SET[np.uint64(same >> ANGLES)])] += 1
            tones[level, 0] += 1.0
            tones[level, 1] += abs(int(level) - (sums[here] - 2 * ANGLES * low) / (2 * ANGLES))
    flat += turn


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _border_neighbours(
    voxel: int, level: int, within: int, bins: NDArray[np.int32], steps: NDArray[np.uint64], low: int, joint: Counts
) -> int:
    """Count the pairs of a voxel that has neighbours outside the mask; the sum of those inside."""
    total = np.uint64(0)
    below = np.uint64(low)
    rest = within & AHEAD
    while rest != 0:
        angle = np.uint64(LOWEST_BIT[np.uint64(rest)])
        rest &= rest - 1
        other = np.uint64(bins[voxel + steps[angle]]) - below
        joint[angle, level, other] += 1
        total += other
    rest = within >> ANGLES
    while rest != 0:
        total += np.uint64(bins[voxel - steps[np.uint64(LOWEST_BIT[np.uint64(rest)])]]) - below
        rest &= rest - 1
    return int(total)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add_runs(
    voxels: NDArray[np.int32], shared: Bits, bins: NDArray[np.int32], jumps: NDArray[np.int64], low: int, runs: Counts
) -> None:
    """Runs of two voxels and more; they begin where the voxel ahead is equal and the one behind is not."""
    steps, below = jumps.astype(np.uint64), np.uint64(low)
    for signed in voxels:
        voxel = np.uint64(signed)
        same = shared[voxel]
        starts = same & ~(same >> ANGLES) & AHEAD
        while starts != 0:
            angle = np.uint64(LOWEST_BIT[np.uint64(starts)])
            starts &= starts - 1
            step = steps[angle]
            place, length = voxel + step, np.uint64(1)
            while (shared[place] >> angle) & 1:
                place += step
                length += np.uint64(1)
            runs[angle, np.uint64(bins[voxel]) - below, length] += 1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _core_runs(  # noqa: PLR0913
    voxels: NDArray[np.int32],
    member: NDArray[np.bool_],
    shared: Bits,
    bins: NDArray[np.int32],
    jumps: NDArray[np.int64],
    low: int,
    runs: Counts,
    leaving: int,
) -> NDArray[np.int32]:
    """Count the runs that begin and end in the core; those that leave it are handed over."""
    open_runs = np.empty((leaving, 4), dtype=np.int32)
    found = 0
    steps, below = jumps.astype(np.uint64), np.uint64(low)
    for signed in voxels:
        voxel = np.uint64(signed)
        same = shared[voxel]
        starts = same & ~(same >> ANGLES) & AHEAD
        level = np.uint64(bins[voxel]) - below
        while starts != 0:
            angle = np.uint64(LOWEST_BIT[np.uint64(starts)])
            starts &= starts - 1
            step = steps[angle]
            place, length = voxel + step, np.uint64(1)
            while member[place] and (shared[place] >> angle) & 1:
                place += step
                length += np.uint64(1)
            if member[place]:
                runs[angle, level, length] += 1
            else:
                open_runs[found, 0], open_runs[found, 1] = place, angle
                open_runs[found, 2], open_runs[found, 3] = length + np.uint64(1), level
                found += 1
    return open_runs[:found].copy()


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add_open_runs(open_runs: NDArray[np.int32], shared: Bits, jumps: NDArray[np.int64], runs: Counts) -> None:
    for run in range(len(open_runs)):
        place, angle, length, level = open_runs[run]
        jump, bit = jumps[angle], 1 << angle
        here = np.int64(place)
        while shared[here] & bit:
            here += jump
            length += 1
        runs[angle, level, length - 1] += 1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _root(parent: NDArray[np.int32], node: int) -> int:
    here = np.uint64(node)
    while np.uint64(parent[here]) != here:
        parent[here] = parent[np.uint64(parent[here])]
        here = np.uint64(parent[here])
    return int(here)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _join(
    parent: NDArray[np.int32], node: NDArray[np.int32], voxel: int, rest: int, jumps: NDArray[np.int64], sign: int
) -> None:
    """Join a voxel's zone with those of the neighbours in `rest`, all ahead (sign 1) or all behind (sign -1)."""
    needed = NEEDED[np.uint64(rest)]
    while needed != 0:
        angle = np.uint64(LOWEST_BIT[np.uint64(needed)])
        needed &= needed - 1
        one = _root(parent, node[np.uint64(voxel)])
        other = _root(parent, node[np.uint64(voxel + sign * jumps[angle])])
        if one < other:
            parent[np.uint64(other)] = one
        else:
            parent[np.uint64(one)] = other


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _core_zones(
    voxels: NDArray[np.int32],
    within: Bits,
    shared: Bits,
    node: NDArray[np.int32],
    bins: NDArray[np.int32],
    jumps: NDArray[np.int64],
    low: int,
) -> NDArray[np.int32]:
    """Zones of the core alone: level and size of each, its number in `node`; a root is the first voxel of its zone."""
    parent = np.arange(len(voxels), dtype=np.int32)
    for place in range(len(voxels)):
        node[voxels[place]] = place
        _join(parent, node, voxels[place], (shared[voxels[place]] & within[place]) >> ANGLES, jumps, -1)
    found = 0
    zones = np.zeros((len(voxels), 2), dtype=np.int32)
    for place in range(len(voxels)):
        if parent[place] == place:
            zones[found, 0] = bins[voxels[place]] - low + 1
            parent[place] = found
            found += 1
        else:
            parent[place] = parent[parent[place]]
        zones[parent[place], 1] += 1
        node[voxels[place]] = parent[place]
    return zones[:found].copy()


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _zones(  # noqa: PLR0913
    voxels: NDArray[np.int32],
    core_ahead: Bits,
    shared: Bits,
    node: NDArray[np.int32],
    bins: NDArray[np.int32],
    jumps: NDArray[np.int64],
    low: int,
    core_zones: NDArray[np.int32],
) -> NDArray[np.int32]:
    """Zones of a mask: those of its core, joined and added to by its rim."""
    known = len(core_zones)
    parent = np.arange(known + len(voxels), dtype=np.int32)
    for place in range(len(voxels)):
        node[voxels[place]] = known + place
    for place in range(len(voxels)):
        voxel = voxels[place]
        _join(parent, node, voxel, shared[voxel] >> ANGLES, jumps, -1)
        _join(parent, node, voxel, shared[voxel] & core_ahead[place], jumps, 1)
    found = 0
    zones = np.zeros((len(parent), 2), dtype=np.int32)
    for place in range(len(parent)):
        if parent[place] == place:
            zones[found, 0] = core_zones[place, 0] if place < known else bins[voxels[place - known]] - low + 1
            parent[place] = found
            found += 1
        else:
            parent[place] = parent[parent[place]]
        zones[parent[place], 1] += core_zones[place, 1] if place < known else 1
    return zones[:found].copy()
