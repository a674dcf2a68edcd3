"""Lungs without a model: thresholding and morphology, or nothing where no lung can be seen.

After Hu, Hoffman and Reinhardt (IEEE Trans Med Imaging 2001;20:490): air outside the body and the airways are taken
away, both lungs are parted, and concavities such as a wall-adherent tumour leaves are closed. Fluid and collapsed
lung are not lung here: what they take from a lung shows in the quality figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.geometry import box_of, grid_of, resampled_grid, to_image, to_reference
from engine.metrics.distance import distance_to_mm
from engine.segment.airways import central_airways
from engine.segment.lung_quality import LungQuality, in_plane_border, quality_of
from engine.segment.lung_surface import closed_lung, native_lung, without_lumen
from engine.segment.sliding_window import linear, oriented, to_model_grid
from store.volumes import BoolZyx, CtSeries, Grid

Volume = NDArray[np.float32]
VOXELS = (1.0, 1.0, 1.0)
WORKING_MM = 3.0
AIR_HU = -300.0  # readers outline a lung on the tissue side of its edge: LUNG1-001 at -400, -300: DSC 0.965, 0.976
OPEN_AIR_HU = -930.0  # air around a body, on average; lungs are denser
LARGEST_BORDER_SHARE = 0.01  # of a lung's voxels in the image's in-plane border, where the field of view is tight
SMALLEST_LUNG_ML, LARGEST_LUNG_ML = 300.0, 6000.0
LUNG_MEAN_HU = (-930.0, -500.0)
LARGEST_VOLUME_RATIO = 6.0
SIDE_DISTANCE_MM = (70.0, 300.0)
LARGEST_HEIGHT_DISTANCE_MM = 120.0
PARTING_STEPS = 6
GAS_REACH_MM = 12.0  # from a lung's core: air beyond is kept when it is not as thin as gas in the bowel
SMALLEST_PART_ML, PART_REACH_MM = 5.0, 20.0  # of a lung, cut off by tumour or collapse
BOWEL_HEIGHT_SHARE = 0.3  # of the lungs' height from below: parts cut off there may be bowel
LONE_CORE_HU = (-870.0, -500.0)  # two voxels inside; ../shared/data: lone lung -815, air beside a leg -893 and less
LONE_BORDER_SHARE = 0.05  # the same: 0.034 and 0.070 or more
SOFT_TISSUE_HU = -200.0


@dataclass(frozen=True, slots=True, eq=False)
class Lungs:
    """The patient's left and right lung, boolean z, y, x on the CT's own grid, never overlapping."""

    left: BoolZyx
    right: BoolZyx
    quality: LungQuality

    @property
    def lone(self) -> bool:
        """Whether only one lung was found."""
        return not (self.left.any() and self.right.any())


def find_lungs(ct: CtSeries, tumour: BoolZyx | None = None) -> Lungs | None:
    """Both lungs of a CT, or None when there is no plausible pair of them.

    A pair: 300 to 6000 ml each and at most six-fold apart, mean -930 to -500 HU, side by side and level. A crop about
    one lung gives that lung and an empty other (`lone` of the result), its side by where it lies of the soft tissue;
    legs and trunks give None. A tumour mask (on the CT's grid) is added where it lies within or against a lung.
    Trachea and main bronchi are left out, vessels and airways within a lung kept in. Worked at 3 mm; the free surface
    is placed on the CT's own grid between those voxels.
    """
    grid = resampled_grid(grid_of(oriented(to_reference(ct.grid))), (WORKING_MM,) * 3)
    intensity = to_model_grid(ct, grid)
    inner = _inner_air(intensity)
    airway = central_airways(intensity, inner, WORKING_MM)
    pair = _pair(intensity, inner & ~airway, grid) or _lone(intensity, grid)
    if pair is None:
        return None
    mass = None if tumour is None else _on_grid(tumour, ct.grid, grid)
    midline = _midline(*pair)
    closed = (closed_lung(lung, mass, intensity, midline, WORKING_MM) for lung in pair)
    left, right = (without_lumen(lung, airway) for lung in closed)
    left, right = _disjoint(left, right, pair)
    found = [native_lung(lung, intensity, AIR_HU, grid, ct.grid) for lung in (left, right)]
    return Lungs(found[0], found[1], quality_of(left, right, intensity < AIR_HU))


def _midline(left: BoolZyx, right: BoolZyx) -> float:
    """The column midway between both lungs; of a lone one, the image's side next to the other."""
    if not right.any():
        return 0.0
    if not left.any():
        return float(left.shape[2] - 1)
    return 0.5 * (_centre_x(left) + _centre_x(right))


def _inner_air(intensity: Volume) -> BoolZyx:
    """Voxels of air without the open air about the body: pieces along the in-plane border, or thin as air there."""
    air = intensity < AIR_HU
    pieces, n = ndimage.label(air)
    if n == 0:
        return air
    border = in_plane_border(air.shape)
    sizes = np.bincount(pieces.ravel(), minlength=n + 1)
    means = _piece_means(intensity, pieces, n)
    at_border = np.bincount(pieces[border], minlength=n + 1)
    inner = (at_border == 0) | ((at_border <= LARGEST_BORDER_SHARE * sizes) & (means >= OPEN_AIR_HU))
    inner[0] = False
    return np.asarray(inner[pieces])


def _pair(intensity: Volume, air: BoolZyx, grid: Grid) -> tuple[BoolZyx, BoolZyx] | None:
    """The two lungs among the pieces of air, left first, or None when they are no plausible pair."""
    smallest = SMALLEST_LUNG_ML / grid.voxel_ml
    core = ndimage.binary_opening(air, iterations=1)
    for step in range(PARTING_STEPS):
        inner = core if step == 0 else ndimage.binary_erosion(core, iterations=step)
        seeds = _largest_pieces(inner, intensity)
        if len(seeds) == 2 and min(int(seed.sum()) for seed in seeds) >= 0.3 * smallest:
            first, second = _nearest(_lung_air(air, seeds, intensity, step), *seeds)
            left, right = (first, second) if _centre_x(first) > _centre_x(second) else (second, first)
            if _plausible(left, right, intensity, grid):
                return left, right
    return None


def _lone(intensity: Volume, grid: Grid) -> tuple[BoolZyx, BoolZyx] | None:
    """The one lung of a crop, left first, the other empty; None when the largest such piece of air is no lung.

    A lung is parenchyma to its core; air around a body is thinner there and runs along more of the border.
    """
    air = intensity < AIR_HU
    border = in_plane_border(air.shape)
    for piece in _largest_pieces(air & ~central_airways(intensity, air, WORKING_MM), intensity):
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


def _lung_air(air: BoolZyx, seeds: list[BoolZyx], intensity: Volume, step: int) -> BoolZyx:
    """The air of both lungs: the pieces that hold a seed, without the gas that hangs on them, with parts cut off."""
    seeded = seeds[0] | seeds[1]
    lung = _holding(air, seeded)
    far = lung & ~_within(seeded, lung, GAS_REACH_MM / WORKING_MM + step)
    pieces, n = ndimage.label(far)
    if n:
        gas = _piece_means(intensity, pieces, n) < LUNG_MEAN_HU[0]
        lung &= ~gas[pieces]
    return lung | _cut_off(air & ~lung, lung, intensity)


def _cut_off(rest: BoolZyx, lung: BoolZyx, intensity: Volume) -> BoolZyx:
    """Pieces of air as dense as lung, as large as a segment, beside the lungs and above the gas of the bowel."""
    levels = np.flatnonzero(lung.any(axis=(1, 2)))
    lowest = levels[0] + BOWEL_HEIGHT_SHARE * (levels[-1] - levels[0])
    pieces, n = ndimage.label(rest)
    sizes = np.bincount(pieces.ravel(), minlength=n + 1) * WORKING_MM**3 / 1000
    means = _piece_means(intensity, pieces, n)
    chosen = (sizes >= SMALLEST_PART_ML) & (means > LUNG_MEAN_HU[0]) & (means < LUNG_MEAN_HU[1])
    chosen[0] = False
    for piece, box in enumerate(ndimage.find_objects(pieces), start=1):
        chosen[piece] &= box[0].start >= lowest
    parts = np.asarray(chosen[pieces])
    if not parts.any():
        return parts
    near = parts & _within(lung, lung | parts, PART_REACH_MM / WORKING_MM)
    return _holding(parts, near)


def _within(mask: BoolZyx, where: BoolZyx, voxels: float) -> BoolZyx:
    """Within the box of `where`, the voxels at most so far from a mask that lies in it; False outside the box."""
    near = np.zeros_like(where)
    box = box_of(where)
    near[box] = distance_to_mm(mask[box], VOXELS) <= voxels
    return near


def _piece_means(intensity: Volume, pieces: NDArray[np.int32], n: int) -> NDArray[np.float64]:
    """Mean intensity of each labelled piece, by label from 0 to n."""
    sizes = np.bincount(pieces.ravel(), minlength=n + 1)
    return np.bincount(pieces.ravel(), weights=intensity.ravel(), minlength=n + 1) / np.maximum(sizes, 1)


def _holding(air: BoolZyx, seed: BoolZyx) -> BoolZyx:
    """The pieces of air that hold a voxel of a seed."""
    pieces, n = ndimage.label(air)
    held = np.zeros(n + 1, dtype=np.bool_)
    held[np.unique(pieces[seed])] = True
    held[0] = False
    return np.asarray(held[pieces])


def _nearest(lung: BoolZyx, one: BoolZyx, other: BoolZyx) -> tuple[BoolZyx, BoolZyx]:
    """Air of both lungs, each voxel given to the nearer of two seeds."""
    nearer = _nearer(lung, one, other)
    return lung & nearer, lung & ~nearer


def _nearer(where: BoolZyx, one: BoolZyx, other: BoolZyx) -> BoolZyx:
    """Within the box of `where`, the voxels at most as far from one mask as from another; False outside the box."""
    nearer = np.zeros_like(where)
    box = box_of(where | one | other)
    distances = [distance_to_mm(seed[box], VOXELS) for seed in (one, other)]
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
