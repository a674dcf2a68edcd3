"""Rotation of a mask about the z axis through its own centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from engine.perturb.plan import Context, drawn_size, padded_distance_mm, unpadded
from store.volumes import BoolZyx, Grid


@dataclass(frozen=True, slots=True)
class Rotation:
    """Rotation in the axial plane, degrees, from +x towards +y."""

    degrees: float

    def apply(self, mask: BoolZyx, grid: Grid) -> BoolZyx:
        """Rotate the signed distance linearly and take what is inside, so that the volume is kept."""
        spacing = np.array(grid.spacing_zyx_mm)
        distance = padded_distance_mm(mask, grid.spacing_zyx_mm)
        centre = np.argwhere(distance <= 0).mean(axis=0)
        cosine, sine = np.cos(np.radians(self.degrees)), np.sin(np.radians(self.degrees))
        back_mm = np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
        back = back_mm * spacing[None, :] / spacing[:, None]
        turned = ndimage.affine_transform(distance, back, centre - back @ centre, order=1, mode="nearest")
        return unpadded(turned <= 0)


def draw_rotation(rng: np.random.Generator, context: Context) -> Rotation:
    """An angle between half of the largest and the largest, either way."""
    return Rotation(drawn_size(rng, context.choices.rotation_degrees))
