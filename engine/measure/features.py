"""All features of several ROIs of one image: every filtered image is made once, read by every ROI, then forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.geometry import Box, box_of
from engine.measure.directions import TextureChoices, chosen_textures
from engine.measure.feature_image import FeatureImage
from engine.measure.filters.registry import filtered_images
from engine.measure.filters.source import FilterSource
from engine.measure.formulas.co_occurrence import co_occurrence_features
from engine.measure.formulas.first_order import SortedValues, first_order_features
from engine.measure.formulas.sizes import dependence_features, run_features, zone_features
from engine.measure.formulas.tones import tone_features
from engine.measure.levels import Binning, ValuesZyx, check_levels, padded_bins
from engine.measure.neighbourhood import (
    ANGLES,
    Frame,
    ImageNeighbours,
    MaskVoxels,
    frame_of,
    image_neighbours,
    mask_groups,
)
from engine.measure.shape import shape_features
from engine.measure.textures import Buffers, CoreTextures, Textures, core_textures, texture_matrices
from engine.metrics.recipe import FEATURES_OF_CLASS, ORIGINAL, SHAPE, Recipe, feature_names
from store.records import STATUSES
from store.volumes import BoolZyx, Grid

OK, DEGENERATE, NOT_FINITE = (STATUSES.index(s) for s in ("ok", "degenerate", "not_finite"))
LEVEL_FIRST_ORDER = ("Entropy", "Uniformity")
TOUCHING = TextureChoices()
FIRST_ORDER = FEATURES_OF_CLASS["firstorder"]
TEXTURES = (
    ("glcm", co_occurrence_features),
    ("glrlm", run_features),
    ("glszm", zone_features),
    ("gldm", dependence_features),
    ("ngtdm", tone_features),
)


@dataclass(frozen=True, slots=True, eq=False)
class RoiFeatures:
    """One ROI's vector in a recipe's frozen order; statuses index STATUSES."""

    values: NDArray[np.float64]
    statuses: NDArray[np.uint8]


def measure_rois(
    image: FeatureImage,
    masks: Sequence[BoolZyx],
    recipe: Recipe,
    binning: Binning,
    choices: TextureChoices = TOUCHING,
    shapes: Sequence[BoolZyx] | None = None,
) -> tuple[RoiFeatures, ...]:
    """The features of each non-empty mask (z, y, x) on the feature grid; ValueError for an empty one.

    Filters see the whole image and ROIs are cut out afterwards: what PyRadiomics gives for a pre-resampled image
    with preCrop=False, so a value depends on the image and its own mask only. A feature that rests on grey levels is
    `degenerate` where the ROI holds a single one; its value stays as PyRadiomics gives it. An origin of the bins
    holds for the original image; filtered images have their bins anchored at 0. Masks that were resegmented come with
    the whole ones in `shapes`, from which shape is taken.
    """
    frame = frame_of(masks)
    places = _places(recipe)
    rois = [_Roi(places, recipe.count) for _ in masks]
    for roi, mask in zip(rois, masks if shapes is None else shapes, strict=True):
        roi.put(ORIGINAL, SHAPE, shape_features(mask[box_of(mask)], image.grid.spacing_mm))
    parts = _parts(masks, frame, binning)
    source = FilterSource(image.intensity_hu, image.grid.spacing_mm, frame.box, frame.union, recipe)
    buffers = Buffers.of(int(np.prod(frame.padded_shape)))
    for name, values in filtered_images(source):
        of_image = binning if name == ORIGINAL else binning.of_filtered()
        for part in parts:
            filtered = _Filtered.of(name, values[part.inner], part.frame, of_image, image.grid, choices)
            for members, voxels in part.groups:
                _measure_group([rois[place] for place in members], voxels, filtered, buffers)
    return tuple(roi.finished() for roi in rois)


def missing_features(recipe: Recipe, status: str) -> RoiFeatures:
    """The vector of an ROI that has no features: NaN everywhere, one status."""
    count = recipe.count
    return RoiFeatures(np.full(count, np.nan), np.full(count, STATUSES.index(status), dtype=np.uint8))


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Masks that are binned alike: their frame, where it lies in the frame of all masks, and their groups."""

    frame: Frame
    inner: Box
    groups: tuple[tuple[tuple[int, ...], tuple[MaskVoxels, ...]], ...]


def _parts(masks: Sequence[BoolZyx], frame: Frame, binning: Binning) -> tuple[_Part, ...]:
    """One part for all masks; with a number of bins, which each mask's own range decides, one part for each mask."""
    if not binning.count:
        z, y, x = frame.union.shape
        return (_Part(frame, (slice(0, z), slice(0, y), slice(0, x)), mask_groups(masks, frame)),)
    parts = []
    for place, mask in enumerate(masks):
        own = frame_of([mask])
        z_side, y_side, x_side = (
            slice(of.start - whole.start, of.stop - whole.start) for of, whole in zip(own.box, frame.box, strict=True)
        )
        ((_, voxels),) = mask_groups([mask], own)
        parts.append(_Part(own, (z_side, y_side, x_side), (((place,), voxels),)))
    return tuple(parts)


@dataclass(frozen=True, slots=True, eq=False)
class _Filtered:
    """One image in the frame: its values, flattened, and what its bins say of every voxel's neighbours."""

    name: str
    values: ValuesZyx
    neighbours: ImageNeighbours
    jumps: NDArray[np.int64]
    binning: Binning
    grid: Grid
    choices: TextureChoices

    @classmethod
    def of(
        cls, name: str, values: ValuesZyx, frame: Frame, binning: Binning, grid: Grid, choices: TextureChoices
    ) -> _Filtered:
        """Bin an image once for all ROIs of a part."""
        neighbours = image_neighbours(padded_bins(values, frame, binning), frame)
        return cls(name, values.ravel(), neighbours, frame.jumps, binning, grid, choices)

    @property
    def directions(self) -> int:
        """How many co-occurrence tables a mask needs."""
        return ANGLES if self.choices.touching else len(self.choices.offsets())

    def of_places(self, places: NDArray[np.int32]) -> NDArray[np.float64]:
        """Values at flat places of the box."""
        return self.values[places].astype(np.float64)


class _Group:
    """The masks of a group in one image: rims' values and bins, and what their core counts for all of them."""

    def __init__(self, masks: Sequence[MaskVoxels], image: _Filtered, buffers: Buffers) -> None:
        self.masks, self.image, self.buffers = masks, image, buffers
        core = masks[0].core
        values, bins = image.of_places(core.places), image.neighbours.bins[core.voxels]
        self.rims = [(image.of_places(mask.places), image.neighbours.bins[mask.voxels]) for mask in masks]
        found = [of_any for of_any in (bins, *(of_rim for _, of_rim in self.rims)) if len(of_any)]
        self.low = min(int(of_any.min()) for of_any in found)
        self.count = max(int(of_any.max()) for of_any in found) - self.low + 1
        check_levels(self.count, image.binning.width, image.directions)
        self.level_counts = np.bincount(bins - self.low, minlength=self.count)
        self.finite = bool(np.isfinite(values).all())
        self.pivot = float((values if len(values) else self.rims[0][0]).mean())
        self.sorted = SortedValues.of(values, self.pivot)
        self._textures: CoreTextures | None = None

    def textures(self) -> CoreTextures:
        """The core's own counts, made when the first mask asks for them; the buffers are then this group's."""
        if self._textures is None:
            longest = max(max(mask.extents) for mask in self.masks)
            of, levels = self.image, (self.low, self.count)
            core = self.masks[0].core
            self._textures = core_textures(core, of.neighbours, of.jumps, levels, longest, self.buffers)
        return self._textures


class _Roi:
    """The vector of one mask, being filled."""

    def __init__(self, places: dict[tuple[str, str], slice], count: int) -> None:
        self.places = places
        self.values = np.full(count, np.nan)
        self.statuses = np.full(count, NOT_FINITE, dtype=np.uint8)
        self.of_single_level: dict[str, tuple[float, ...]] = {}

    def put(self, image_type: str, group: str, found: tuple[float, ...], degenerate: bool = False) -> None:
        """Store the values of one class of one image."""
        place = self.places[image_type, group]
        self.values[place] = found
        self.statuses[place] = DEGENERATE if degenerate else OK

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


def _measure_group(rois: Sequence[_Roi], masks: Sequence[MaskVoxels], image: _Filtered, buffers: Buffers) -> None:
    """Measure the masks of a group; one with a value that is not finite keeps its NaN."""
    group = _Group(masks, image, buffers)
    for place, roi in enumerate(rois):
        if group.finite and np.isfinite(group.rims[place][0]).all():
            _measure(roi, group, place)


def _measure(roi: _Roi, group: _Group, place: int) -> None:
    image, (values, bins) = group.image, group.rims[place]
    counts = group.level_counts + np.bincount(bins - group.low, minlength=group.count)
    present = np.flatnonzero(counts) + group.low
    first, single = image.binning.first_level(present), len(present) == 1
    rim, voxel_mm3 = SortedValues.of(values, group.pivot), image.grid.voxel_ml * 1000.0
    roi.put(image.name, "firstorder", first_order_features(group.sorted, rim, group.pivot, counts, voxel_mm3))
    if single:
        _mark_level_features(roi, image.name)
    found = roi.of_single_level if single and first == present[0] else {}
    if not found:
        levels = (first, int(present[-1]) - first + 1)
        found |= _texture_features(_matrices(group, place, levels))
    for feature_class, features in found.items():
        roi.put(image.name, feature_class, features, single)


def _matrices(group: _Group, place: int, levels: tuple[int, int]) -> Textures:
    image, mask = group.image, group.masks[place]
    textures = texture_matrices(mask, group.textures(), levels, group.buffers)
    if image.choices == TOUCHING:
        return textures
    bins = image.neighbours.bins[np.concatenate([mask.core.voxels, mask.voxels])]
    return chosen_textures(textures, mask, bins - levels[0] + 1, image.grid.spacing_zyx_mm, image.choices)


def _texture_features(textures: Textures) -> dict[str, tuple[float, ...]]:
    return {group: features(textures) for group, features in TEXTURES}


def _mark_level_features(roi: _Roi, name: str) -> None:
    """Entropy and uniformity are the two first-order features that rest on grey levels."""
    from_place = roi.places[name, "firstorder"].start
    for feature in LEVEL_FIRST_ORDER:
        roi.statuses[from_place + FIRST_ORDER.index(feature)] = DEGENERATE
