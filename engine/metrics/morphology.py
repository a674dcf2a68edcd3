"""Shape of one mask by IBSI names, as PyRadiomics 3.0.1 computes them (mesh, not voxel counts)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from engine.geometry import box_of
from engine.metrics.surfels import mesh_areas_mm2, mesh_volume_mm3, neighbour_codes
from store.volumes import BoolZyx, Triple

SMALLEST_DIAMETER_MM = 10.0
FEWEST_SLICES = 5


@dataclass(frozen=True, slots=True)
class Shape:
    """Shape of a mask; `small` warns that under 10 mm or 5 slices the voxel grid decides more than the lesion."""

    volume_ml: float
    surface_mm2: float
    sphericity: float
    maximum_3d_diameter_mm: float
    surface_to_volume_per_mm: float
    elongation: float
    slices: int
    small: bool


def describe_shape(mask: BoolZyx, spacing_zyx_mm: Triple) -> Shape:
    """The shape of a mask, array z, y, x, spacing in mm; ValueError for an empty mask.

    volume and surface: of the marching-cubes mesh; sphericity: (36 pi V²)^(1/3) / A in 0..1; maximum 3D diameter:
    largest distance of two mesh vertices; elongation: sqrt(second / first) principal variance of voxel centres, 0..1
    (1: round in the plane of its two longest axes; 0 for a line).
    """
    cropped = mask[box_of(mask)]
    codes = neighbour_codes(cropped)
    volume_mm3 = mesh_volume_mm3(codes, spacing_zyx_mm)
    surface_mm2 = float(np.bincount(codes.ravel(), minlength=256) @ mesh_areas_mm2(spacing_zyx_mm))
    diameter_mm = maximum_3d_diameter_mm(cropped, spacing_zyx_mm)
    slices = int(cropped.any(axis=(1, 2)).sum())
    return Shape(
        volume_ml=volume_mm3 / 1000.0,
        surface_mm2=surface_mm2,
        sphericity=float((36.0 * np.pi * volume_mm3**2) ** (1.0 / 3.0) / surface_mm2),
        maximum_3d_diameter_mm=diameter_mm,
        surface_to_volume_per_mm=surface_mm2 / volume_mm3,
        elongation=_elongation(cropped, spacing_zyx_mm),
        slices=slices,
        small=diameter_mm < SMALLEST_DIAMETER_MM or slices < FEWEST_SLICES,
    )


def maximum_3d_diameter_mm(mask: BoolZyx, spacing_zyx_mm: Triple) -> float:
    """Largest distance (mm) between mesh vertices: taken over their convex hull, which holds both ends."""
    vertices = mesh_vertices_mm(mask, spacing_zyx_mm)
    return float(pdist(vertices[ConvexHull(vertices).vertices]).max())


def mesh_vertices_mm(mask: BoolZyx, spacing_zyx_mm: Triple) -> NDArray[np.float64]:
    """Vertices (n, z y x) of the marching-cubes mesh in mm: the middle between every mask voxel and its background."""
    padded = np.pad(mask, 1)
    found = []
    for axis in range(3):
        where = np.argwhere(np.diff(padded.astype(np.int8), axis=axis) != 0).astype(np.float64)
        where[:, axis] += 0.5
        found.append(where)
    return np.asarray((np.concatenate(found) - 1.0) * np.array(spacing_zyx_mm))


def _elongation(mask: BoolZyx, spacing_zyx_mm: Triple) -> float:
    points = np.argwhere(mask) * np.array(spacing_zyx_mm)
    variances = np.linalg.eigvalsh(np.cov(points.T, bias=True)) if len(points) > 1 else np.zeros(3)
    return float(np.sqrt(max(0.0, variances[1]) / variances[2])) if variances[2] > 0 else 0.0


def maximum_diameters_mm(mask: BoolZyx, spacing_zyx_mm: Triple) -> tuple[float, float, float, float]:
    """Largest vertex distances (mm) in any axial, coronal and sagittal plane, and in 3D: PyRadiomics' four diameters.

    In PyRadiomics' words Maximum2DDiameterSlice, -Column, -Row and Maximum3DDiameter.
    """
    vertices = mesh_vertices_mm(mask, spacing_zyx_mm)
    hull = vertices[ConvexHull(vertices).vertices]
    z, y, x = (_largest_in_planes(vertices, axis) for axis in range(3))
    return z, y, x, float(pdist(hull).max())


def _largest_in_planes(vertices: NDArray[np.float64], axis: int) -> float:
    """Largest distance of two vertices that share a coordinate; only the ends of each line in a plane matter."""
    row, column = (a for a in range(3) if a != axis)
    ordered = vertices[np.lexsort((vertices[:, column], vertices[:, row], vertices[:, axis]))]
    same_line = (np.diff(ordered[:, [axis, row]], axis=0) == 0).all(axis=1)
    ends = np.r_[True, ~same_line] | np.r_[~same_line, True]
    ordered = ordered[ends]
    planes = np.split(ordered, np.flatnonzero(np.diff(ordered[:, axis])) + 1)
    return max(float(pdist(plane).max()) if len(plane) > 1 else 0.0 for plane in planes)
