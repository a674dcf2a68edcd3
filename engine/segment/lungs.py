"""Lungs without a model: thresholding and morphology, or nothing where no lung can be seen.

After Hu, Hoffman and Reinhardt (IEEE Trans Med Imaging 2001;20:490): air outside the body and the airways are taken
away, both lungs are parted, and concavities such as a wall-adherent tumour leaves are closed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.geometry import box_of, grid_of, resampled_grid, to_image, to_reference
from engine.segment.sliding_window import linear, oriented, to_model_grid
from store.volumes import BoolZyx, CtSeries, Grid

Volume = NDArray[np.float32]
WORKING_MM = 3.0
AIR_HU = -400.0
OPEN_AIR_HU = -930.0  # air around a body, on average; lungs are denser
LARGEST_BORDER_SHARE = 0.01  # of a lung's voxels in the image's in-plane border, where the field of view is tight
SMALLEST_LUNG_ML, LARGEST_LUNG_ML = 300.0, 6000.0
LUNG_MEAN_HU = (-930.0, -500.0)
LARGEST_VOLUME_RATIO = 6.0
SIDE_DISTANCE_MM = (70.0, 300.0)
LARGEST_HEIGHT_DISTANCE_MM = 120.0
AIRWAY_HU = -850.0
AIRWAY_AREA_MM2 = (60.0, 900.0)
VESSEL_CLOSING_MM = 7.0
TUMOUR_CLOSING_MM = 12.0
PARTING_STEPS = 6
LONE_CORE_HU = (-870.0, -500.0)  # two voxels inside; ../shared/data: lone lung -815, air beside a leg -893 and less
LONE_BORDER_SHARE = 0.05  # the same: 0.034 and 0.070 or more
SOFT_TISSUE_HU = -200.0


@dataclass(frozen=True, slots=True, eq=False)
class Lungs:
    """The patient's left and right lung, boolean z, y, x on the CT's own grid, never overlapping."""

    left: BoolZyx
    right: BoolZyx

    @property
    def lone(self) -> bool:
        """Whether only one lung was found."""
        return not (self.left.any() and self.right.any())


def find_lungs(ct: CtSeries, tumour: BoolZyx | None = None) -> Lungs | None:
    """Both lungs of a CT, or None when there is no plausible pair of them.

    A pair: 300 to 6000 ml each and at most six-fold apart, mean -930 to -500 HU, side by side and level. A crop about
    one lung gives that lung and an empty other (`lone` of the result), its side by where it lies of the soft tissue;
    legs and trunks give None. A tumour mask (on the CT's grid) is added where it lies within or against a lung.
    Worked at 3 mm.
    """
    grid = resampled_grid(grid_of(oriented(to_reference(ct.grid))), (WORKING_MM,) * 3)
    intensity = to_model_grid(ct, grid)
    pair = _pair(intensity, _without_airways(intensity, _inner_air(intensity)), grid) or _lone(intensity, grid)
    if pair is None:
        return None
    mass = None if tumour is None else _on_grid(tumour, ct.grid, grid)
    left, right = (_closed(lung, mass) for lung in pair)
    left, right = _disjoint(left, right, pair)
    return Lungs(_on_grid(left, grid, ct.grid), _on_grid(right, grid, ct.grid))


def _inner_air(intensity: Volume) -> BoolZyx:
    """Voxels of air without the open air about the body: pieces along the in-plane border, or thin as air there."""
    air = intensity < AIR_HU
    pieces, n = ndimage.label(air)
    if n == 0:
        return air
    border = np.zeros(air.shape, dtype=np.bool_)
    border[:, [0, -1], :] = True
    border[:, :, [0, -1]] = True
    sizes = np.bincount(pieces.ravel(), minlength=n + 1)
    means = np.bincount(pieces.ravel(), weights=intensity.ravel(), minlength=n + 1) / np.maximum(sizes, 1)
    at_border = np.bincount(pieces[border], minlength=n + 1)
    inner = (at_border == 0) | ((at_border <= LARGEST_BORDER_SHARE * sizes) & (means >= OPEN_AIR_HU))
    inner[0] = False
    return np.asarray(inner[pieces])


def _without_airways(intensity: Volume, air: BoolZyx) -> BoolZyx:
    """Air without trachea and main bronchi, followed downward slice by slice from the highest lone round lumen."""
    lumen = air & (intensity < AIRWAY_HU)
    airway = np.zeros_like(air)
    before: BoolZyx | None = None
    for z in range(air.shape[0] - 1, -1, -1):
        before = _next_lumen(lumen[z], before)
        if before is not None:
            airway[z] = before
    return np.asarray(air & ~ndimage.binary_dilation(airway, iterations=1))


def _next_lumen(lumen: BoolZyx, before: BoolZyx | None) -> BoolZyx | None:
    """Pieces of a slice's lumen that go on from the slice above, of an airway's area; first any in the middle."""
    pieces, n = ndimage.label(lumen)
    if n == 0:
        return None
    area = np.bincount(pieces.ravel(), minlength=n + 1) * WORKING_MM**2
    fits = (area >= AIRWAY_AREA_MM2[0]) & (area <= AIRWAY_AREA_MM2[1])
    fits[0] = False
    if before is None:
        columns = np.array([c[1] for c in ndimage.center_of_mass(lumen, pieces, range(1, n + 1))])
        centre = lumen.shape[1] / 2
        fits[1:] &= np.abs(columns - centre) * WORKING_MM < 40
    else:
        fits &= np.isin(np.arange(n + 1), np.unique(pieces[before]))
    chosen = fits[pieces]
    return chosen if chosen.any() else None


def _pair(intensity: Volume, air: BoolZyx, grid: Grid) -> tuple[BoolZyx, BoolZyx] | None:
    """The two lungs among the pieces of air, left first, or None when they are no plausible pair."""
    smallest = SMALLEST_LUNG_ML / grid.voxel_ml
    core = ndimage.binary_opening(air, iterations=1)
    for step in range(PARTING_STEPS):
        inner = core if step == 0 else ndimage.binary_erosion(core, iterations=step)
        seeds = _largest_pieces(inner, intensity)
        if len(seeds) == 2 and min(int(seed.sum()) for seed in seeds) >= 0.3 * smallest:
            first, second = _nearest(air, seeds[0], seeds[1])
            left, right = (first, second) if _centre_x(first) > _centre_x(second) else (second, first)
            if _plausible(left, right, intensity, grid):
                return left, right
    return None


def _lone(intensity: Volume, grid: Grid) -> tuple[BoolZyx, BoolZyx] | None:
    """The one lung of a crop, left first, the other empty; None when the largest such piece of air is no lung.

    A lung is parenchyma to its core; air around a body is thinner there and runs along more of the border.
    """
    air = intensity < AIR_HU
    border = np.zeros(air.shape, dtype=np.bool_)
    border[:, [0, -1], :] = True
    border[:, :, [0, -1]] = True
    for piece in _largest_pieces(_without_airways(intensity, air), intensity):
        core = ndimage.binary_erosion(piece, iterations=2)
        volume_ml = float(piece.sum()) * grid.voxel_ml
        if not SMALLEST_LUNG_ML <= volume_ml <= LARGEST_LUNG_ML or not core.any():
            continue
        dense = LONE_CORE_HU[0] < float(intensity[core].mean()) < LONE_CORE_HU[1]
        if dense and (piece & border).sum() <= LONE_BORDER_SHARE * piece.sum():
            empty = np.zeros_like(piece)
            return (piece, empty) if _centre_x(piece) > _centre_x(intensity > SOFT_TISSUE_HU) else (empty, piece)
    return None


def _largest_pieces(mask: BoolZyx, intensity: Volume) -> list[BoolZyx]:
    """The two largest pieces whose mean is that of lung."""
    pieces, n = ndimage.label(mask)
    if n == 0:
        return []
    means = np.asarray(ndimage.mean(intensity, pieces, range(1, n + 1)))
    sizes = np.bincount(pieces.ravel(), minlength=n + 1)[1:] * ((means > LUNG_MEAN_HU[0]) & (means < LUNG_MEAN_HU[1]))
    order = np.argsort(-sizes, kind="stable")[:2]
    return [np.asarray(pieces == 1 + i) for i in order if sizes[i] > 0]


def _nearest(air: BoolZyx, one: BoolZyx, other: BoolZyx) -> tuple[BoolZyx, BoolZyx]:
    """The pieces of air that hold a seed, each voxel given to the nearer of two seeds."""
    pieces, n = ndimage.label(air)
    held = np.zeros(n + 1, dtype=np.bool_)
    held[np.unique(pieces[one | other])] = True
    held[0] = False
    lung = np.asarray(held[pieces])
    nearer = _nearer(lung, one, other)
    return lung & nearer, lung & ~nearer


def _nearer(where: BoolZyx, one: BoolZyx, other: BoolZyx) -> BoolZyx:
    """Within the box of `where`, the voxels at most as far from one mask as from another; False outside the box."""
    nearer = np.zeros_like(where)
    box = box_of(where | one | other)
    distances = [ndimage.distance_transform_edt(~seed[box]) for seed in (one, other)]
    nearer[box] = distances[0] <= distances[1]
    return nearer


def _plausible(left: BoolZyx, right: BoolZyx, intensity: Volume, grid: Grid) -> bool:
    volumes = [float(lung.sum()) * grid.voxel_ml for lung in (left, right)]
    if min(volumes) < SMALLEST_LUNG_ML or max(volumes) > LARGEST_LUNG_ML:
        return False
    means = [float(intensity[lung].mean()) for lung in (left, right)]
    centres = [np.array(ndimage.center_of_mass(lung)) * WORKING_MM for lung in (left, right)]
    apart_z, _, apart_x = np.abs(centres[0] - centres[1])
    return bool(
        max(volumes) <= LARGEST_VOLUME_RATIO * min(volumes)
        and all(LUNG_MEAN_HU[0] < mean < LUNG_MEAN_HU[1] for mean in means)
        and SIDE_DISTANCE_MM[0] <= apart_x <= SIDE_DISTANCE_MM[1]
        and apart_z <= LARGEST_HEIGHT_DISTANCE_MM
    )


def _centre_x(mask: BoolZyx) -> float:
    """Mean column; larger is further to the patient's left, as the axes are left, posterior, superior."""
    return float(np.argwhere(mask)[:, 2].mean())


def _closed(lung: BoolZyx, tumour: BoolZyx | None) -> BoolZyx:
    """A lung with vessels filled and, given a tumour, the dent that it leaves closed and its part there added."""
    if not lung.any():
        return lung
    filled = _closing(lung, VESSEL_CLOSING_MM)
    if tumour is None or not (ndimage.binary_dilation(filled, iterations=2) & tumour).any():
        return filled
    return np.asarray(filled | _closing(filled | tumour, TUMOUR_CLOSING_MM) & (tumour | filled))


def _closing(mask: BoolZyx, radius_mm: float) -> BoolZyx:
    """Closing by a ball through distances, with cavities filled."""
    margin = int(np.ceil(radius_mm / WORKING_MM)) + 1
    box = box_of(mask)
    room = np.pad(mask[box], margin)
    grown = ndimage.distance_transform_edt(~room) * WORKING_MM <= radius_mm
    closed = ndimage.distance_transform_edt(grown) * WORKING_MM > radius_mm
    inner = tuple(slice(margin, -margin) for _ in range(3))
    result = np.zeros_like(mask)
    result[box] = ndimage.binary_fill_holes(closed | room)[inner]
    return result


def _disjoint(left: BoolZyx, right: BoolZyx, seeds: tuple[BoolZyx, BoolZyx]) -> tuple[BoolZyx, BoolZyx]:
    """Both lungs with voxels in common given to the nearer original lung."""
    both = left & right
    if not both.any():
        return left, right
    nearer = _nearer(both, *seeds)
    return left & (nearer | ~right), right & (~nearer | ~left)


def _on_grid(mask: BoolZyx, source: Grid, target: Grid) -> BoolZyx:
    """A mask on another grid: linear interpolation, at least half filled."""
    return np.asarray(linear(to_image(mask.astype(np.float32), source), target) > 0.5)
