"""Image and contour seen from a grid shifted by less than a voxel: the same patient, lying a little aside."""

from __future__ import annotations

import numpy as np

from engine.perturb.plan import Context, Drawn, drawn_size
from store.records import PerturbedImage
from store.volumes import Triple


def drawn_shift_mm(rng: np.random.Generator, context: Context) -> Triple:
    """A shift along x, y and z (mm), each between half of the largest share of a voxel and the largest, either way."""
    x, y, z = (drawn_size(rng, context.choices.translation_voxels) * mm for mm in context.grid.spacing_mm)
    return x, y, z


def draw_translation(rng: np.random.Generator, context: Context) -> Drawn:
    """A shifted feature grid."""
    x, y, z = drawn_shift_mm(rng, context)
    return Drawn(PerturbedImage("", shift_x_mm=x, shift_y_mm=y, shift_z_mm=z))
