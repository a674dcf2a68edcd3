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
    return np.asarray(_connected(labels, scaled, int(smallest)))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _cluster(
    values: Values, where: BoolZyx, spacing: Values, step_mm: float, cells: tuple[int, int, int], labels: Labels
) -> None:
    """Assign voxels to centres (z, y, x in mm, value) and move the centres, in turns; the last turn assigns."""
    centres = _first_centres(values, spacing, cells)
    weight = 1.0 / (step_mm * step_mm)
    for _ in range(ITERATIONS):
        sums, counts = np.zeros_like(centres), np.zeros(len(centres))
        for z in range(values.shape[0]):
            for y in range(values.shape[1]):
                for x in range(values.shape[2]):
                    if where[z, y, x]:
                        place = (z * spacing[0], y * spacing[1], x * spacing[2], values[z, y, x])
                        cell = (
                            z * cells[0] // values.shape[0],
                            y * cells[1] // values.shape[1],
                            x * cells[2] // values.shape[2],
                        )
                        nearest = _nearest(place, cell, cells, centres, weight)
                        labels[z, y, x] = nearest
                        counts[nearest] += 1.0
                        for part in range(4):
                            sums[nearest, part] += place[part]
        for number in range(len(centres)):
            if counts[number] > 0:
                centres[number] = sums[number] / counts[number]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _first_centres(values: Values, spacing: Values, cells: tuple[int, int, int]) -> Values:
    """Centres in the middle of the cells of a regular grid, with the value there."""
    nz, ny, nx = cells
    depth, height, width = values.shape
    centres = np.zeros((nz * ny * nx, 4))
    for place in range(len(centres)):
        z, y, x = place // (ny * nx), place // nx % ny, place % nx
        at = (int((z + 0.5) * depth / nz), int((y + 0.5) * height / ny), int((x + 0.5) * width / nx))
        for axis in range(3):
            centres[place, axis] = at[axis] * spacing[axis]
        centres[place, 3] = values[at]
    return centres


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _nearest(
    place: tuple[float, float, float, float],
    cell: tuple[int, int, int],
    cells: tuple[int, int, int],
    centres: Values,
    weight: float,
) -> int:
    """The nearest of the 27 centres about a cell."""
    nearest, least = 0, np.inf
    for z in range(max(cell[0] - 1, 0), min(cell[0] + 2, cells[0])):
        for y in range(max(cell[1] - 1, 0), min(cell[1] + 2, cells[1])):
            for x in range(max(cell[2] - 1, 0), min(cell[2] + 2, cells[2])):
                number = (z * cells[1] + y) * cells[2] + x
                centre = centres[number]
                apart = (place[0] - centre[0]) ** 2 + (place[1] - centre[1]) ** 2 + (place[2] - centre[2]) ** 2
                far = apart * weight + (place[3] - centre[3]) ** 2
                if far < least:
                    nearest, least = number, far
    return nearest


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _connected(labels: Labels, values: Values, smallest: int) -> Labels:
    """Each 6-connected piece a label of its own; pieces under a size join an earlier piece, the most alike in touch."""
    flat, found = labels.ravel(), np.full(labels.size, NOWHERE, dtype=np.int32)
    queue = np.empty(labels.size, dtype=np.int64)
    pieces = 0
    for first in range(labels.size):
        if flat[first] != NOWHERE and found[first] == NOWHERE:
            size, beside = _fill(first, pieces, values, flat, found, queue)
            if size < smallest and beside != NOWHERE:
                for place in range(size):
                    found[queue[place]] = beside
            else:
                pieces += 1
    return found.reshape(labels.shape)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill(
    first: int,
    piece: int,
    values: Values,
    flat: Labels,
    found: Labels,
    queue: NDArray[np.int64],
) -> tuple[int, int]:
    """Number the piece that holds a voxel; its size and the earlier piece beside it most alike in touch (-1: none)."""
    shape, value = values.shape, values.ravel()
    _, height, width = shape
    strides = (height * width, width, 1)
    queue[0], head, tail, beside, least = first, 0, 1, NOWHERE, np.inf
    found[first] = piece
    while head < tail:
        place = queue[head]
        head += 1
        at = (place // strides[0], place // width % height, place % width)
        for axis in range(3):
            for step in (-1, 1):
                if 0 <= at[axis] + step < shape[axis]:
                    near = place + step * strides[axis]
                    if flat[near] == flat[first] and found[near] == NOWHERE:
                        found[near] = piece
                        queue[tail] = near
                        tail += 1
                    elif found[near] != NOWHERE and found[near] != piece:
                        unlike = abs(value[near] - value[place])
                        if unlike < least:
                            beside, least = found[near], unlike
    return tail, beside
