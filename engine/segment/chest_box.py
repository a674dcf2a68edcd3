"""Where in a CT the chest is, found in a fraction of a second: the lungs' box with a margin, else the body's.

Only a box is wanted, so voxels are skipped rather than averaged. A tumour may lie against the wall, in the mediastinum
or over the apex: the box spans both lungs and what is between them, grown on all sides. Where air does not look like
two lungs (a collapsed lung, effusion, a narrow field of view) the whole body is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from engine.geometry import Box, box_of
from store.volumes import BoolZyx, Grid, VolumeZyx

SAMPLED_MM = 4.0
AIR_HU = -400
SMALLEST_AIR_ML = 100.0
LARGEST_BORDER_SHARE = 0.01
SMALLEST_LUNG_ML = 500.0
LARGEST_RATIO = 4.0


@dataclass(frozen=True, slots=True)
class ChestBox:
    """A box of voxels z, y, x and what it was drawn around: lungs, body, or the whole image."""

    box: Box
    drawn_around: str  # lungs | body | none

    @property
    def voxels(self) -> int:
        """Voxels in the box."""
        return int(np.prod([side.stop - side.start for side in self.box]))


def holds_body(intensity_hu: VolumeZyx) -> bool:
    """Whether anything in an image is denser than lungs and air."""
    return bool(intensity_hu.size) and bool(intensity_hu.max() > AIR_HU)


def whole_image(grid: Grid) -> ChestBox:
    """The box of everything."""
    z, y, x = (slice(0, n) for n in grid.shape_zyx)
    return ChestBox((z, y, x), "none")


def find_chest(intensity_hu: VolumeZyx, grid: Grid, margin_mm: float) -> ChestBox:
    """The box of both lungs grown by a margin, else of the body, else of the image; array and grid face alike."""
    steps = [max(1, round(SAMPLED_MM / s)) for s in grid.spacing_zyx_mm]
    z, y, x = (slice(step // 2, None, step) for step in steps)
    sampled = intensity_hu[z, y, x]
    if 0 in sampled.shape:
        return whole_image(grid)
    dense = sampled > AIR_HU
    inner = _inner_air(~dense, grid.voxel_ml * float(np.prod(steps)))
    lungs = _two_sided(inner, dense, grid.voxel_ml * float(np.prod(steps)))
    found = inner if lungs else dense
    if not found.any():
        return whole_image(grid)
    grown = []
    for side, step, length, spacing in zip(box_of(found), steps, grid.shape_zyx, grid.spacing_zyx_mm, strict=True):
        margin = int(np.ceil(margin_mm / spacing)) + step
        grown.append(slice(max(0, side.start * step - margin), min(length, side.stop * step + margin)))
    return ChestBox((grown[0], grown[1], grown[2]), "lungs" if lungs else "body")


def _inner_air(air: BoolZyx, voxel_ml: float) -> BoolZyx:
    """Pieces of air inside the body, of at least SMALLEST_AIR_ML, hardly any of it at the border in the plane."""
    pieces, n = ndimage.label(air)
    sizes = np.bincount(pieces.ravel(), minlength=n + 1)
    border = np.zeros(air.shape, dtype=np.bool_)
    border[:, [0, -1], :] = True
    border[:, :, [0, -1]] = True
    at_border = np.bincount(pieces[border], minlength=n + 1)
    kept = (at_border <= LARGEST_BORDER_SHARE * sizes) & (sizes * voxel_ml >= SMALLEST_AIR_ML)
    kept[0] = False
    return np.asarray(kept[pieces])


def _two_sided(air: BoolZyx, dense: BoolZyx, voxel_ml: float) -> bool:
    """Whether air lies on both sides of the body's middle as two lungs do."""
    if not air.any() or not dense.any():
        return False
    columns = dense[air.any(axis=(1, 2))].sum(axis=(0, 1))
    middle = round(float(np.average(np.arange(len(columns)), weights=columns))) if columns.any() else 0
    one, other = (float(part.sum()) * voxel_ml for part in (air[:, :, :middle], air[:, :, middle:]))
    return min(one, other) >= SMALLEST_LUNG_ML and max(one, other) <= LARGEST_RATIO * min(one, other)
