"""Stage `perturb`: perturbed masks of each region, drawn first, recorded, then applied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.geometry import box_of, box_on, cropped_grid, index_to_points_mm, resample_intensity, resample_mask
from engine.metrics.overlap import volumetric_dsc
from engine.perturb.others import other_readers, second_lungs_as_perturbation
from engine.perturb.plan import Context, Drawn, Planned
from engine.perturb.region import Anatomy, Region, perturbed_regions
from engine.perturb.registry import planned
from engine.perturb.structure import Image, Structure
from engine.protocol import FeatureGrid, Perturb, Rois
from store.records import PerturbedImage, PerturbedMask
from store.volumes import (
    AutomaticMasks,
    BoolZyx,
    CtSeries,
    FeatureMasks,
    Grid,
    Mask,
    PerturbedMasks,
    ReferenceMasks,
    RoiMasks,
    SecondLungs,
    Triple,
)


@dataclass(frozen=True, slots=True, eq=False)
class Perturbed:
    """Every perturbed region with how it was drawn and how much it changed; each mask on the grid of its own box."""

    masks: PerturbedMasks
    perturbed: tuple[PerturbedMask, ...]
    images: tuple[PerturbedImage, ...]


def perturb_masks(  # noqa: PLR0913 - a stage's signature is its declaration: one parameter per artifact it reads
    ct: CtSeries,
    masks: FeatureMasks,
    rois: RoiMasks,
    references: ReferenceMasks,
    automatic: AutomaticMasks,
    second_lungs: SecondLungs | None,
    choices: Perturb,
    regions_choices: Rois,
    grid: FeatureGrid,
    rng: np.random.Generator,
) -> Perturbed:
    """Perturb image, tumour and lungs, and rebuild each region from them.

    The ring is regenerated from each perturbed tumour and varied in width; whole_lung has its own boundary perturbed,
    is taken by a second method where there is one, and stays clear of the unperturbed tumour and ring. Outlines by
    others that touch the tumour are perturbations too. None enters another lesion. Regions without voxels are left out.
    A region whose mask hardly changed (DSC above `unchanged_dsc`) and whose image did not is recorded as not tested.
    """
    tumour, native = rois.find("intratumoural"), masks.find("tumour")
    if choices.preset == "none" or tumour is None or native is None or not tumour.voxels.any():
        return Perturbed(PerturbedMasks(()), (), ())
    wanted: dict[str, Mask] = {m.structure: m for m in rois.masks if m.structure in choices.rois and m.voxels.any()}
    context = Context(ct, native.voxels, tumour.grid, _centre_mm(tumour), choices)
    drawn = [(plan, plan.draw(rng, context)) for plan in planned(choices)]
    anatomy = _anatomy(ct, masks, tumour, regions_choices, choices, grid)
    found = list(_found(anatomy, drawn, masks, references, automatic, second_lungs, tuple(wanted)))
    records = tuple(record for plan, one, regions in found for record in _records(plan, one, regions, wanted, choices))
    made = tuple(_stored(plan.name, region) for plan, _, regions in found for region in regions)
    images = tuple(replace(one.image, perturbation=plan.name) for plan, one, _ in found)
    return Perturbed(PerturbedMasks(made), records, images)


def _found(
    anatomy: Anatomy,
    drawn: list[tuple[Planned, Drawn | None]],
    masks: FeatureMasks,
    references: ReferenceMasks,
    automatic: AutomaticMasks,
    second: SecondLungs | None,
    wanted: tuple[str, ...],
) -> Iterator[tuple[Planned, Drawn, tuple[Region, ...]]]:
    """Every perturbation with its regions: the drawn ones, then outlines by others, then lungs by another method."""
    for plan, one in drawn:
        if one is not None:
            yield plan, one, perturbed_regions(anatomy, one, tuple(roi for roi in plan.rois if roi in wanted))
    for plan, outline in other_readers(masks, references, automatic):
        rois = tuple(roi for roi in plan.rois if roi in wanted)
        yield plan, Drawn(), perturbed_regions(replace(anatomy, tumour=outline), Drawn(), rois)
    for plan, lungs in second_lungs_as_perturbation(second):
        rois = tuple(roi for roi in plan.rois if roi in wanted)
        yield plan, Drawn(), perturbed_regions(replace(anatomy, lungs=lungs), Drawn(), rois)


def _anatomy(
    ct: CtSeries, masks: FeatureMasks, tumour: Mask, regions: Rois, choices: Perturb, grid: FeatureGrid
) -> Anatomy:
    """What regions are built from, and the structures whose boundary is perturbed."""

    def image(target: Grid) -> NDArray[np.float32]:
        values = resample_intensity(ct.intensity_hu, ct.grid, target, float(grid.lowest_hu))
        return np.clip(values, grid.lowest_hu, grid.highest_hu)

    lungs = tuple(m for m in map(masks.find, ("lung_left", "lung_right")) if m is not None)
    others = tuple(m for m in masks.masks if m.structure == "tumour" and m.lesion > 0)
    native = next(m for m in masks.masks if m.structure == "tumour" and m.lesion == 0)
    return Anatomy(
        native=ct.grid,
        base=tumour.grid,
        tumour=native,
        lungs=lungs,
        others=others,
        regions=regions,
        tumour_structure=Structure(tumour.voxels, tumour.grid, image, choices),
        lung_structure=_lung_structure(lungs, others, tumour.grid, image, choices),
    )


def _lung_structure(
    lungs: tuple[Mask, ...], others: tuple[Mask, ...], base: Grid, image: Image, choices: Perturb
) -> Structure | None:
    """Both lungs on the feature grid without other lesions; None without lungs or where they are not perturbed."""
    if "whole_lung" not in choices.rois:
        return None
    voxels = np.zeros(base.shape_zyx, dtype=np.bool_)
    for mask in lungs:
        voxels |= resample_mask(mask.voxels, mask.grid, base)
    for mask in others:
        voxels &= ~resample_mask(mask.voxels, mask.grid, base)
    return Structure(voxels, base, image, choices) if voxels.any() else None


def _centre_mm(mask: Mask) -> Triple:
    z, y, x = np.argwhere(mask.voxels).mean(axis=0)
    at = index_to_points_mm(np.array([[x, y, z]]), mask.grid)[0]
    return float(at[0]), float(at[1]), float(at[2])


def _stored(name: str, region: Region) -> Mask:
    """A mask cut to its box (one voxel where it is empty): hundreds of whole images would not fit in memory."""
    voxels = region.voxels
    box = box_of(voxels) if voxels.any() else (slice(0, 1), slice(0, 1), slice(0, 1))
    return Mask(region.roi, "perturbed", name, voxels[box].copy(), cropped_grid(region.grid, box))


def _records(
    plan: Planned, drawn: Drawn, regions: tuple[Region, ...], wanted: dict[str, Mask], choices: Perturb
) -> Iterator[PerturbedMask]:
    """What became of each region; a ring is as plausible as the tumour that it surrounds."""
    dsc = {region.roi: _dsc(region, wanted[region.roi]) for region in regions}
    for region in regions:
        own = dsc[region.roi]
        judged = dsc.get("intratumoural", own) if region.roi == "peritumoural" else own
        before = float(np.count_nonzero(wanted[region.roi].voxels)) * wanted[region.roi].grid.voxel_ml
        after = float(np.count_nonzero(region.voxels)) * region.grid.voxel_ml
        changed = drawn.image.changes or (own is not None and own <= choices.unchanged_dsc)
        yield PerturbedMask(
            roi=region.roi,
            perturbation=plan.name,
            family=plan.family,
            method=plan.method,
            parameters=drawn.parameters(),
            dsc=own,
            volume_change_percent=100.0 * (after - before) / before,
            tested=changed and not (plan.family == "readers" and not judged),
            plausible=judged is not None and judged >= choices.plausible_dsc,
        )


def _dsc(region: Region, base: Mask) -> float | None:
    """DSC with the unperturbed region, both on its grid."""
    near, own = box_on(base.grid, region.grid, 1), box_of(base.voxels)
    z, y, x = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(near, own, strict=True))
    back: BoolZyx = resample_mask(region.voxels, region.grid, cropped_grid(base.grid, (z, y, x)))
    return volumetric_dsc(base.voxels[z, y, x], back)
