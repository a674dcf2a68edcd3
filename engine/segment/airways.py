"""Trachea and main bronchi, followed downward through a CT, so that thresholded lungs do not hold them.

After Hu, Hoffman and Reinhardt (IEEE Trans Med Imaging 2001;20:490): slice by slice from a lone round lumen near the
midline; a branch ends where its section grows at once, as it does where it opens into a lung.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from store.volumes import BoolZyx

Volume = NDArray[np.float32]
LUMEN_HU = -850.0
SOFT_TISSUE_HU = -200.0
TRACHEA_MM2 = (60.0, 700.0)
SMALLEST_BRANCH_MM2 = 25.0
LARGEST_GROWTH, GROWTH_ROOM_MM2 = 1.5, 60.0  # of a branch's section from one slice to the next, 3 mm apart
LARGEST_ASPECT = 2.6  # a trachea may be flat, and two bronchi leave it side by side
LARGEST_OFF_MIDLINE_MM = 35.0
SHORTEST_TRACHEA_MM = 20.0
LOWEST_RING_HU = -500.0  # on average about a trachea; about a thin patch of lung it is lung
LOWEST_BRANCH_RING_HU = -700.0  # a bronchus may have lung on one side
RING_VOXELS = 2
WALL_VOXELS = 1


@dataclass(frozen=True, slots=True, eq=False)
class _Slices:
    """Lumen by slice (array z upward) with the columns of the midline and the size of a voxel."""

    lumen: BoolZyx
    intensity: Volume
    midline: float
    spacing_mm: float


def central_airways(intensity: Volume, air: BoolZyx, spacing_mm: float) -> BoolZyx:
    """Trachea and main bronchi with their walls among the air of a CT; z upward, isotropic spacing.

    Empty when no round lumen near the midline goes on for SHORTEST_TRACHEA_MM.
    """
    slices = _Slices(air & (intensity < LUMEN_HU), intensity, _midline(intensity), spacing_mm)
    wanted = int(np.ceil(SHORTEST_TRACHEA_MM / spacing_mm))
    for top in range(air.shape[0] - 1, wanted - 2, -1):
        start = _trachea(slices, top)
        if start is None:
            continue
        followed = _follow(slices, top, start)
        if followed[top - wanted + 1].any():
            return np.asarray(ndimage.binary_dilation(followed, iterations=WALL_VOXELS))
    return np.zeros_like(air)


def _midline(intensity: Volume) -> float:
    """Mean column of soft tissue, the middle of the image where there is none."""
    columns = (intensity > SOFT_TISSUE_HU).sum(axis=(0, 1))
    return float(np.average(np.arange(len(columns)), weights=columns)) if columns.any() else len(columns) / 2


def _trachea(slices: _Slices, z: int) -> BoolZyx | None:
    """The round lumen of a slice nearest the midline, within an airway's area; None when there is none."""
    pieces, _ = ndimage.label(slices.lumen[z])
    best, distance = 0, LARGEST_OFF_MIDLINE_MM
    for label, box in enumerate(ndimage.find_objects(pieces), start=1):
        piece = pieces[box] == label
        area = float(piece.sum()) * slices.spacing_mm**2
        off = abs(box[1].start + float(np.nonzero(piece)[1].mean()) - slices.midline) * slices.spacing_mm
        fits = TRACHEA_MM2[0] <= area <= TRACHEA_MM2[1] and off < distance and _is_round(piece)
        if fits and _ring_hu(pieces == label, slices.intensity[z]) >= LOWEST_RING_HU:
            best, distance = label, off
    return np.asarray(pieces == best) if best else None


def _is_round(piece: BoolZyx) -> bool:
    """Whether a piece cut to its box is neither long nor jagged."""
    return max(piece.shape) <= LARGEST_ASPECT * min(piece.shape) and bool(piece.mean() >= 0.5)


def _follow(slices: _Slices, top: int, start: BoolZyx) -> BoolZyx:
    """The lumens that go on from a start downward, branch by branch."""
    airway = np.zeros_like(slices.lumen)
    airway[top] = start
    for z in range(top - 1, -1, -1):
        airway[z] = _next(slices, z, airway[z + 1])
        if not airway[z].any():
            break
    return airway


def _next(slices: _Slices, z: int, before: BoolZyx) -> BoolZyx:
    """Pieces of a slice that go on from the slice above without growing at once, with tissue about them."""
    pieces, n = ndimage.label(slices.lumen[z])
    voxel_mm2 = slices.spacing_mm**2
    area = np.bincount(pieces.ravel(), minlength=n + 1) * voxel_mm2
    above = np.zeros(n + 1)
    branches, _ = ndimage.label(before)
    branch_area = np.bincount(branches.ravel()) * voxel_mm2
    for piece, branch in {(int(p), int(b)) for p, b in zip(pieces[before], branches[before], strict=True)}:
        above[piece] += branch_area[branch]
    goes_on = (area >= SMALLEST_BRANCH_MM2) & (above > 0) & (area <= LARGEST_GROWTH * above + GROWTH_ROOM_MM2)
    goes_on[0] = False
    for candidate in np.flatnonzero(goes_on):
        goes_on[candidate] = _ring_hu(pieces == candidate, slices.intensity[z]) >= LOWEST_BRANCH_RING_HU
    return np.asarray(goes_on[pieces])


def _ring_hu(piece: BoolZyx, intensity: Volume) -> float:
    """Mean intensity about a piece of one slice."""
    ring = ndimage.binary_dilation(piece, iterations=RING_VOXELS) & ~piece
    return float(intensity[ring].mean()) if ring.any() else LUMEN_HU
