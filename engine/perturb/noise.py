"""Noise added to the image at the image's own level; the mask stays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.metrics.margins import padded_box
from engine.metrics.noise import noise_sd_hu
from engine.perturb.plan import Context
from store.volumes import BoolZyx, Grid

SURROUNDING_MM = 30.0
SOFT_TISSUE_FROM_HU = -200
FEWEST_VOXELS = 1000
LARGEST_SEED = 2**31


@dataclass(frozen=True, slots=True)
class Noise:
    """White noise of a standard deviation (HU) from a seed, added to the CT at native spacing before resampling."""

    sd_hu: float
    seed: int

    def apply(self, mask: BoolZyx, grid: Grid) -> BoolZyx:
        """The mask as it is: the image changes, when features are extracted."""
        return mask.copy()


def draw_noise(rng: np.random.Generator, context: Context) -> Noise:
    """The image's own noise, measured in soft tissue within 30 mm of the mask (all tissue there if that is little)."""
    box = padded_box(context.native_mask, context.ct.grid.spacing_zyx_mm, SURROUNDING_MM)
    intensity = context.ct.intensity_hu[box]
    soft = intensity > SOFT_TISSUE_FROM_HU
    region = soft if np.count_nonzero(soft) >= FEWEST_VOXELS else np.ones_like(soft)
    return Noise(noise_sd_hu(intensity, region), int(rng.integers(LARGEST_SEED)))
