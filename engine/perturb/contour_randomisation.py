"""A contour as another reader might have drawn it: the boundary moved in and out by a smooth random field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from engine.metrics.margins import TOUCHING_26
from engine.perturb.plan import Context, padded_distance_mm, unpadded
from store.volumes import BoolZyx, Grid

LARGEST_SEED = 2**31


@dataclass(frozen=True, slots=True)
class ContourRandomisation:
    """Boundary displacement (mm): standard deviation, length over which it is correlated, seed of its field."""

    sd_mm: float
    correlation_mm: float
    seed: int

    def apply(self, mask: BoolZyx, grid: Grid) -> BoolZyx:
        """Move the zero of the signed distance by the field; parts that touch the mask nowhere are dropped."""
        distance = padded_distance_mm(mask, grid.spacing_zyx_mm)
        white = np.random.default_rng(self.seed).standard_normal(distance.shape)
        field = ndimage.gaussian_filter(white, self.correlation_mm / np.array(grid.spacing_zyx_mm), mode="wrap")
        moved = distance + self.sd_mm * (field - field.mean()) / field.std() <= 0
        labels, _ = ndimage.label(moved, structure=TOUCHING_26)
        kept = np.setdiff1d(np.unique(labels[distance <= 0]), [0])
        return unpadded(np.isin(labels, kept))


def draw_contour(rng: np.random.Generator, context: Context) -> ContourRandomisation:
    """The protocol's displacement with a field of its own."""
    choices = context.choices
    return ContourRandomisation(choices.contour_sd_mm, choices.contour_correlation_mm, int(rng.integers(LARGEST_SEED)))
