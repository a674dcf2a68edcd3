"""All features of several ROIs of one image: every filtered image is made once and read by every ROI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.geometry import Box, box_of
from engine.measure.feature_image import FeatureImage
from engine.measure.lbp import local_patterns
from engine.measure.radiomics import (
    ValuesZyx,
    discretise,
    filtered_images,
    intensity_features,
    shape_features,
)
from engine.measure.textures import texture_matrices
from engine.metrics.recipe import FEATURES_OF_CLASS, INTENSITY_CLASSES, ORIGINAL, SHAPE, Recipe, feature_names
from store.records import STATUSES
from store.volumes import BoolZyx

OK, DEGENERATE, NOT_FINITE = (STATUSES.index(s) for s in ("ok", "degenerate", "not_finite"))
LEVEL_FIRST_ORDER = ("Entropy", "Uniformity")
FIRST_ORDER = FEATURES_OF_CLASS["firstorder"]


@dataclass(frozen=True, slots=True, eq=False)
class RoiFeatures:
    """One ROI's vector in a recipe's frozen order; statuses index STATUSES."""

    values: NDArray[np.float64]
    statuses: NDArray[np.uint8]


def measure_rois(
    image: FeatureImage, masks: Sequence[BoolZyx], recipe: Recipe, bin_width_hu: float
) -> tuple[RoiFeatures, ...]:
    """The features of each non-empty mask (z, y, x) on the feature grid; ValueError for an empty one.

    Filters see the whole image and ROIs are cut out afterwards: what PyRadiomics gives for a pre-resampled image
    with preCrop=False, so a value depends on the image and its own mask only. A feature that rests on grey levels is
    `degenerate` where the ROI holds a single one; its value stays as PyRadiomics gives it.
    """
    rois = [_Roi.of(mask, recipe) for mask in masks]
    for roi in rois:
        roi.put(ORIGINAL, SHAPE, shape_features(roi.mask, image.grid.spacing_mm), single=False)
    for name, filtered in _images(image, rois, recipe):
        if name in recipe.image_types:
            for roi in rois:
                _measure(roi, name, filtered, image.grid.spacing_mm, bin_width_hu)
    return tuple(roi.finished() for roi in rois)


def missing_features(recipe: Recipe, status: str) -> RoiFeatures:
    """The vector of an ROI that has no features: NaN everywhere, one status."""
    count = recipe.count
    return RoiFeatures(np.full(count, np.nan), np.full(count, STATUSES.index(status), dtype=np.uint8))


class _Roi:
    """A mask cut to its box and the vector that is being filled."""

    def __init__(self, mask: BoolZyx, box: Box, places: dict[tuple[str, str], slice], count: int) -> None:
        self.box, self.mask, self.places = box, mask[box], places
        self.values = np.full(count, np.nan)
        self.statuses = np.full(count, NOT_FINITE, dtype=np.uint8)

    @classmethod
    def of(cls, mask: BoolZyx, recipe: Recipe) -> _Roi:
        """A fresh vector for a mask."""
        return cls(mask, box_of(mask), _places(recipe), recipe.count)

    def put(self, image_type: str, group: str, found: tuple[float, ...], single: bool) -> None:
        """Store the values of one class of one image."""
        place = self.places[image_type, group]
        self.values[place] = found
        self.statuses[place] = DEGENERATE if single else OK

    def finished(self) -> RoiFeatures:
        """The vector, with what is not finite marked and made NaN."""
        bad = ~np.isfinite(self.values)
        self.values[bad] = np.nan
        self.statuses[bad] = NOT_FINITE
        return RoiFeatures(self.values, self.statuses)


def _places(recipe: Recipe) -> dict[tuple[str, str], slice]:
    """Where the values of each image type and class lie in the vector."""
    places: dict[tuple[str, str], slice] = {}
    for name in feature_names(recipe):
        key = (name.image_type, name.feature_class)
        start = places[key].start if key in places else name.place
        places[key] = slice(start, name.place + 1)
    return places


def _images(image: FeatureImage, rois: Sequence[_Roi], recipe: Recipe) -> Iterator[tuple[str, ValuesZyx]]:
    yield ORIGINAL, image.intensity_hu
    yield from filtered_images(image.intensity_hu, image.grid.spacing_mm, recipe)
    yield from _pattern_images(image, rois)


def _pattern_images(image: FeatureImage, rois: Sequence[_Roi]) -> Iterator[tuple[str, ValuesZyx]]:
    union = np.zeros(image.intensity_hu.shape, dtype=np.bool_)
    for roi in rois:
        union[roi.box] |= roi.mask
    patterns = local_patterns(image.intensity_hu, union)
    filled = np.zeros(union.shape)
    for name, values in (("lbp-3D-m1", patterns.m1), ("lbp-3D-m2", patterns.m2), ("lbp-3D-k", patterns.k)):
        filled[union] = values
        yield name, filled


def _measure(
    roi: _Roi, name: str, filtered: ValuesZyx, spacing_mm: tuple[float, float, float], bin_width_hu: float
) -> None:
    values: ValuesZyx = filtered[roi.box].copy()
    if not np.isfinite(values[roi.mask]).all():
        return
    levels = discretise(values, roi.mask, bin_width_hu)
    textures = texture_matrices(levels.matrix)
    for group in INTENSITY_CLASSES:
        found = intensity_features(group, values, roi.mask, levels, textures, spacing_mm)
        roi.put(name, group, found, single=levels.single and group != "firstorder")
    if levels.single:
        _mark_level_features(roi, name)


def _mark_level_features(roi: _Roi, name: str) -> None:
    """Entropy and uniformity are the two first-order features that rest on grey levels."""
    from_place = roi.places[name, "firstorder"].start
    for feature in LEVEL_FIRST_ORDER:
        roi.statuses[from_place + FIRST_ORDER.index(feature)] = DEGENERATE
