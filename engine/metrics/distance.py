"""Exact Euclidean distance of every voxel to a mask, on anisotropic grids: a kernel, several times faster than SciPy's.

One axis after the other: along z by two sweeps, along y and x by the lower envelope of parabolas (Felzenszwalb and
Huttenlocher, Theory of Computing 2012;8:415).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from store.volumes import BoolZyx, Triple

Floats = NDArray[np.float64]


def distance_to_mm(mask: BoolZyx, spacing_zyx_mm: Triple) -> Floats:
    """Distance (mm) of every voxel centre, z, y, x, to the nearest voxel centre of a mask; 0 in it, infinite without.

    Equals scipy.ndimage.distance_transform_edt(~mask, sampling=spacing) within rounding.
    """
    if min(spacing_zyx_mm) <= 0:
        raise ValueError(f"spacing_zyx_mm must be positive, got {spacing_zyx_mm}")
    z, y, x = map(float, spacing_zyx_mm)
    distance: Floats = _along_z(np.ascontiguousarray(mask), z)
    _along_rest(distance, y, x)
    return distance


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _along_z(mask: BoolZyx, step: float) -> Floats:
    """Squared distance (mm²) to the nearest voxel of the mask in the same column along z, infinite without one."""
    depth = mask.shape[0]
    inside = mask.reshape(depth, -1)
    steps = np.full(inside.shape, 2.0 * depth)
    for z in range(depth):
        for column in range(inside.shape[1]):
            if inside[z, column]:
                steps[z, column] = 0.0
            elif z > 0:
                steps[z, column] = steps[z - 1, column] + 1.0
    for z in range(depth - 1, -1, -1):
        for column in range(inside.shape[1]):
            if z < depth - 1:
                steps[z, column] = min(steps[z, column], steps[z + 1, column] + 1.0)
    squared = np.where(steps < depth, (steps * step) ** 2, np.inf)
    return squared.reshape(mask.shape)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _along_rest(squared: Floats, step_y: float, step_x: float) -> None:
    """Take y, then x, into squared distances along z, in place; at the end their roots."""
    depth, rows, columns = squared.shape
    longest = max(rows, columns)
    line, places, heights = np.empty(longest), np.empty(longest, np.int64), np.empty(longest)
    borders = np.empty(longest + 1)
    for z in range(depth):
        plane = squared[z]
        for x in range(columns):
            _envelope(plane[:, x], step_y, line, places, heights, borders)
        for y in range(rows):
            _envelope(plane[y], step_x, line, places, heights, borders)
            for x in range(columns):
                plane[y, x] = np.sqrt(plane[y, x])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _envelope(
    values: Floats, step: float, line: Floats, places: NDArray[np.int64], heights: Floats, borders: Floats
) -> None:
    """Replace values (mm²) along a line by the least of value + squared distance (mm²) over all its places."""
    n = values.size
    last = -1
    for q in range(n):
        line[q] = values[q]
        if line[q] == np.inf:
            continue
        height = line[q] / (step * step) + q * q
        border = -np.inf
        while last >= 0:
            border = (height - heights[last]) / (2.0 * (q - places[last]))
            if border > borders[last]:
                break
            last -= 1
        last += 1
        places[last], heights[last] = q, height
        borders[last] = border if last > 0 else -np.inf
    if last < 0:
        return
    borders[last + 1] = np.inf
    k = 0
    for q in range(n):
        while borders[k + 1] < q:
            k += 1
        way = (q - places[k]) * step
        values[q] = line[places[k]] + way * way
