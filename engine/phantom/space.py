"""Coordinates of the phantom grid and blending of structures by partial occupancy."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.phantom.case import PHANTOM_GRID, SHAPE_ZYX, SPACING_MM

Field: TypeAlias = NDArray[np.floating]


@lru_cache(maxsize=1)
def axes_mm() -> tuple[Field, Field, Field]:
    """x, y, z of voxel centres in mm, shaped (1,1,nx), (1,ny,1), (nz,1,1): they broadcast to z, y, x."""
    lines = [
        (np.arange(n, dtype=np.float32) * SPACING_MM + origin).astype(np.float32)
        for n, origin in zip(PHANTOM_GRID.size_xyz, PHANTOM_GRID.origin_mm, strict=True)
    ]
    return lines[0][None, None, :], lines[1][None, :, None], lines[2][:, None, None]


def inside(depth_mm: Field) -> Field:
    """Occupancy 0..1 of voxels at a depth below a surface (positive inside, mm), linear across one voxel."""
    return np.asarray(np.clip(0.5 + depth_mm / np.float32(SPACING_MM), 0, 1), dtype=np.float32)


def blend(hu: Field, occupancy: Field, value: Field | float) -> None:
    """Mix `value` into hu (full shape, in place) by occupancy (any shape that broadcasts)."""
    hu += occupancy * (value - hu)


def superellipse_depth(x: Field, y: Field, half_width: Field | float, half_depth: Field | float, power: float) -> Field:
    """Radial depth (mm, positive inside) below a superellipse centred at 0."""
    rho = (np.abs(x / half_width) ** power + np.abs(y / half_depth) ** power) ** np.float32(1 / power)
    radius = np.sqrt(x * x + y * y)
    return np.asarray(radius / np.maximum(rho, 1e-3) - radius, dtype=np.float32)


def periodic(value: Field, period_mm: float) -> Field:
    """Distance (mm, 0..period/2) to the nearest whole multiple of a period."""
    return np.asarray(np.abs(np.mod(value + period_mm / 2, period_mm) - period_mm / 2), dtype=np.float32)


def nearest_index(points_mm: NDArray[np.float64]) -> NDArray[np.intp]:
    """Array indices z, y, x of points x, y, z in mm, shape (n, 3), clipped to the grid."""
    index = np.rint((points_mm - np.array(PHANTOM_GRID.origin_mm)) / SPACING_MM).astype(np.intp)[:, ::-1]
    return np.asarray(np.clip(index, 0, np.array(SHAPE_ZYX) - 1), dtype=np.intp)


def points_of(index_zyx: NDArray[np.intp]) -> NDArray[np.float64]:
    """Points x, y, z in mm of array indices z, y, x, shape (n, 3)."""
    return np.asarray(index_zyx[:, ::-1] * SPACING_MM + np.array(PHANTOM_GRID.origin_mm), dtype=np.float64)
