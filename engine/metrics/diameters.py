"""Largest diameters of a mask between vertices of its marching-cubes mesh: PyRadiomics' four, without its all pairs.

Both ends of a largest distance are corners of the convex hull of the vertices in their plane, so that each plane is
first reduced to its hull, and the whole to the corners that every plane through them has.
"""

from __future__ import annotations

import contextlib

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from store.volumes import BoolZyx, Triple

Points = NDArray[np.float64]
HULL_FROM = 500


def mesh_vertices_mm(mask: BoolZyx, spacing_zyx_mm: Triple) -> Points:
    """Vertices (n, z y x) of the marching-cubes mesh in mm: the middle between every mask voxel and its background."""
    return np.asarray(_half_steps(mask) / 2.0 * np.array(spacing_zyx_mm))


def maximum_3d_diameter_mm(mask: BoolZyx, spacing_zyx_mm: Triple) -> float:
    """Largest distance (mm) between mesh vertices of a non-empty mask."""
    return maximum_diameters_mm(mask, spacing_zyx_mm)[3]


def maximum_diameters_mm(mask: BoolZyx, spacing_zyx_mm: Triple) -> tuple[float, float, float, float]:
    """Largest vertex distances (mm) in any axial, coronal and sagittal plane, and in 3D: PyRadiomics' four diameters.

    In PyRadiomics' words Maximum2DDiameterSlice, -Column, -Row and Maximum3DDiameter.
    """
    steps, scale = _half_steps(mask), np.array(spacing_zyx_mm) / 2.0
    corner = np.ones(len(steps), dtype=np.bool_)
    largest = []
    for axis in range(3):
        row, column = (a for a in range(3) if a != axis)
        order = np.lexsort((steps[:, column], steps[:, row], steps[:, axis]))
        in_hull = np.zeros(len(steps), dtype=np.bool_)
        squared = _planes(steps[order][:, [axis, row, column]], scale[row], scale[column], in_hull)
        largest.append(float(np.sqrt(squared)))
        corner[order[~in_hull]] = False
    axial, coronal, sagittal = largest
    return axial, coronal, sagittal, _largest_distance(steps[corner] * scale)


def _largest_distance(points: Points) -> float:
    if len(points) > HULL_FROM:
        with contextlib.suppress(QhullError):  # flat: the hulls of its planes are enough
            points = points[ConvexHull(points).vertices]
    return float(pdist(points).max())


def _half_steps(mask: BoolZyx) -> NDArray[np.int64]:
    """Mesh vertices in half voxels from the centre of voxel (0, 0, 0), shape (n, 3)."""
    padded = np.pad(mask, 1)
    found = []
    for axis in range(3):
        ahead = padded[tuple(slice(1, None) if a == axis else slice(None) for a in range(3))]
        behind = padded[tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))]
        where = np.stack(np.nonzero(ahead != behind), axis=1) * 2
        where[:, axis] += 1
        found.append(where)
    return np.asarray(np.concatenate(found) - 2)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _planes(steps: NDArray[np.int64], row_mm: float, column_mm: float, in_hull: NDArray[np.bool_]) -> float:
    """Mark the hull of each plane of sorted (plane, row, column) and return the largest squared distance in one."""
    largest, start = 0.0, 0
    hull = np.empty(2 * len(steps) + 2, dtype=np.int64)
    for stop in range(1, len(steps) + 1):
        if stop == len(steps) or steps[stop, 0] != steps[start, 0]:
            count = _hull(steps, start, stop, hull)
            for i in range(count):
                in_hull[hull[i]] = True
                for j in range(i):
                    along = (steps[hull[i], 1] - steps[hull[j], 1]) * row_mm
                    across = (steps[hull[i], 2] - steps[hull[j], 2]) * column_mm
                    largest = max(largest, along * along + across * across)
            start = stop
    return largest


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _hull(steps: NDArray[np.int64], start: int, stop: int, hull: NDArray[np.int64]) -> int:
    """Corners of the convex hull of sorted points, by Andrew's monotone chain; their number."""
    count = 0
    for place in range(start, stop):
        while count >= 2 and _turn(steps, hull[count - 2], hull[count - 1], place) <= 0:
            count -= 1
        hull[count] = place
        count += 1
    lower = count + 1
    for place in range(stop - 2, start - 1, -1):
        while count >= lower and _turn(steps, hull[count - 2], hull[count - 1], place) <= 0:
            count -= 1
        hull[count] = place
        count += 1
    return count


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _turn(steps: NDArray[np.int64], a: int, b: int, c: int) -> int:
    first = (steps[b, 1] - steps[a, 1]) * (steps[c, 2] - steps[a, 2])
    second = (steps[b, 2] - steps[a, 2]) * (steps[c, 1] - steps[a, 1])
    return int(first - second)
