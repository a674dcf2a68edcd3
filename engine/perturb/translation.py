"""Sub-voxel shift of a mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from engine.perturb.plan import Context, drawn_size, padded_distance_mm, unpadded
from store.volumes import BoolZyx, Grid


@dataclass(frozen=True, slots=True)
class Translation:
    """Shift along x, y and z in voxels of the grid."""

    x_voxels: float
    y_voxels: float
    z_voxels: float

    def apply(self, mask: BoolZyx, grid: Grid) -> BoolZyx:
        """Shift the signed distance linearly and take what is inside."""
        distance = padded_distance_mm(mask, grid.spacing_zyx_mm)
        shift = (self.z_voxels, self.y_voxels, self.x_voxels)
        return unpadded(ndimage.shift(distance, shift, order=1, mode="nearest") <= 0)


def draw_translation(rng: np.random.Generator, context: Context) -> Translation:
    """A shift along each axis between half of the largest and the largest, either way."""
    x, y, z = (drawn_size(rng, context.choices.translation_voxels) for _ in range(3))
    return Translation(x, y, z)
