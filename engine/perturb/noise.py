"""Noise added to the image at the image's own level; the mask stays."""

from __future__ import annotations

import numpy as np

from engine.metrics.margins import padded_box
from engine.metrics.noise import noise_sd_hu
from engine.perturb.plan import LARGEST_SEED, Context, Drawn
from store.records import PerturbedImage

SURROUNDING_MM = 30.0
SOFT_TISSUE_FROM_HU = -200
FEWEST_VOXELS = 1000


def drawn_noise(rng: np.random.Generator, context: Context) -> PerturbedImage:
    """White noise on the CT's own grid: the image's own sd in soft tissue within 30 mm of the mask, and a seed.

    Where there is little soft tissue, all tissue there is measured.
    """
    box = padded_box(context.native_mask, context.ct.grid.spacing_zyx_mm, SURROUNDING_MM)
    intensity = context.ct.intensity_hu[box]
    soft = intensity > SOFT_TISSUE_FROM_HU
    region = soft if np.count_nonzero(soft) >= FEWEST_VOXELS else np.ones_like(soft)
    return PerturbedImage("", noise_sd_hu=noise_sd_hu(intensity, region), noise_seed=int(rng.integers(LARGEST_SEED)))


def draw_noise(rng: np.random.Generator, context: Context) -> Drawn:
    """The image's own noise once more."""
    return Drawn(drawn_noise(rng, context))
