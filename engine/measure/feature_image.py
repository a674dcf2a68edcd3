"""The image that features are taken from: resampled once, clipped, rounded, all in this one place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.geometry import resample_intensity, resampled_grid
from engine.metrics.noise import add_noise
from engine.protocol import FeatureGrid
from store.volumes import BoolZyx, CtSeries, Grid


@dataclass(frozen=True, slots=True, eq=False)
class FeatureImage:
    """CT on the feature grid: whole HU (int16), array z, y, x; `clipped` marks voxels that lay outside the HU range."""

    intensity_hu: NDArray[np.int16]
    clipped: BoolZyx
    grid: Grid


def feature_grid(grid: Grid, choices: FeatureGrid) -> Grid:
    """The isotropic grid of a native grid."""
    return resampled_grid(grid, (choices.spacing_mm, choices.spacing_mm, choices.spacing_mm))


def feature_image(ct: CtSeries, choices: FeatureGrid) -> FeatureImage:
    """The CT on the feature grid by cubic B-spline, clipped to the HU range, rounded half to even to whole HU.

    Whole HU because values depend on the image's number type: this is IBSI's rounding of CT.
    """
    target = feature_grid(ct.grid, choices)
    resampled = resample_intensity(ct.intensity_hu, ct.grid, target, float(choices.lowest_hu))
    clipped = (resampled < choices.lowest_hu) | (resampled > choices.highest_hu)
    np.clip(resampled, choices.lowest_hu, choices.highest_hu, out=resampled)
    return FeatureImage(np.rint(resampled, out=resampled).astype(np.int16), clipped, target)


def noisy_feature_image(ct: CtSeries, choices: FeatureGrid, sd_hu: float, seed: int) -> FeatureImage:
    """The feature image of a CT to which white noise (HU) was added on its own grid."""
    return feature_image(CtSeries(add_noise(ct.intensity_hu, sd_hu, seed), ct.grid), choices)
