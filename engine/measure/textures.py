"""The five texture matrices of one ROI in two passes over its voxels: the counts of PyRadiomics' C code, faster.

PyRadiomics walks the whole box once per matrix and direction; here the list of ROI voxels is walked once for all
directions and once more for zones. Counts are whole numbers and equal PyRadiomics' own (tests/engine/measure).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

HALF_NEIGHBOURS = tuple((z, y, x) for z in (0, 1) for y in (-1, 0, 1) for x in (-1, 0, 1) if (z, y, x) > (0, 0, 0))
Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Textures:
    """Raw matrices over all grey levels 1..Ng, without symmetry or normalisation; angles are last.

    co_occurrence (Ng, Ng, a): neighbours in one direction; run_length (Ng, longest, a): runs of length place + 1;
    dependence (Ng, 2a + 1): voxels with place equal neighbours; tone_difference (Ng, 3): voxels, summed difference from
    the neighbours' mean, level; zones: (n, 2) level and size of each 26-connected zone.
    """

    co_occurrence: Counts
    run_length: Counts
    dependence: Counts
    tone_difference: Counts
    zones: NDArray[np.int64]

    @property
    def all_runs_single(self) -> bool:
        """Whether some direction has no run of two: PyRadiomics treats such directions by a rule of its own."""
        return bool((self.run_length[:, 1:].sum(axis=(0, 1)) == 0).any())


def texture_matrices(levels: NDArray[np.int32]) -> Textures:
    """All texture matrices of a non-empty ROI given as grey levels z, y, x from 1, 0 outside.

    Directions that leave a one-voxel-thick array are left out, as in PyRadiomics.
    """
    padded = np.pad(levels, 1)
    steps = np.array([padded.shape[1] * padded.shape[2], padded.shape[2], 1])
    offsets = [o for o in HALF_NEIGHBOURS if all(n > 1 or step == 0 for n, step in zip(levels.shape, o, strict=True))]
    flat = padded.ravel()
    jumps = np.array(offsets, dtype=np.int64).reshape(-1, 3) @ steps
    voxels = np.flatnonzero(flat)
    count = int(levels.max())
    joint, runs, dependence, tones = _neighbours(flat, voxels, jumps, count, max(levels.shape))
    return Textures(joint, runs, dependence, tones, _zones(flat, voxels, np.concatenate([jumps, -jumps])))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _neighbours(
    flat: NDArray[np.int32], voxels: NDArray[np.int64], jumps: NDArray[np.int64], count: int, longest: int
) -> tuple[Counts, Counts, Counts, Counts]:
    angles = len(jumps)
    joint = np.zeros((count, count, angles))
    runs = np.zeros((count, longest, angles))
    dependence = np.zeros((count, 2 * angles + 1))
    tones = np.zeros((count, 3))
    for level in range(count):
        tones[level, 2] = level + 1
    for voxel in voxels:
        level = flat[voxel]
        total, neighbours, equal = 0, 0, 0
        for angle in range(angles):
            jump = jumps[angle]
            ahead, behind = flat[voxel + jump], flat[voxel - jump]
            total += ahead + behind
            neighbours += (ahead > 0) + (behind > 0)
            equal += (ahead == level) + (behind == level)
            if ahead > 0:
                joint[level - 1, ahead - 1, angle] += 1.0
            if behind != level:
                length, place = 1, voxel + jump
                while flat[place] == level:
                    length += 1
                    place += jump
                runs[level - 1, length - 1, angle] += 1.0
        dependence[level - 1, equal] += 1.0
        tones[level - 1, 0] += 1.0
        if neighbours > 0:
            tones[level - 1, 1] += abs(level - total / neighbours)
    return joint, runs, dependence, tones


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _zones(flat: NDArray[np.int32], voxels: NDArray[np.int64], jumps: NDArray[np.int64]) -> NDArray[np.int64]:
    left = flat.copy()
    waiting = np.empty(len(voxels), dtype=np.int64)
    zones = np.empty((len(voxels), 2), dtype=np.int64)
    found = 0
    for voxel in voxels:
        level = left[voxel]
        if level == 0:
            continue
        left[voxel] = 0
        waiting[0] = voxel
        size, done = 1, 0
        while done < size:
            here = waiting[done]
            done += 1
            for jump in jumps:
                if left[here + jump] == level:
                    left[here + jump] = 0
                    waiting[size] = here + jump
                    size += 1
        zones[found, 0] = level
        zones[found, 1] = size
        found += 1
    return zones[:found].copy()
