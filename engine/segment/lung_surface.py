"""From the air of a lung to the lung: vessels, dents and tumours closed in, and its surface on the CT's own grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.geometry import box_of, cropped_grid, to_image
from engine.metrics.distance import distance_to_mm
from engine.segment.sliding_window import EXPORT_MARGIN, covering, linear
from store.volumes import BoolZyx, Grid

Volume = NDArray[np.float32]
VESSEL_CLOSING_MM = 7.0
TUMOUR_CLOSING_MM = 12.0
TUMOUR_RIM_MM = 6.0  # tissue that a tumour parts from its lung
COSTAL_CLOSING_MM = 15.0  # a dent of the costal surface, where the lung is round
BONE_HU = 150.0
STEEPEST_HU = 250.0  # of the surface's level, so that a far voxel does not draw it


def closed_lung(lung: BoolZyx, tumour: BoolZyx | None, intensity: Volume, midline: float, spacing_mm: float) -> BoolZyx:
    """The air of a lung with vessels and, where one is given and lies against it, the tumour closed in.

    A ball of 7 mm closes all of the surface. A tumour within two voxels is added whole, and of what a ball of 12 mm
    closes between it and the lung, what lies within 6 mm of it. Where no tumour is known a ball of 15 mm closes dents
    of the outer half. None of the last two takes bone.
    """
    if not lung.any():
        return lung
    filled = _closing(lung, VESSEL_CLOSING_MM, spacing_mm)
    soft = intensity < BONE_HU
    if tumour is None:
        return filled | (_closing(filled, COSTAL_CLOSING_MM, spacing_mm) & _outer_half(filled, midline) & soft)
    if not (ndimage.binary_dilation(filled, iterations=2) & tumour).any():
        return filled
    rim = _grown(tumour, TUMOUR_RIM_MM, spacing_mm) & soft
    return np.asarray(filled | tumour | (_closing(filled | tumour, TUMOUR_CLOSING_MM, spacing_mm) & rim))


def without_lumen(lung: BoolZyx, airway: BoolZyx) -> BoolZyx:
    """A closed lung without the airway beside it; airways that the lung surrounds in their slice are of the lung."""
    if not (lung & airway).any():
        return lung
    bare = lung & ~airway
    for z in np.flatnonzero((lung & airway).any(axis=(1, 2))):
        bare[z] = lung[z] & ndimage.binary_fill_holes(bare[z])
    return bare


def native_lung(lung: BoolZyx, intensity: Volume, air_hu: float, grid: Grid, native: Grid) -> BoolZyx:
    """A lung on the CT's own grid, its free surface where the interpolated intensity crosses `air_hu`.

    A closed surface lies midway between voxel centres.
    """
    found = np.zeros(native.shape_zyx, dtype=np.bool_)
    if not lung.any():
        return found
    box = box_of(lung, EXPORT_MARGIN)
    target = covering(cropped_grid(grid, box), native)
    if target is None:
        return found
    level = to_image(_level(lung[box], intensity[box], air_hu), cropped_grid(grid, box))
    found[target] = linear(level, cropped_grid(native, target)) > 0
    return found


def _level(lung: BoolZyx, intensity: Volume, air_hu: float) -> Volume:
    """Positive in a lung, negative outside: the distance in HU from the threshold where the threshold made it so."""
    depth = np.clip(np.float32(air_hu) - intensity, -STEEPEST_HU, STEEPEST_HU)
    plain = np.where(lung, np.float32(STEEPEST_HU), np.float32(-STEEPEST_HU))
    return np.where((depth > 0) == lung, depth, plain).astype(np.float32)


def _outer_half(lung: BoolZyx, midline: float) -> BoolZyx:
    """Voxels further from the midline than half of the lung's voxels in their slice."""
    columns = np.abs(np.arange(lung.shape[2]) - midline)
    outer = np.zeros_like(lung)
    for z in np.flatnonzero(lung.any(axis=(1, 2))):
        outer[z] = columns > np.median(columns[np.nonzero(lung[z])[1]])
    return outer


def _closing(mask: BoolZyx, radius_mm: float, spacing_mm: float) -> BoolZyx:
    """Closing by a ball through distances, with cavities filled."""
    margin = int(np.ceil(radius_mm / spacing_mm)) + 1
    box = box_of(mask)
    room, cubic = np.pad(mask[box], margin), (spacing_mm,) * 3
    grown = distance_to_mm(room, cubic) <= radius_mm
    closed = distance_to_mm(~grown, cubic) > radius_mm
    inner = tuple(slice(margin, -margin) for _ in range(3))
    result = np.zeros_like(mask)
    result[box] = ndimage.binary_fill_holes(closed | room)[inner]
    return result


def _grown(mask: BoolZyx, by_mm: float, spacing_mm: float) -> BoolZyx:
    """All voxels within a distance of a mask."""
    margin = int(np.ceil(by_mm / spacing_mm)) + 1
    box = box_of(mask, (margin, margin, margin))
    grown = np.zeros_like(mask)
    grown[box] = distance_to_mm(mask[box], (spacing_mm,) * 3) <= by_mm
    return grown
