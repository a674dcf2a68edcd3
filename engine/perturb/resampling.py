"""The same patient scanned in thicker slices, or measured on other voxels."""

from __future__ import annotations

import numpy as np

from engine.perturb.plan import Context, Draw, Drawn
from store.records import PerturbedImage

SAME_MM = 1e-3


def draw_slices(slice_mm: float) -> Draw:
    """Slices averaged to a thickness (mm), image and contour alike; None where the CT's own are no thinner."""

    def draw(_: np.random.Generator, context: Context) -> Drawn | None:
        own_mm = context.ct.grid.spacing_mm[2]
        return Drawn(PerturbedImage("", slice_mm=slice_mm)) if slice_mm > own_mm + SAME_MM else None

    return draw


def draw_voxels(voxel_mm: float) -> Draw:
    """A feature grid of another spacing (mm); None where it is the protocol's."""

    def draw(_: np.random.Generator, context: Context) -> Drawn | None:
        same = abs(voxel_mm - context.grid.spacing_mm[0]) <= SAME_MM
        return None if same else Drawn(PerturbedImage("", voxel_mm=voxel_mm))

    return draw
