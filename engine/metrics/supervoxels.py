"""Supervoxels: pieces of an image that are alike and compact, by simple linear iterative clustering in 3D (SLIC).

Achanta et al., IEEE TPAMI 2012;34:2274. Clusters start on a regular grid; a voxel goes to the nearest of the 27 centres
about its own place, near meaning alike in value and close in space; centres move to their members' means. Pieces that
lost touch with their cluster join a neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from store.volumes import BoolZyx, Triple

Values = NDArray[np.float64]
Labels = NDArray[np.int32]
ITERATIONS = 10
SMALLEST_PIECE_SHARE = 0.5  # of a supervoxel's size: smaller pieces join a neighbour, as in scikit-image
NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Clustering:
    """Size of a supervoxel in mm3, and how much space weighs against value (values scaled to 0..1)."""

    volume_mm3: float
    compactness: float


def supervoxels(values: Values, where: BoolZyx, spacing_zyx_mm: Triple, choices: Clustering) -> Labels:
    """Label of each voxel (z, y, x), 0 upwards, -1 outside `where`; each label is one 6-connected piece.

    `values` are scaled to 0..1. The same input gives the same labels on every machine and in any number of processes.
    """
    step_mm = float(np.cbrt(choices.volume_mm3))
    cells = [max(1, round(size * mm / step_mm)) for size, mm in zip(values.shape, spacing_zyx_mm, strict=True)]
    labels = np.full(values.shape, NOWHERE, dtype=np.int32)
    scaled = np.ascontiguousarray(values / choices.compactness)
    counts = (cells[0], cells[1], cells[2])
    _cluster(scaled, where, np.array(spacing_zyx_mm), step_mm, counts, labels)
    smallest = SMALLEST_PIECE_SHARE * choices.volume_mm3 / float(np.prod(spacing_zyx_mm))
    return np.asarray(_connected(labels, int(smallest)))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _cluster(
    values: Values, where: BoolZyx, spacing: Values, step_mm: float, cells: tuple[int, int, int], labels: Labels
) -> None:
    """Assign voxels to centres and move the centres, in turns; `labels` holds the last assignment."""
    depth, height, width = values.shape
    nz, ny, nx = cells
    centres = np.zeros((nz * ny * nx, 4))
    sums, counts = np.zeros((nz * ny * nx, 4)), np.zeros(nz * ny * nx)
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                at = (int((z + 0.5) * depth / nz), int((y + 0.5) * height / ny), int((x + 0.5) * width / nx))
                centre = centres[(z * ny + y) * nx + x]
                centre[0], centre[1], centre[2] = at[0] * spacing[0], at[1] * spacing[1], at[2] * spacing[2]
                centre[3] = values[at]
    weight = 1.0 / (step_mm * step_mm)
    for _ in range(ITERATIONS):
        sums[:] = 0.0
        counts[:] = 0.0
        for z in range(depth):
            cell_z, mm_z = z * nz // depth, z * spacing[0]
            for y in range(height):
                cell_y, mm_y = y * ny // height, y * spacing[1]
                for x in range(width):
                    if where[z, y, x]:
                        cell_x, mm_x, value = x * nx // width, x * spacing[2], values[z, y, x]
                        nearest, least = 0, np.inf
                        for cz in range(max(cell_z - 1, 0), min(cell_z + 2, nz)):
                            for cy in range(max(cell_y - 1, 0), min(cell_y + 2, ny)):
                                for cx in range(max(cell_x - 1, 0), min(cell_x + 2, nx)):
                                    place = (cz * ny + cy) * nx + cx
                                    centre = centres[place]
                                    apart = (mm_z - centre[0]) ** 2 + (mm_y - centre[1]) ** 2 + (mm_x - centre[2]) ** 2
                                    far = apart * weight + (value - centre[3]) ** 2
                                    if far < least:
                                        nearest, least = place, far
                        labels[z, y, x] = nearest
                        total = sums[nearest]
                        total[0] += mm_z
                        total[1] += mm_y
                        total[2] += mm_x
                        total[3] += value
                        counts[nearest] += 1.0
        for place in range(len(centres)):
            if counts[place] > 0:
                centres[place] = sums[place] / counts[place]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _connected(labels: Labels, smallest: int) -> Labels:
    """Each 6-connected piece a label of its own; pieces under a size join the piece before them that they touch."""
    depth, height, width = labels.shape
    flat, found = labels.ravel(), np.full(labels.size, NOWHERE, dtype=np.int32)
    queue = np.empty(labels.size, dtype=np.int64)
    pieces = 0
    for first in range(labels.size):
        if flat[first] == NOWHERE or found[first] != NOWHERE:
            continue
        queue[0], head, tail, beside = first, 0, 1, NOWHERE
        found[first] = pieces
        while head < tail:
            place = queue[head]
            head += 1
            z, rest = place // (height * width), place % (height * width)
            y, x = rest // width, rest % width
            for side in range(6):
                near_z = z + (1 if side == 0 else -1 if side == 1 else 0)
                near_y = y + (1 if side == 2 else -1 if side == 3 else 0)
                near_x = x + (1 if side == 4 else -1 if side == 5 else 0)
                if 0 <= near_z < depth and 0 <= near_y < height and 0 <= near_x < width:
                    near = (near_z * height + near_y) * width + near_x
                    if flat[near] == flat[first] and found[near] == NOWHERE:
                        found[near] = pieces
                        queue[tail] = near
                        tail += 1
                    elif found[near] != NOWHERE and found[near] != pieces:
                        beside = found[near]
        if tail < smallest and beside != NOWHERE:
            for place in range(tail):
                found[queue[place]] = beside
        else:
            pieces += 1
    return found.reshape(labels.shape)
