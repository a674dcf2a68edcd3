"""Image and contour seen from a turned grid: the same patient, lying a little askew."""

from __future__ import annotations

import numpy as np

from engine.perturb.plan import Context, Drawn, drawn_size
from store.records import PerturbedImage


def turned(degrees: float, context: Context) -> PerturbedImage:
    """A feature grid turned about its z axis through the tumour's centre."""
    x, y, z = context.pivot_mm
    return PerturbedImage("", rotation_degrees=degrees, pivot_x_mm=x, pivot_y_mm=y, pivot_z_mm=z)


def draw_rotation(rng: np.random.Generator, context: Context) -> Drawn:
    """An angle between half of the largest and the largest, either way."""
    return Drawn(turned(drawn_size(rng, context.choices.rotation_degrees), context))
