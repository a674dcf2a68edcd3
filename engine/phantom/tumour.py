"""Tumours: a rough ellipsoid with inner texture, placed free in a lung, against the chest wall, or at the hilum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.distance import pdist

from engine.geometry import box_of
from engine.metrics.distance import distance_to_mm
from engine.phantom.case import PHANTOM_GRID, SHAPE_ZYX, SPACING_MM, THIRDS, TumourPlan
from engine.phantom.mediastinum import HILUM_MM
from engine.phantom.space import Field, axes_mm, nearest_index, points_of
from engine.phantom.surfaces import Surfaces
from engine.phantom.texture import smooth_field
from store.volumes import BoolZyx

Vector = NDArray[np.float64]
WAVES = 20
DIRECTIONS = 400
FREE_MARGIN_MM, FREE_RADIUS_SHARE = 6.0, 0.62
COSTAL_DEPTH_SHARE, HILAR_DEPTH_SHARE = 0.72, 0.75
MEDIASTINAL_GROWTH_MM = 6.0
HILAR_REACH_MM = (20.0, 34.0)
TILT_RADIANS = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A star-shaped surface: half axes in mm along the rows of `axes` (x, y, z), with waves over directions."""

    half_axes_mm: Vector
    axes: Vector
    waves: Vector
    phases: Vector
    amplitude: float

    def radius(self, directions: Vector) -> Vector:
        """Radius in mm along unit directions x, y, z, shape (n, 3)."""
        ellipsoid = 1 / np.sqrt((((directions @ self.axes.T) / self.half_axes_mm) ** 2).sum(axis=1))
        ripple = np.cos(directions @ self.waves.T + self.phases).sum(axis=1) * np.sqrt(2 / WAVES)
        return np.asarray(ellipsoid * np.exp(self.amplitude * ripple))


def sphere_directions(n: int) -> Vector:
    """n unit vectors x, y, z spread evenly over the sphere (Fibonacci lattice), shape (n, 3)."""
    k = np.arange(n) + 0.5
    polar, turn = np.arccos(1 - 2 * k / n), np.pi * (1 + 5**0.5) * k
    return np.stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], axis=1)


def draw_shape(plan: TumourPlan, rng: np.random.Generator, short_axis: Vector) -> Shape:
    """A shape whose longest diameter is the planned one; its shortest axis lies near `short_axis`."""
    tilted = short_axis + TILT_RADIANS * rng.standard_normal(3)
    first = tilted / np.linalg.norm(tilted)
    other = np.cross(first, rng.standard_normal(3))
    second = other / np.linalg.norm(other)
    axes = np.stack([np.cross(first, second), second, first])
    ratios = np.array([1.0, *sorted(plan.axis_ratios, reverse=True)])
    waves = rng.standard_normal((WAVES, 3)) * rng.uniform(1.5, 4.5, (WAVES, 1))
    raw = Shape(ratios, axes, waves, rng.uniform(0, 2 * np.pi, WAVES), plan.roughness)
    directions = sphere_directions(DIRECTIONS)
    longest = float(pdist(directions * raw.radius(directions)[:, None]).max())
    return Shape(ratios * plan.diameter_mm / longest, axes, waves, raw.phases, plan.roughness)


def place(plan: TumourPlan, surfaces: Surfaces, rng: np.random.Generator) -> Vector:
    """The centre x, y, z in mm for a planned tumour; the third yields first where no voxel meets every wish."""
    lung = surfaces.lung(plan.side)
    wishes = {"free": _free_wish, "costal": _costal_wish, "hilar": _hilar_wish}[plan.kind](plan, surfaces, lung)
    level = np.arange(SHAPE_ZYX[0])[:, None, None]
    wanted = wishes & (lung > 0) & third_levels(lung > 0, plan.third, level)
    if not wanted.any():
        wanted = wishes & (lung > 0)
    if not wanted.any():
        deepest = np.unravel_index(int(lung.argmax()), SHAPE_ZYX)
        return np.asarray(points_of(np.array([deepest]))[0])
    candidates = np.flatnonzero(wanted)
    chosen = np.unravel_index(int(candidates[rng.integers(len(candidates))]), SHAPE_ZYX)
    return np.asarray(points_of(np.array([chosen]))[0])


def third_levels(lung: BoolZyx, third: str, level: NDArray[np.intp]) -> BoolZyx:
    """Which levels (array z) lie in a third of the lung's height."""
    rows = np.flatnonzero(lung.any(axis=(1, 2)))
    bottom, height = int(rows[0]), int(rows[-1]) + 1 - int(rows[0])
    part = 2 - THIRDS.index(third)
    return np.asarray((level >= bottom + part * height / 3) & (level < bottom + (part + 1) * height / 3))


def _smallest_radius(plan: TumourPlan) -> float:
    return 0.5 * plan.diameter_mm * min(plan.axis_ratios)


def _free_wish(plan: TumourPlan, surfaces: Surfaces, lung: Field) -> BoolZyx:
    """Far enough from every surface for the longest radius and a margin, by exact distances."""
    depth = np.zeros(SHAPE_ZYX, dtype=np.float64)
    box = box_of(lung > 0, (1, 1, 1))
    depth[box] = distance_to_mm(lung[box] <= 0, PHANTOM_GRID.spacing_zyx_mm)
    return np.asarray(
        depth > min(FREE_RADIUS_SHARE * plan.diameter_mm + FREE_MARGIN_MM, float(depth.max()) - SPACING_MM)
    )


def _costal_wish(plan: TumourPlan, surfaces: Surfaces, lung: Field) -> BoolZyx:
    depth_mm = COSTAL_DEPTH_SHARE * _smallest_radius(plan)
    medial = surfaces.medial_left if plan.side == "left" else surfaces.medial_right
    others = np.minimum(medial, surfaces.above_diaphragm)
    return np.asarray((np.abs(surfaces.cavity - depth_mm) < 2) & (others > 0.5 * plan.diameter_mm + 5))


def _hilar_wish(plan: TumourPlan, surfaces: Surfaces, lung: Field) -> BoolZyx:
    _, y, z = axes_mm()
    medial = surfaces.medial_left if plan.side == "left" else surfaces.medial_right
    _, hilum_y, hilum_z = HILUM_MM[plan.side]
    near = (np.abs(y - hilum_y) < HILAR_REACH_MM[0]) & (np.abs(z - hilum_z) < HILAR_REACH_MM[1])
    touching = np.abs(medial - HILAR_DEPTH_SHARE * _smallest_radius(plan)) < 2
    return np.asarray(
        near & touching & (np.minimum(surfaces.cavity, surfaces.above_diaphragm) > 0.5 * plan.diameter_mm + 5)
    )


def outward(field: Field, centre_mm: Vector) -> Vector:
    """Unit vector x, y, z along which a depth field falls fastest at a point: towards its surface."""
    z, y, x = nearest_index(centre_mm[None])[0]
    z, y, x = (int(np.clip(i, 1, n - 2)) for i, n in zip((z, y, x), SHAPE_ZYX, strict=True))
    slope = np.array(
        [
            field[z, y, x + 1] - field[z, y, x - 1],
            field[z, y + 1, x] - field[z, y - 1, x],
            field[z + 1, y, x] - field[z - 1, y, x],
        ],
        dtype=np.float64,
    )
    length = float(np.linalg.norm(slope))
    return np.array([0.0, 0.0, 1.0]) if length == 0 else -slope / length


def allowed(plan: TumourPlan, surfaces: Surfaces, airways: Field) -> BoolZyx:
    """Where a tumour may grow: the lung, and past its surface only as its kind allows."""
    medial = surfaces.medial_left if plan.side == "left" else surfaces.medial_right
    wall_mm = plan.wall_invasion_mm if plan.kind == "costal" else 0.0
    growth_mm = MEDIASTINAL_GROWTH_MM if plan.kind == "hilar" else 0.0
    inside = (surfaces.cavity > -wall_mm) & (medial > -growth_mm) & (surfaces.above_diaphragm > 0)
    return np.asarray(inside & (surfaces.heart < 0) & (airways < 0.5))


def occupancy(shape: Shape, centre_mm: Vector) -> Field:
    """Occupancy 0..1 of a shape at a centre on the phantom grid, array z, y, x."""
    filled = np.zeros(SHAPE_ZYX, dtype=np.float32)
    reach = float(shape.radius(sphere_directions(DIRECTIONS)).max()) * 1.1 + SPACING_MM
    low, high = nearest_index(np.stack([centre_mm - reach, centre_mm + reach]))
    box = tuple(slice(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))
    index = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in box), indexing="ij"), axis=-1).reshape(-1, 3)
    offset = points_of(index) - centre_mm
    distance = np.linalg.norm(offset, axis=1)
    safe = np.where(distance > 0, distance, 1.0)
    directions = np.where(distance[:, None] > 0, offset / safe[:, None], [0.0, 0.0, 1.0])
    radius = shape.radius(directions)
    value = np.clip(0.5 + (radius - distance) / SPACING_MM, 0, 1)
    filled[box] = value.reshape([s.stop - s.start for s in box])
    return filled


def inner_texture(plan: TumourPlan, mask: BoolZyx, rng: np.random.Generator) -> Field:
    """HU in the tumour on the phantom grid: mean plus a correlated field whose sd over the mask is the planned one."""
    hu = np.full(SHAPE_ZYX, plan.mean_hu, dtype=np.float32)
    if not mask.any():
        return hu
    box = box_of(mask, (3, 3, 3))
    inner = mask[box]
    z, y, x = inner.shape
    field = smooth_field(rng, (z, y, x), plan.texture_scale_mm)
    values = field[inner]
    sd = float(values.std())
    scale = plan.heterogeneity_hu / sd if sd > 0 else 0.0
    hu[box] += (field - float(values.mean())) * np.float32(scale)
    return hu


def longest_diameter_mm(mask: BoolZyx) -> float:
    """Largest distance between voxel centres of a mask, plus one voxel; 0 when it is empty."""
    if not mask.any():
        return 0.0
    surface = mask & ~ndimage.binary_erosion(mask)
    points = np.argwhere(surface) * SPACING_MM
    return float(pdist(points).max() + SPACING_MM) if len(points) > 1 else SPACING_MM
