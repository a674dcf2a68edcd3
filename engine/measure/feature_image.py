"""The image that features are taken from: resampled once, clipped, rounded, all in this one place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.geometry import resample_intensity, resampled_grid
from engine.metrics.image_changes import perturbed_ct, perturbed_grid
from engine.protocol import FeatureGrid
from store.records import PerturbedImage
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


def feature_image(ct: CtSeries, choices: FeatureGrid, target: Grid | None = None) -> FeatureImage:
    """The CT on the feature grid by cubic B-spline, clipped to the HU range, rounded half to even to whole HU.

    Whole HU because values depend on the image's number type: this is IBSI's rounding of CT. A target grid stands for
    the protocol's own where a perturbation moved it.
    """
    grid = feature_grid(ct.grid, choices) if target is None else target
    resampled = resample_intensity(ct.intensity_hu, ct.grid, grid, float(choices.lowest_hu))
    clipped = (resampled < choices.lowest_hu) | (resampled > choices.highest_hu)
    np.clip(resampled, choices.lowest_hu, choices.highest_hu, out=resampled)
    return FeatureImage(np.rint(resampled, out=resampled).astype(np.int16), clipped, grid)


def perturbed_feature_image(ct: CtSeries, choices: FeatureGrid, change: PerturbedImage) -> FeatureImage:
    """The feature image after a perturbation of the image; the unperturbed one where the change is none."""
    return feature_image(perturbed_ct(ct, change), choices, perturbed_grid(ct.grid, choices.spacing_mm, change))
