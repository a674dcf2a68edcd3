"""The pleural surface of one lung, named by face: costal, mediastinal or diaphragmatic.

Only masks are read, so a face is named by where the surface looks: fissures are not pleura here, and the dome over the
apex is costal (the cervical pleura lines the first rib). Points on the tumour's own dent in a lung mask are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from engine.geometry import Box, box_of, cropped_grid, index_to_points_mm
from engine.metrics.margins import close_mm, grow_mm
from store.volumes import BoolZyx, Grid, Triple

Floats = NDArray[np.float64]
FACES = ("costal", "mediastinal", "diaphragmatic")
COSTAL, MEDIASTINAL, DIAPHRAGMATIC = range(3)
COARSE_MM = 2.5  # faces need no finer grid
CLOSING_MM = 10.0  # fills vessels and hilar dents up to 2 cm across
SMOOTHING_MM = 5.0  # over which the direction that the pleura faces is taken
DENT_MM = 8.0  # as near to the tumour the surface, and the way it looks, may be the tumour's own
LEAST_TURN = 0.3  # cosine; the flanks of the dome look inwards and at least so much towards the feet


@dataclass(frozen=True, slots=True, eq=False)
class Pleura:
    """Points (n, 3), x, y, z in LPS mm, of the pleura of one lung, unit outward directions (n, 3) and faces (n,)."""

    points_mm: Floats
    outward: Floats
    faces: NDArray[np.int64]

    def nearest(self, points_mm: Floats) -> NDArray[np.int64]:
        """Places (m,) of the pleural points nearest to points (m, 3)."""
        return np.asarray(cKDTree(self.points_mm).query(points_mm)[1], dtype=np.int64)

    def distance_mm(self, points_mm: Floats, face: int | None = None) -> float | None:
        """Smallest distance of points (m, 3) to the pleura or to one face of it; None where it has no such face."""
        own = self.points_mm if face is None else self.points_mm[self.faces == face]
        return float(cKDTree(own).query(points_mm)[0].min()) if len(own) else None


def pleura_of(lung: BoolZyx, tumour: BoolZyx, grid: Grid, side: str) -> Pleura | None:
    """The pleura of a lung (side left or right), arrays z, y, x on one grid; None where the lung is all dent.

    The lung counts without the tumour, closed over vessels. Where the image cuts the lung there is no pleura.
    """
    steps = tuple(max(1, round(COARSE_MM / step)) for step in grid.spacing_zyx_mm)
    box = _padded(box_of(lung | tumour), lung.shape, tuple(4 * step for step in steps))
    part = tuple(slice(side_.start, side_.stop, step) for side_, step in zip(box, steps, strict=True))
    own = _strided(cropped_grid(grid, box), steps)
    bare = lung[part] & ~tumour[part]
    if not bare.any():
        return None
    closed = close_mm(bare, own.spacing_zyx_mm, CLOSING_MM)
    index = _surface_index(closed, grow_mm(tumour[part], own.spacing_zyx_mm, DENT_MM))
    if not len(index):
        return None
    outward = _outward(closed, index, own)
    half = 0.5 / np.linalg.norm(outward @ np.array(grid.direction).reshape(3, 3) / np.array(own.spacing_mm), axis=1)
    points = index_to_points_mm(index[:, ::-1].astype(np.float64), own) + outward * half[:, None]
    return Pleura(points, outward, faces_of(points, outward, side))


def faces_of(points_mm: Floats, outward: Floats, side: str) -> NDArray[np.int64]:
    """The face at points (n, 3) of a lung's surface from their outward directions (n, 3), x, y, z in LPS.

    Diaphragmatic: looks down more than any other way, or down a little and inwards, towards the lung's own axis (the
    flanks of the dome; ribs lie outwards). Mediastinal: looks to the midline more than any other way, or to the midline
    and inwards. All else is costal.
    """
    medial = -outward[:, 0] if side == "left" else outward[:, 0]  # LPS: the patient's left is +x
    down = -outward[:, 2]
    inward = ((points_mm[:, :2] - points_mm[:, :2].mean(axis=0)) * outward[:, :2]).sum(axis=1) < 0
    largest = np.abs(outward).max(axis=1)
    diaphragm = (down >= largest) | (inward & (down >= LEAST_TURN))
    faces = np.where((medial >= largest) | (inward & (medial >= LEAST_TURN)), MEDIASTINAL, COSTAL)
    return np.asarray(np.where(diaphragm, DIAPHRAGMATIC, faces), dtype=np.int64)


def _surface_index(closed: BoolZyx, dent: BoolZyx) -> NDArray[np.int64]:
    """Indices (n, 3), z, y, x, of a region's outermost voxels, without the dent and where the image ends."""
    border = closed & ~ndimage.binary_erosion(closed, border_value=1) & ~dent
    edge = np.ones_like(border)
    edge[1:-1, 1:-1, 1:-1] = False
    return np.argwhere(border & ~edge)


def _outward(closed: BoolZyx, index: NDArray[np.int64], grid: Grid) -> Floats:
    """Unit outward directions x, y, z in LPS at voxels of a region, from the slope of the smoothed region."""
    spacing = np.array(grid.spacing_zyx_mm)
    smooth = ndimage.gaussian_filter(closed.astype(np.float32), SMOOTHING_MM / spacing, mode="nearest")
    slopes = [np.gradient(smooth, step, axis=axis)[tuple(index.T)] for axis, step in enumerate(spacing)]
    turned = -np.stack(slopes[::-1], axis=1) @ np.array(grid.direction).reshape(3, 3).T
    length = np.linalg.norm(turned, axis=1, keepdims=True)
    return np.asarray(turned / np.maximum(length, np.finfo(np.float32).tiny), dtype=np.float64)


def _padded(box: Box, shape: tuple[int, ...], margin: tuple[int, ...]) -> Box:
    z, y, x = (
        slice(max(0, side.start - more), min(size, side.stop + more))
        for side, size, more in zip(box, shape, margin, strict=True)
    )
    return (z, y, x)


def _strided(grid: Grid, steps: tuple[int, ...]) -> Grid:
    """The grid of every n-th voxel (steps z, y, x) of a grid, from its first."""
    size = tuple(-(-n // step) for n, step in zip(grid.size_xyz, steps[::-1], strict=True))
    spacing: Triple = tuple(s * step for s, step in zip(grid.spacing_mm, steps[::-1], strict=True))  # type: ignore[assignment]
    return Grid((size[0], size[1], size[2]), spacing, grid.origin_mm, grid.direction)
