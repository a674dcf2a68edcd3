"""Other neighbours than the 26 touching ones, and directions merged into one table: the texture choices of a protocol.

Counted afresh for every mask in one walk over its box; what the masks of a region share (textures.py) is for touching
neighbours only. Counts are PyRadiomics' own with the same settings (tests/engine/measure).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engine.measure.neighbourhood import DIRECTIONS, MaskVoxels
from engine.measure.textures import Counts, Textures, Tones
from store.volumes import Triple

WEIGHTINGS = ("none", "merged", "euclidean", "manhattan", "infinity")
Offsets = NDArray[np.int64]
IN_PLANE = [place for place, (z, _, _) in enumerate(DIRECTIONS) if z == 0]


@dataclass(frozen=True, slots=True)
class TextureChoices:
    """Which voxels are neighbours, and how directions are put together.

    distances: infinity-norm distances in voxels at which neighbours stand, for co-occurrence, dependence and tone
    difference (runs and zones always touch, as in PyRadiomics). weighting none: features of each direction, averaged;
    merged: directions summed into one table (IBSI's merged, PyRadiomics' no_weighting); the others: summed with a
    weight of the offset's length d in mm by that norm, exp(-d^2) for co-occurrence and d for runs. in_plane:
    neighbours of the same slice only (PyRadiomics' force2D, IBSI's 2.5D).
    """

    distances: tuple[int, ...] = (1,)
    weighting: str = "none"
    in_plane: bool = False

    def __post_init__(self) -> None:
        if not self.distances or min(self.distances) < 1 or list(self.distances) != sorted(set(self.distances)):
            raise ValueError(f"distances must be whole numbers from 1, ascending, got {self.distances}")
        if self.weighting not in WEIGHTINGS:
            raise ValueError(f"weighting must be one of {WEIGHTINGS}, got {self.weighting!r}")

    @property
    def touching(self) -> bool:
        """Whether neighbours are the 26 touching voxels."""
        return self.distances == (1,) and not self.in_plane

    def offsets(self) -> Offsets:
        """One of each pair of opposite offsets z, y, x, shape (n, 3)."""
        reach = self.distances[-1]
        steps = np.indices((2 * reach + 1,) * 3).reshape(3, -1).T - reach
        half = steps[len(steps) // 2 + 1 :]
        wanted = np.isin(np.abs(half).max(axis=1), self.distances)
        return np.ascontiguousarray(half[wanted & ~(self.in_plane & (half[:, 0] != 0))])


def chosen_textures(
    textures: Textures, mask: MaskVoxels, levels: NDArray[np.int32], spacing_zyx_mm: Triple, choices: TextureChoices
) -> Textures:
    """The matrices of a mask as the choices want them; levels: grey level (from 1) of each of mask.points()."""
    offsets, of_runs = choices.offsets(), np.array(DIRECTIONS)
    if not choices.touching:
        textures = _recounted(textures, _dense(mask, levels, choices.distances[-1]), offsets)
    if choices.in_plane:
        of_runs = of_runs[IN_PLANE]
        zones = _zones(_dense(mask, levels, 1), np.ascontiguousarray(of_runs))
        textures = replace(textures, run_length=textures.run_length[IN_PLANE], zones=zones)
    if choices.weighting == "none":
        return textures
    joint = np.exp(-(_lengths_mm(offsets, spacing_zyx_mm, choices.weighting) ** 2))
    runs = _lengths_mm(of_runs, spacing_zyx_mm, choices.weighting)
    if choices.weighting == "merged":
        joint, runs = np.ones(len(offsets)), np.ones(len(of_runs))
    return replace(
        textures, co_occurrence=_summed(joint, textures.co_occurrence), run_length=_summed(runs, textures.run_length)
    )


def _summed(weights: Tones, counts: Counts | Tones) -> Tones:
    return np.asarray(np.tensordot(weights, counts, 1)[None])


def _lengths_mm(offsets: Offsets, spacing_zyx_mm: Triple, norm: str) -> Tones:
    sides = np.abs(offsets) * np.array(spacing_zyx_mm)
    if norm == "infinity":
        return np.asarray(sides.max(axis=1))
    return np.asarray(sides.sum(axis=1) if norm == "manhattan" else np.sqrt((sides**2).sum(axis=1)))


def _dense(mask: MaskVoxels, levels: NDArray[np.int32], margin: int) -> Counts:
    """Grey levels in the mask's box and a margin around it, 0 outside the mask."""
    points = mask.points()
    z, y, x = (extent + 2 * margin for extent in mask.extents)
    dense = np.zeros((z, y, x), dtype=np.int32)
    dense[tuple((points - points.min(axis=0) + margin).T)] = levels
    return dense


def _recounted(textures: Textures, dense: Counts, offsets: Offsets) -> Textures:
    count = textures.co_occurrence.shape[1]
    joint = np.zeros((len(offsets), count, count), dtype=np.int32)
    dependence = np.zeros((count, 2 * len(offsets) + 1), dtype=np.int32)
    tones = np.zeros((count, 2))
    _count_neighbours(dense, offsets, joint, dependence, tones)
    return replace(textures, co_occurrence=joint, dependence=dependence, tone_difference=tones)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _count_neighbours(dense: Counts, offsets: Offsets, joint: Counts, dependence: Counts, tones: Tones) -> None:
    for z, y, x in np.ndindex(dense.shape):
        level = dense[z, y, x]
        if level == 0:
            continue
        same = near = total = 0
        for place in range(len(offsets)):
            dz, dy, dx = offsets[place]
            ahead, behind = dense[z + dz, y + dy, x + dx], dense[z - dz, y - dy, x - dx]
            if ahead > 0:
                joint[place, level - 1, ahead - 1] += 1
            same += (ahead == level) + (behind == level)
            near += (ahead > 0) + (behind > 0)
            total += ahead + behind
        dependence[level - 1, same] += 1
        tones[level - 1, 0] += 1.0
        if near > 0:
            tones[level - 1, 1] += abs(level - total / near)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _zones(dense: Counts, offsets: Offsets) -> Counts:
    """Level and size of each zone of equal levels joined along some offsets; `dense` is eaten up."""
    z_size, y_size, x_size = dense.shape
    waiting = np.empty((dense.size, 3), dtype=np.int32)
    zones = np.zeros((dense.size, 2), dtype=np.int32)
    found = 0
    for z in range(z_size):
        for y in range(y_size):
            for x in range(x_size):
                if dense[z, y, x] > 0:
                    zones[found, 0] = dense[z, y, x]
                    zones[found, 1] = _eat_zone(dense, offsets, waiting, (z, y, x))
                    found += 1
    return zones[:found].copy()


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _eat_zone(dense: Counts, offsets: Offsets, waiting: Counts, start: tuple[int, int, int]) -> int:
    z, y, x = start
    level = dense[z, y, x]
    dense[z, y, x] = 0
    waiting[0, 0], waiting[0, 1], waiting[0, 2] = z, y, x
    count, size = 1, 0
    while count > 0:
        count -= 1
        size += 1
        z, y, x = waiting[count, 0], waiting[count, 1], waiting[count, 2]
        for place in range(2 * len(offsets)):
            sign = 1 if place < len(offsets) else -1
            dz, dy, dx = offsets[place % len(offsets)]
            i, j, k = z + sign * dz, y + sign * dy, x + sign * dx
            if dense[i, j, k] == level:
                dense[i, j, k] = 0
                waiting[count, 0], waiting[count, 1], waiting[count, 2] = i, j, k
                count += 1
    return size
