"""Stages 8 and 10: the features of every region, of the base masks and of the perturbed ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.geometry import on_larger_grid
from engine.measure.directions import TextureChoices
from engine.measure.feature_image import FeatureImage, feature_image, perturbed_feature_image
from engine.measure.features import RoiFeatures, measure_rois, missing_features
from engine.measure.legacy import legacy_rois
from engine.measure.levels import binning_of
from engine.measure.regions import status_of
from engine.measure.resegmentation import resegmented
from engine.metrics.recipe import feature_names, feature_set_of, recipe_named
from engine.protocol import FeatureGrid, Features, Rois
from store.records import (
    BASE_MASK,
    FeatureName,
    FeatureVector,
    PerturbedFeatureVector,
    PerturbedImage,
    PerturbedMask,
    RoiMask,
)
from store.sources import ONE_BY_ONE, Sharing
from store.volumes import BoolZyx, CtSeries, Mask, PerturbedMasks, RoiMasks

# Perturbed masks measured together share filtered images and a common core, and are in memory as whole images.
MOST_MASKS = 64
MOST_MASK_VOXELS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class NamedFeatures:
    """Every place of the feature vectors of this study."""

    names: tuple[FeatureName, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Extracted:
    """One vector per region, of NaN where the region has no features."""

    vectors: tuple[FeatureVector, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ExtractedPerturbed:
    """One vector per tested perturbation and region."""

    vectors: tuple[PerturbedFeatureVector, ...]


def name_features(features: Features) -> NamedFeatures:
    """The names of a recipe in the frozen order of its vectors."""
    return NamedFeatures(feature_names(recipe_named(features.recipe)))


def extract_features(
    ct: CtSeries, masks: RoiMasks, regions: tuple[RoiMask, ...], grid: FeatureGrid, features: Features, rois: Rois
) -> Extracted:
    """The vector of each region; a region whose status is not ok has NaN and that status throughout."""
    recipe = recipe_named(features.recipe)
    found = {region.roi: missing_features(recipe, region.status) for region in regions if region.status != "ok"}
    usable = [mask for mask in masks.masks if mask.structure not in found]
    measured = measure(feature_image(ct, grid), [m.voxels for m in usable], features, grid, rois) if usable else ()
    found |= {mask.structure: roi for mask, roi in zip(usable, measured, strict=True)}
    feature_set = feature_set_of(recipe)
    rows = ((region.roi, found[region.roi]) for region in regions)
    return Extracted(tuple(FeatureVector(roi, BASE_MASK, feature_set, r.values, r.statuses) for roi, r in rows))


def extract_perturbed(  # noqa: PLR0913
    ct: CtSeries,
    masks: PerturbedMasks,
    perturbed: tuple[PerturbedMask, ...],
    changes: tuple[PerturbedImage, ...],
    grid: FeatureGrid,
    features: Features,
    rois: Rois,
    sharing: Sharing = ONE_BY_ONE,
) -> ExtractedPerturbed:
    """The vector of each tested perturbation; each perturbed image is made once for all its regions.

    Masks lie on the feature grid of their own perturbation (`changes` holds each by name) or on a box of it. So many
    are measured at a time that memory does not grow with their number; an image is filtered once for those.
    """
    by_name = {(mask.structure, mask.source): mask for mask in masks.masks}
    change_of = {change.perturbation: replace(change, perturbation="") for change in changes}
    images: dict[PerturbedImage, list[Mask]] = {}
    vectors = []
    for record in perturbed:
        if not record.tested:
            continue
        mask = by_name[record.roi, record.perturbation]
        status = status_of(int(mask.voxels.sum()), rois)
        if status == "ok":
            images.setdefault(change_of[record.perturbation], []).append(mask)
        else:
            vectors.append(_perturbed_vector(mask, missing_features(recipe_named(features.recipe), status), features))

    def of_image(change: PerturbedImage) -> list[PerturbedFeatureVector]:
        image = perturbed_feature_image(ct, grid, change)
        found = []
        for some in _at_once(images[change], image.intensity_hu.size):
            measured = _measured_in(image, some, features, grid, rois)
            found += [_perturbed_vector(mask, roi, features) for mask, roi in zip(some, measured, strict=True)]
        return found

    vectors += [vector for found in sharing.map(of_image, tuple(images)) for vector in found]
    return ExtractedPerturbed(tuple(vectors))


def measure(
    image: FeatureImage, masks: Sequence[BoolZyx], features: Features, grid: FeatureGrid, rois: Rois
) -> tuple[RoiFeatures, ...]:
    """The features of non-empty masks (z, y, x) on the feature grid, by a protocol's backend and settings.

    A mask of which resegmentation leaves nothing, or fewer than rois.smallest_voxels, has no features but that status.
    """
    recipe = recipe_named(features.recipe)
    inside = [resegmented(image.intensity_hu, mask, features.resegment_hu, features.resegment_sd) for mask in masks]
    left = [status_of(int(np.count_nonzero(mask)), rois) for mask in inside]
    found = [missing_features(recipe, status) for status in left]
    usable = [place for place, status in enumerate(left) if status == "ok"]
    whole = [masks[place] for place in usable]
    if features.backend == "legacy":
        measured = legacy_rois(image, whole, features)
    elif usable:
        choices = TextureChoices(features.distances, features.weighting, features.directions == "2.5D")
        kept = [inside[place] for place in usable]
        measured = measure_rois(image, kept, recipe, binning_of(features, grid), choices, whole)
    else:
        measured = ()
    for place, roi in zip(usable, measured, strict=True):
        found[place] = roi
    return tuple(found)


def _measured_in(
    image: FeatureImage, masks: Sequence[Mask], features: Features, grid: FeatureGrid, rois: Rois
) -> tuple[RoiFeatures, ...]:
    """The features of masks that lie on boxes of the image's grid; their whole images are gone on return."""
    return measure(image, [on_larger_grid(m.voxels, m.grid, image.grid) for m in masks], features, grid, rois)


def _at_once(masks: list[Mask], image_voxels: int) -> Iterator[list[Mask]]:
    """The masks in turns, those of one region beside each other: they have most in common."""
    ordered = sorted(masks, key=lambda mask: mask.structure)
    most = max(1, min(MOST_MASKS, MOST_MASK_VOXELS // image_voxels))
    for start in range(0, len(ordered), most):
        yield ordered[start : start + most]


def _perturbed_vector(mask: Mask, found: RoiFeatures, features: Features) -> PerturbedFeatureVector:
    feature_set = feature_set_of(recipe_named(features.recipe))
    return PerturbedFeatureVector(mask.structure, mask.source, feature_set, found.values, found.statuses)
