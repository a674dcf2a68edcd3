"""The `legacy` backend: PyRadiomics 3.0.1 as is, one mask after the other, its crop around each mask included."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.measure.feature_image import FeatureImage
from engine.measure.features import NOT_FINITE, OK, RoiFeatures
from engine.measure.radiomics import pyradiomics_features, pyradiomics_settings
from engine.metrics.recipe import recipe_named
from engine.protocol import Features
from store.volumes import BoolZyx


def legacy_rois(image: FeatureImage, masks: Sequence[BoolZyx], features: Features) -> tuple[RoiFeatures, ...]:
    """What PyRadiomics gives for each non-empty mask; it knows no `degenerate`: statuses are ok or not_finite."""
    recipe, settings, found = recipe_named(features.recipe), pyradiomics_settings(features), []
    for mask in masks:
        values = pyradiomics_features(
            image.intensity_hu, mask, image.grid.spacing_mm, recipe, features.bin_width_hu, True, settings
        )
        finite = np.isfinite(values)
        statuses = np.where(finite, OK, NOT_FINITE).astype(np.uint8)
        found.append(RoiFeatures(np.where(finite, values, np.nan), statuses))
    return tuple(found)
