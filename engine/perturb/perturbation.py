"""Stage 9: perturbed masks of each region, drawn first, recorded, then applied."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

import numpy as np

from engine.geometry import box_of, cropped_grid, resample_mask
from engine.metrics.margins import Ring, other_lesions, peritumoural_ring
from engine.metrics.overlap import volumetric_dsc
from engine.perturb.noise import Noise
from engine.perturb.plan import Context, Perturbation, Planned
from engine.perturb.registry import planned
from engine.protocol import FeatureGrid, Perturb, Rois
from store.records import PerturbedMask
from store.volumes import BoolZyx, CtSeries, FeatureMasks, Grid, Mask, PerturbedMasks, RoiMasks

LUNGS = ("lung_left", "lung_right")
GROWTH_MARGIN_VOXELS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Perturbed:
    """Every perturbed region with how it was drawn and how much it changed; each mask on the grid of its own box."""

    masks: PerturbedMasks
    perturbed: tuple[PerturbedMask, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Base:
    """What regions are built from, on the feature grid."""

    tumour: BoolZyx
    lungs: BoolZyx
    others: BoolZyx
    grid: Grid
    width_mm: float


def perturb_masks(
    ct: CtSeries,
    masks: FeatureMasks,
    rois: RoiMasks,
    choices: Perturb,
    regions_choices: Rois,
    grid: FeatureGrid,
    rng: np.random.Generator,
) -> Perturbed:
    """Perturb the tumour (and the lungs, where chosen) and rebuild each region from it.

    The ring is regenerated from each perturbed tumour; whole_lung has its own boundary perturbed, and stays clear of
    the unperturbed tumour and ring. None grows into another lesion. Regions without voxels are left out. A region whose
    mask hardly changed (DSC above `unchanged_dsc`) and whose image did not is recorded as not tested.
    """
    tumour, native = rois.find("intratumoural"), masks.find("tumour")
    if tumour is None or native is None or not tumour.voxels.any() or not native.voxels.any():
        return Perturbed(PerturbedMasks(()), ())
    others = other_lesions(masks, tumour.grid)
    lungs = _lungs(masks, tumour.grid) & ~others
    base = _Base(tumour.voxels, lungs, others, tumour.grid, regions_choices.ring_mm)
    context = Context(ct, native.voxels, choices)
    drawn = [(plan, plan.draw(rng, context)) for plan in planned(choices)]
    wanted = [m for m in rois.masks if m.structure in choices.rois and m.voxels.any()]
    made, records = [], []
    for plan, perturbation in drawn:
        for roi in wanted:
            voxels = perturbed_region(roi.structure, perturbation, base)
            made.append(_in_its_box(roi.structure, plan.name, voxels, roi.grid))
            records.append(_record(plan, perturbation, roi, voxels, choices.unchanged_dsc))
    return Perturbed(PerturbedMasks(tuple(made)), tuple(records))


def _in_its_box(roi: str, name: str, voxels: BoolZyx, grid: Grid) -> Mask:
    """A mask cut to its box (one voxel where it is empty): hundreds of whole images would not fit in memory."""
    box = box_of(voxels) if voxels.any() else (slice(0, 1), slice(0, 1), slice(0, 1))
    return Mask(roi, "perturbed", name, voxels[box].copy(), cropped_grid(grid, box))


def perturbed_region(roi: str, perturbation: Perturbation, base: _Base) -> BoolZyx:
    """One region after a perturbation of the structure that it stands on."""
    if roi == "whole_lung":
        ring = _ring(base.tumour, base).voxels
        return _apply(perturbation, base.lungs, base.grid) & ~(base.tumour | ring | base.others)
    tumour = _apply(perturbation, base.tumour, base.grid) & ~base.others
    return tumour if roi == "intratumoural" else _ring(tumour, base).voxels


def _apply(perturbation: Perturbation, mask: BoolZyx, grid: Grid) -> BoolZyx:
    """Apply inside the mask's box: what a perturbation does there does not reach farther."""
    margin = GROWTH_MARGIN_VOXELS
    box = box_of(mask, (margin, margin, margin))
    result = np.zeros_like(mask)
    result[box] = perturbation.apply(mask[box], grid)
    return result


def _ring(tumour: BoolZyx, base: _Base) -> Ring:
    lungs = base.lungs if base.lungs.any() else None
    return peritumoural_ring(tumour, lungs, base.grid.spacing_zyx_mm, base.width_mm, base.others)


def _lungs(masks: FeatureMasks, target: Grid) -> BoolZyx:
    found = [mask for mask in map(masks.find, LUNGS) if mask is not None]
    lungs = np.zeros(target.shape_zyx, dtype=np.bool_)
    for mask in found:
        lungs |= resample_mask(mask.voxels, mask.grid, target)
    return lungs


def _record(
    plan: Planned, perturbation: Perturbation, roi: Mask, voxels: BoolZyx, unchanged_dsc: float
) -> PerturbedMask:
    dsc = volumetric_dsc(roi.voxels, voxels)
    before, after = int(np.count_nonzero(roi.voxels)), int(np.count_nonzero(voxels))
    noise = perturbation if isinstance(perturbation, Noise) else Noise(0.0, 0)
    return PerturbedMask(
        roi=roi.structure,
        perturbation=plan.name,
        family=plan.family,
        method=plan.method,
        parameters=json.dumps(dataclasses.asdict(perturbation), sort_keys=True),  # type: ignore[call-overload]
        dsc=dsc,
        volume_change_percent=100.0 * (after - before) / before,
        tested=noise.sd_hu > 0 or (dsc is not None and dsc <= unchanged_dsc),
        noise_sd_hu=noise.sd_hu,
        noise_seed=noise.seed,
    )
