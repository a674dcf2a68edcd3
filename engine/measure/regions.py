"""Stage 7: the three regions on the feature grid, tumour over ring over lung."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.geometry import Box, corners_mm, cropped_grid, points_to_index, resample_mask
from engine.measure.feature_image import FeatureImage, feature_grid, feature_image
from engine.metrics.margins import Ring, other_lesions, peritumoural_ring
from engine.protocol import FeatureGrid, Rois
from store.records import FeatureMask, Flag, RoiMask, Segmentation
from store.volumes import BoolZyx, CtSeries, FeatureMasks, Grid, Mask, RoiMasks

LUNGS = ("lung_left", "lung_right")


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Intratumoural, peritumoural and whole_lung, each present even when empty, with what happened to it."""

    masks: RoiMasks
    regions: tuple[RoiMask, ...]
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Region:
    roi: str
    voxels: BoolZyx
    standing_on: tuple[str, ...]  # structures of the feature masks
    no_lungs: bool = False


def delineate_regions(
    ct: CtSeries,
    masks: FeatureMasks,
    chosen: tuple[FeatureMask, ...],
    segmentation: tuple[Segmentation, ...],
    grid: FeatureGrid,
    rois: Rois,
) -> Regions:
    """The tumour, the ring around it clipped to lung, and both lungs without either, by nearest neighbour.

    Other lesions belong to no region, and share_left of the ring counts what they take. Without lungs the ring is left
    whole (flag ring_unclipped) and whole_lung is empty with status no_lungs; without tumour voxels intratumoural and
    peritumoural are `empty`; under `smallest_voxels` an ROI is `too_small`.
    """
    image = feature_image(ct, grid)
    others = other_lesions(masks, image.grid)
    tumour = on_grid(masks, ("tumour",), image.grid) & ~others
    lungs = on_grid(masks, LUNGS, image.grid) & ~others
    has_lungs = bool(lungs.any())
    ring = peritumoural_ring(tumour, lungs if has_lungs else None, image.grid.spacing_zyx_mm, rois.ring_mm, others)
    rest = lungs & ~(tumour | ring.voxels) if rois.lung_excludes_tumour else lungs
    found = (
        _Region("intratumoural", tumour, ("tumour",)),
        _Region("peritumoural", ring.voxels, ("tumour",)),
        _Region("whole_lung", rest, LUNGS, no_lungs=not has_lungs),
    )
    method = segmentation[0].lungs_method if segmentation else ("outlined" if has_lungs else "none")
    return Regions(
        RoiMasks(tuple(_mask(region, masks, image.grid) for region in found)),
        tuple(_record(region, masks, chosen, image, ring, method, rois) for region in found),
        _flags(tumour, ring, rois),
    )


def ring_around(outline: Mask, beside: FeatureMasks, native: Grid, choices: FeatureGrid, rois: Rois) -> Mask:
    """The ring as `delineate_regions` makes it, of a non-empty outline alone, on its own part of the feature grid.

    beside holds the lungs that it is clipped to and the other lesions that it leaves out, as far as they may be known.
    """
    grid = feature_grid(native, choices)
    reach_mm = rois.ring_mm + max(outline.grid.spacing_mm)
    target = cropped_grid(grid, _within(outline.grid, grid, math.ceil(reach_mm / choices.spacing_mm) + 1))
    others = other_lesions(beside, target)
    tumour = resample_mask(outline.voxels, outline.grid, target) & ~others
    lungs = (
        on_grid(beside, LUNGS, target) if any(m.structure in LUNGS and m.voxels.any() for m in beside.masks) else None
    )
    ring = peritumoural_ring(tumour, lungs, target.spacing_zyx_mm, rois.ring_mm, others)
    return Mask("peritumoural", outline.origin, outline.source, ring.voxels, target)


def _within(part: Grid, whole: Grid, margin: int) -> Box:
    """Where a grid lies in another, with a margin in voxels, clipped to it."""
    places = points_to_index(corners_mm(part), whole)
    last = np.array(whole.size_xyz) - 1
    low = np.clip(np.floor(places.min(axis=0)) - margin, 0, last).astype(int)
    high = np.clip(np.ceil(places.max(axis=0)) + margin, low, last).astype(int) + 1
    x, y, z = (slice(int(start), int(stop)) for start, stop in zip(low, high, strict=True))
    return (z, y, x)


def on_grid(masks: FeatureMasks, structures: tuple[str, ...], target: Grid) -> BoolZyx:
    """The union of some structures on the feature grid; empty where none exists."""
    union = np.zeros(target.shape_zyx, dtype=np.bool_)
    for structure in structures:
        mask = masks.find(structure)
        if mask is not None:
            union |= resample_mask(mask.voxels, mask.grid, target)
    return union


def _mask(region: _Region, masks: FeatureMasks, grid: Grid) -> Mask:
    base = next((m for m in map(masks.find, region.standing_on) if m is not None), None)
    origin, source = (base.origin, base.source) if base is not None else ("automatic", "")
    return Mask(region.roi, origin, source, region.voxels, grid)


def _record(
    region: _Region,
    masks: FeatureMasks,
    chosen: tuple[FeatureMask, ...],
    image: FeatureImage,
    ring: Ring,
    method: str,
    rois: Rois,
) -> RoiMask:
    voxels = int(np.count_nonzero(region.voxels))
    is_ring = region.roi == "peritumoural"
    native = [m.voxels for m in map(masks.find, region.standing_on) if m is not None]
    return RoiMask(
        roi=region.roi,
        status="no_lungs" if region.no_lungs else status_of(voxels, rois),
        mask_source=next((c.mask_source for c in chosen if c.structure in region.standing_on), "none"),
        width_mm=rois.ring_mm if is_ring else None,
        voxels=voxels,
        volume_ml=voxels * image.grid.voxel_ml,
        share_left=ring.share_left if is_ring else None,
        clipped=is_ring and ring.clipped,
        lungs_method=method,
        clipped_hu_share=float(image.clipped[region.voxels].mean()) if voxels else 0.0,
        native_voxels=sum(int(np.count_nonzero(m)) for m in native),
    )


def status_of(voxels: int, rois: Rois) -> str:
    """`empty`, `too_small` or `ok` by the number of voxels on the feature grid."""
    if voxels == 0:
        return "empty"
    return "too_small" if voxels < rois.smallest_voxels else "ok"


def _flags(tumour: BoolZyx, ring: Ring, rois: Rois) -> tuple[Flag, ...]:
    if not tumour.any():
        return ()
    if not ring.clipped:
        text = "No lungs are known, so the ring may hold chest wall or mediastinum."
        return (Flag("regions", "ring_unclipped", text, "Outline the lungs or register a lung model."),)
    if ring.share_left is not None and ring.share_left < rois.ring_flag_share:
        text = f"Only {ring.share_left:.0%} of the ring lies in lung and clear of other lesions."
        return (Flag("regions", "ring_small", text, "Read this patient's peritumoural features with care."),)
    return ()
