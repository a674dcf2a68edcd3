"""The regions of a perturbation, rebuilt from tumour and lungs on the grid that it gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.geometry import box_of, box_on, cropped_grid, resample_mask
from engine.metrics.image_changes import perturbed_grid, thick_grid
from engine.metrics.margins import Ring, peritumoural_ring
from engine.perturb.plan import Drawn
from engine.perturb.structure import Structure
from engine.protocol import Rois
from store.volumes import BoolZyx, Grid, Mask

GROWTH_MM = 16.0  # farther than this no outline moves: two edges of a supervoxel of 500 mm3


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """What regions are built from: outlines on the native grid, and structures on the feature grid (`base`)."""

    native: Grid
    base: Grid
    tumour: Mask
    lungs: tuple[Mask, ...]
    others: tuple[Mask, ...]  # lesions that belong to no region
    regions: Rois
    tumour_structure: Structure
    lung_structure: Structure | None


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One perturbed region on a box of its perturbation's feature grid."""

    roi: str
    voxels: BoolZyx
    grid: Grid


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """Masks as a perturbation sees them: through thicker slices where it asks for them, on its feature grid."""

    anatomy: Anatomy
    drawn: Drawn
    parent: Grid

    def box_about(self, masks: tuple[Mask, ...], margin_mm: float) -> Grid:
        """The box of the feature grid that holds some masks and a margin in mm."""
        margin = int(np.ceil(margin_mm / min(self.parent.spacing_mm))) + 1
        boxes = [box_on(self.parent, boxed(mask).grid, margin) for mask in masks if mask.voxels.any()]
        z, y, x = (
            slice(min(side.start for side in sides), max(side.stop for side in sides))
            for sides in zip(*boxes, strict=True)
        )
        return cropped_grid(self.parent, (z, y, x))

    def union(self, masks: tuple[Mask, ...], target: Grid) -> BoolZyx:
        """The union of native masks on a box of the feature grid."""
        found = np.zeros(target.shape_zyx, dtype=np.bool_)
        for mask in masks:
            if mask.voxels.any():
                found |= self._seen(boxed(mask), target)
        return found

    def stepped(self, structure: Structure, target: Grid) -> BoolZyx:
        """A structure after the perturbation's steps, on a box of the feature grid."""
        mask = structure.mask
        for step in self.drawn.steps:
            mask = step.apply(mask, structure)
        return resample_mask(mask, structure.grid, target)

    def _seen(self, mask: Mask, target: Grid) -> BoolZyx:
        slice_mm = self.drawn.image.slice_mm
        if not slice_mm:
            return resample_mask(mask.voxels, mask.grid, target)
        thick = thick_grid(self.anatomy.native, slice_mm)
        near = cropped_grid(thick, box_on(thick, mask.grid, 1))
        return resample_mask(resample_mask(mask.voxels, mask.grid, near), near, target)


def perturbed_regions(anatomy: Anatomy, drawn: Drawn, rois: tuple[str, ...]) -> tuple[Region, ...]:
    """The named regions after one perturbation of the structures that they stand on."""
    parent = perturbed_grid(anatomy.native, anatomy.base.spacing_mm[0], drawn.image)
    view = _View(anatomy, drawn, parent)
    reach_mm = anatomy.regions.ring_mm + drawn.ring_mm + GROWTH_MM
    found = []
    if {"intratumoural", "peritumoural"} & set(rois):
        found += [region for region in _tumour_and_ring(view, reach_mm) if region.roi in rois]
    if "whole_lung" in rois and anatomy.lungs:
        found.append(_whole_lung(view, reach_mm))
    return tuple(found)


def _tumour_and_ring(view: _View, reach_mm: float) -> tuple[Region, Region]:
    target = view.box_about((view.anatomy.tumour,), reach_mm)
    others = view.union(view.anatomy.others, target)
    if view.drawn.steps:
        tumour = view.stepped(view.anatomy.tumour_structure, target) & ~others
    else:
        tumour = view.union((view.anatomy.tumour,), target) & ~others
    ring = _ring(view, tumour, others, target)
    return Region("intratumoural", tumour, target), Region("peritumoural", ring.voxels, target)


def _whole_lung(view: _View, reach_mm: float) -> Region:
    """Both lungs after the steps, clear of tumour and ring, which only the grid moves."""
    anatomy = view.anatomy
    target = view.box_about((*anatomy.lungs, anatomy.tumour), reach_mm)
    others = view.union(anatomy.others, target)
    if view.drawn.steps and anatomy.lung_structure is not None:
        lungs = view.stepped(anatomy.lung_structure, target) & ~others
    else:
        lungs = view.union(anatomy.lungs, target) & ~others
    if anatomy.regions.lung_excludes_tumour:
        near = view.box_about((anatomy.tumour,), reach_mm)
        tumour = view.union((anatomy.tumour,), near) & ~view.union(anatomy.others, near)
        ring = _ring(view, tumour, view.union(anatomy.others, near), near)
        lungs &= ~resample_mask(tumour | ring.voxels, near, target)
    return Region("whole_lung", lungs, target)


def _ring(view: _View, tumour: BoolZyx, others: BoolZyx, target: Grid) -> Ring:
    lungs = view.union(view.anatomy.lungs, target) & ~others if view.anatomy.lungs else None
    width_mm = max(view.anatomy.regions.ring_mm + view.drawn.ring_mm, 0.0)
    return peritumoural_ring(tumour, lungs, target.spacing_zyx_mm, width_mm, others)


def boxed(mask: Mask) -> Mask:
    """A non-empty mask on the grid of its own box."""
    box = box_of(mask.voxels)
    return Mask(
        mask.structure, mask.origin, mask.source, mask.voxels[box], cropped_grid(mask.grid, box), mask.lesion, mask.name
    )
