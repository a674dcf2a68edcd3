"""Margins and parts of a mask in millimetres: growth, rings, largest components, clean boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.geometry import Box, box_of, resample_mask
from engine.metrics.distance import distance_to_mm
from store.volumes import BoolZyx, Grid, MaskSet, Triple

TOUCHING_26 = np.ones((3, 3, 3), dtype=bool)


def grow_mm(mask: BoolZyx, spacing_zyx_mm: Triple, margin_mm: float) -> BoolZyx:
    """A mask with all voxels whose centre lies within a margin (mm) of one of its voxel centres; empty stays empty."""
    if margin_mm < 0:
        raise ValueError(f"margin_mm must not be negative, got {margin_mm}")
    grown = mask.copy()
    if mask.any():
        box = padded_box(mask, spacing_zyx_mm, margin_mm)
        grown[box] = distance_to_mm(mask[box], spacing_zyx_mm) <= margin_mm
    return grown


def ring_mm(mask: BoolZyx, spacing_zyx_mm: Triple, width_mm: float) -> BoolZyx:
    """The voxels outside a mask whose centre lies within a width (mm) of one of its voxel centres."""
    return grow_mm(mask, spacing_zyx_mm, width_mm) & ~mask


@dataclass(frozen=True, slots=True, eq=False)
class Ring:
    """A peritumoural ring: its voxels, the share left of the whole (None without tumour), if clipped to lung."""

    voxels: BoolZyx
    share_left: float | None
    clipped: bool


def peritumoural_ring(
    tumour: BoolZyx, lungs: BoolZyx | None, spacing_zyx_mm: Triple, width_mm: float, others: BoolZyx | None = None
) -> Ring:
    """The ring outside a tumour without other lesions, clipped to the lungs where there are any, else not `clipped`."""
    whole = ring_mm(tumour, spacing_zyx_mm, width_mm)
    left = whole if lungs is None else whole & lungs
    left = left if others is None else left & ~others
    voxels = int(np.count_nonzero(whole))
    share_left = int(np.count_nonzero(left)) / voxels if voxels else None
    return Ring(left, share_left, clipped=lungs is not None)


def close_mm(mask: BoolZyx, spacing_zyx_mm: Triple, radius_mm: float) -> BoolZyx:
    """Morphological closing by a ball (mm): gaps and dents narrower than its diameter are filled.

    Beyond the array counts as background, so a mask does not grow along the border.
    """
    if not mask.any():
        return mask.copy()
    reach = [int(np.ceil(radius_mm / step)) + 1 for step in spacing_zyx_mm]
    padded = np.pad(mask, [(n, n) for n in reach])
    grown = distance_to_mm(padded, spacing_zyx_mm) <= radius_mm
    closed = distance_to_mm(~grown, spacing_zyx_mm) > radius_mm
    inner = tuple(slice(n, -n) for n in reach)
    return np.asarray(closed[inner] | mask, dtype=np.bool_)


def padded_box(mask: BoolZyx, spacing_zyx_mm: Triple, margin_mm: float) -> Box:
    """The box of a non-empty mask with a margin in mm on every side, clipped to the array."""
    z, y, x = (int(np.ceil(margin_mm / step)) + 1 for step in spacing_zyx_mm)
    return box_of(mask, (z, y, x))


def signed_distance_mm(mask: BoolZyx, spacing_zyx_mm: Triple) -> NDArray[np.float64]:
    """Distance (mm) to the mask's boundary, negative inside; the boundary lies half a voxel step between centres.

    ValueError for a mask that is empty or fills its array, for then there is no boundary.
    """
    if not mask.any() or mask.all():
        raise ValueError("a signed distance needs voxels both inside and outside the mask")
    outside = distance_to_mm(mask, spacing_zyx_mm)
    inside = distance_to_mm(~mask, spacing_zyx_mm)
    half = 0.5 * min(spacing_zyx_mm)
    return np.asarray(np.where(mask, half - inside, outside - half))


def component_count(mask: BoolZyx) -> int:
    """Number of 26-connected components."""
    return int(ndimage.label(mask, structure=TOUCHING_26)[1])


def other_lesions(masks: MaskSet, target: Grid) -> BoolZyx:
    """The union of all lesions but the index lesion on a grid: they belong to no region."""
    union = np.zeros(target.shape_zyx, dtype=np.bool_)
    for mask in masks.masks:
        if mask.structure == "tumour" and mask.lesion > 0:
            union |= resample_mask(mask.voxels, mask.grid, target)
    return union


def largest_components(mask: BoolZyx, count: int = 1) -> BoolZyx:
    """The `count` largest 26-connected components of a mask, fewer if there are fewer; empty stays empty."""
    labels, found = ndimage.label(mask, structure=TOUCHING_26)
    if found <= count:
        return mask.copy()
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.isin(labels, np.argsort(sizes, kind="stable")[::-1][:count])
