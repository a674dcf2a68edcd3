"""Shape of one mask by IBSI names, as PyRadiomics 3.0.1 computes them (mesh, not voxel counts)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.geometry import box_of
from engine.metrics.diameters import maximum_3d_diameter_mm
from engine.metrics.surfels import mesh_of
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
    mesh = mesh_of(cropped, spacing_zyx_mm)
    volume_mm3, surface_mm2 = mesh.volume_mm3, mesh.area_mm2
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


def _elongation(mask: BoolZyx, spacing_zyx_mm: Triple) -> float:
    points = np.argwhere(mask) * np.array(spacing_zyx_mm)
    variances = np.linalg.eigvalsh(np.cov(points.T, bias=True)) if len(points) > 1 else np.zeros(3)
    return float(np.sqrt(max(0.0, variances[1]) / variances[2])) if variances[2] > 0 else 0.0
