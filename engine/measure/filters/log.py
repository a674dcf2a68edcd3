"""Laplacian of Gaussian, normalised across scales: ITK's recursive filter to the last bit, in the box alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from engine.geometry import Box
from engine.measure.filters.recursive_gaussian import Volume, along_axis, curvature, gaussian
from engine.measure.filters.source import FilterSource
from engine.measure.levels import ValuesZyx
from engine.metrics.recipe import log_name
from store.volumes import Triple

FEWEST_VOXELS = 4
# The recursion forgets: 12 sigma from a cut the result differs by less than 1e-6 of the image's spread.
REACH_SIGMAS = 12.0


def laplacian(source: FilterSource) -> Iterator[tuple[str, ValuesZyx]]:
    """One image for each sigma (mm) of the recipe; none where an axis has fewer than 4 or sigma + 1 voxels."""
    size = np.array(source.intensity_hu.shape[::-1])
    for sigma_mm in source.recipe.log_sigma_mm:
        if size.min() < FEWEST_VOXELS or (size < np.ceil(sigma_mm / np.array(source.spacing_mm)) + 1).any():
            continue
        x, y, z = (int(np.ceil(REACH_SIGMAS * sigma_mm / spacing)) for spacing in source.spacing_mm)
        wide, inner = source.widened((z, y, x))
        yield log_name(sigma_mm), _laplacian(source.intensity_hu[wide], inner, source.spacing_mm, sigma_mm)


def _laplacian(volume: Volume, inner: Box, spacing_mm: Triple, sigma_mm: float) -> NDArray[np.float32]:
    """Sum over x, y, z of the curvature along one axis smoothed along the others; each axis is cut once it is done."""
    total = np.zeros(tuple(side.stop - side.start for side in inner), dtype=np.float32)
    for axis in (2, 1, 0):
        part = along_axis(volume, axis, inner[axis], curvature(sigma_mm, spacing_mm[2 - axis]))
        for other in (2, 1, 0):
            if other != axis:
                part = along_axis(part, other, inner[other], gaussian(sigma_mm, spacing_mm[2 - other]))
        for done, added in zip(total, part, strict=True):
            done[:] = done + added.astype(np.float64) / spacing_mm[2 - axis] ** 2
    return total
