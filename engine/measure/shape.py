"""The 14 shape features of one mask, as PyRadiomics 3.0.1 defines them, in time linear in its box."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.metrics.diameters import maximum_diameters_mm
from engine.metrics.surfels import mesh_of
from store.volumes import BoolZyx, Triple

SMALLEST_VARIANCE = 1e-10


def shape_features(mask: BoolZyx, spacing_mm: Triple) -> tuple[float, ...]:
    """The features in the frozen order; non-empty mask z, y, x cut to its box, spacing x, y, z in mm.

    Volume and surface are those of the mesh, axes those of the voxel centres; elongation and flatness of one voxel
    are not a number.
    """
    z, y, x = spacing_mm[2], spacing_mm[1], spacing_mm[0]
    mesh = mesh_of(mask, (z, y, x))
    axial, coronal, sagittal, overall = maximum_diameters_mm(mask, (z, y, x))
    least, minor, major = _axis_variances(mask, (z, y, x))
    with np.errstate(divide="ignore", invalid="ignore"):
        elongation, flatness = np.sqrt(np.array([minor, least]) / np.float64(major))
    return (
        float(elongation),
        float(flatness),
        4.0 * float(np.sqrt(least)),
        4.0 * float(np.sqrt(major)),
        coronal,
        sagittal,
        axial,
        overall,
        mesh.volume_mm3,
        4.0 * float(np.sqrt(minor)),
        float((36.0 * np.pi * mesh.volume_mm3**2) ** (1.0 / 3.0) / mesh.area_mm2),
        mesh.area_mm2,
        mesh.area_mm2 / mesh.volume_mm3,
        int(mask.sum()) * z * y * x,
    )


def _axis_variances(mask: BoolZyx, spacing_zyx_mm: Triple) -> NDArray[np.float64]:
    """Variances (mm²) of voxel centres along their principal axes, ascending; from sums over lines of voxels."""
    sides = [np.arange(n, dtype=np.float64) for n in mask.shape]
    planes = [mask.sum(axis=axis, dtype=np.float64) for axis in range(3)]
    count = planes[0].sum()
    means = np.array(
        [sides[0] @ planes[2].sum(axis=1), sides[1] @ planes[2].sum(axis=0), sides[2] @ planes[1].sum(axis=0)]
    )
    means /= count
    z, y, x = (side - mean for side, mean in zip(sides, means, strict=True))
    variance = np.diag([z**2 @ planes[2].sum(axis=1), y**2 @ planes[2].sum(axis=0), x**2 @ planes[1].sum(axis=0)])
    variance[0, 1] = variance[1, 0] = z @ planes[2] @ y
    variance[0, 2] = variance[2, 0] = z @ planes[1] @ x
    variance[1, 2] = variance[2, 1] = y @ planes[0] @ x
    scale = np.array(spacing_zyx_mm)
    found = np.linalg.eigvalsh(variance / count * np.outer(scale, scale))
    return np.where(np.abs(found) < SMALLEST_VARIANCE, 0.0, found)
