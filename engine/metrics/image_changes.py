"""What a perturbation does to the image and to the feature grid: where a PerturbedImage is carried out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.geometry import resampled_grid, turned_grid
from engine.metrics.noise import add_noise
from store.records import PerturbedImage
from store.volumes import CtSeries, Grid


def perturbed_grid(native: Grid, spacing_mm: float, change: PerturbedImage) -> Grid:
    """The isotropic feature grid (spacing in mm) of a native grid after a change: other voxels, turned, shifted."""
    step = change.voxel_mm or spacing_mm
    grid = resampled_grid(native, (step, step, step))
    pivot_mm = (change.pivot_x_mm, change.pivot_y_mm, change.pivot_z_mm)
    shift_mm = (change.shift_x_mm, change.shift_y_mm, change.shift_z_mm)
    return turned_grid(grid, change.rotation_degrees, pivot_mm, shift_mm) if change.moves else grid


def perturbed_ct(ct: CtSeries, change: PerturbedImage) -> CtSeries:
    """The CT on its own grid after a change: slices averaged to a thickness, then noise added."""
    thick = thickened(ct, change.slice_mm) if change.slice_mm > 0 else ct
    if change.noise_sd_hu == 0:
        return thick
    return CtSeries(add_noise(thick.intensity_hu, change.noise_sd_hu, change.noise_seed), thick.grid)


def thick_grid(grid: Grid, slice_mm: float) -> Grid:
    """The grid of thicker slices from the same first edge; ValueError where they would not be thicker."""
    x, y, z = grid.spacing_mm
    if slice_mm <= z:
        raise ValueError(f"slice_mm must exceed the slice spacing of {z:g} mm, got {slice_mm:g}")
    return resampled_grid(grid, (x, y, slice_mm))


def thickened(ct: CtSeries, slice_mm: float) -> CtSeries:
    """A CT as thicker slices would show it: each the mean of what it covers of the thin ones, by length.

    The last slice is the mean of what is left of them.
    """
    grid = thick_grid(ct.grid, slice_mm)
    weights = _cover(ct.grid.size_xyz[2], ct.grid.spacing_mm[2], grid.size_xyz[2], slice_mm)
    thick = np.empty(grid.shape_zyx, dtype=np.float32)
    for number, row in enumerate(weights):
        used = np.flatnonzero(row)
        thick[number] = np.tensordot(row[used], ct.intensity_hu[used].astype(np.float64), axes=1)
    return CtSeries(thick, grid)


def _cover(thin: int, thin_mm: float, thick: int, thick_mm: float) -> NDArray[np.float64]:
    """Share of each thick slice that lies in each thin one, (thick, thin); every row sums to 1."""
    thin_edges, thick_edges = np.arange(thin + 1) * thin_mm, np.arange(thick + 1) * thick_mm
    upper = np.minimum(thick_edges[1:, None], thin_edges[None, 1:])
    lower = np.maximum(thick_edges[:-1, None], thin_edges[None, :-1])
    cover = np.clip(upper - lower, 0.0, None)
    return np.asarray(cover / cover.sum(axis=1, keepdims=True))
