"""Local binary patterns in 3D, as PyRadiomics 3.0.1 defines them, for chosen voxels of a whole image.

PyRadiomics samples 42 points of a unit sphere around each voxel by cubic B-spline (rounded to whole numbers where the
image holds whole numbers), takes their kurtosis (k), and the energy of the pattern "not darker than the centre" in
spherical harmonics of degree 0 (m1) and 1 (m2). Its intermediate of 4.5 kB a voxel is avoided: sampling is one
product of 125 neighbours with a fixed weight matrix, and the energies have a closed form.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import sph_harm_y
from trimesh.creation import icosphere

from engine.measure.filters.source import FilterSource
from engine.measure.levels import ValuesZyx
from store.volumes import BoolZyx

CHUNK_VOXELS = 1_000  # whose neighbourhoods and samples the cache holds
REACH = 2
SPHERE_SUBDIVISIONS = 1
# Patterns of equal energy are many voxels' exact ties; a sum's last digits differ with its place in a block of rows and
# would decide at a percentile which of them count.
ENERGY_DECIMALS = 10
# scipy calls the kurtosis of a constant undefined today; it was -3 in the versions of PyRadiomics 3.0.1's day.
KURTOSIS_OF_CONSTANT = -3.0
# The spline's own recursion falls by 0.268 a voxel: 1e-17 at this distance from a cut.
SPLINE_REACH = (30, 30, 30)


@dataclass(frozen=True, slots=True, eq=False)
class LocalPatterns:
    """m1, m2 and k of the voxels of a mask, each shape (n,), in the order of np.nonzero(mask)."""

    m1: NDArray[np.float64]
    m2: NDArray[np.float64]
    k: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Sphere:
    points: NDArray[np.float64]  # (42, 3), added to z, y, x in the order PyRadiomics adds them
    weights: NDArray[np.float64]  # (125, 42)
    harmonics: NDArray[np.complex128]  # (42, 4): degree 0, then degree 1


def lbp3d(source: FilterSource) -> Iterator[tuple[str, ValuesZyx]]:
    """Images lbp-3D-m1, -m2 and -k, 0 outside the union of masks."""
    wide, inner = source.widened(SPLINE_REACH)
    mask = np.zeros(tuple(side.stop - side.start for side in wide), dtype=np.bool_)
    mask[inner] = source.union
    patterns = local_patterns(source.intensity_hu[wide], mask)
    for name, values in (("lbp-3D-m1", patterns.m1), ("lbp-3D-m2", patterns.m2), ("lbp-3D-k", patterns.k)):
        filled = np.zeros(source.union.shape)
        filled[source.union] = values
        yield name, filled


def local_patterns(image: NDArray[np.int16], mask: BoolZyx) -> LocalPatterns:
    """The three pattern values of each mask voxel of a whole image of whole HU, both z, y, x.

    A voxel's values do not depend on the mask. Voxels within two of the image's border are sampled by SciPy itself,
    points outside the image counting 0 as in PyRadiomics.
    """
    spline = ndimage.spline_filter(image, order=3, output=np.float64, mode="constant")
    where = np.nonzero(mask)
    parts = [np.zeros((3, 0))]
    harmonics = _sphere().harmonics
    gram = harmonics.T @ harmonics
    for start in range(0, len(where[0]), CHUNK_VOXELS):
        z, y, x = (axis[start : start + CHUNK_VOXELS] for axis in where)
        samples = _samples(spline, np.stack([z, y, x], axis=1))
        parts.append(_describe(samples, image[z, y, x].astype(np.float64), harmonics, gram))
    found = np.concatenate(parts, axis=1)
    found[:2].round(ENERGY_DECIMALS, out=found[:2])
    return LocalPatterns(*found)


def _samples(spline: NDArray[np.float64], voxels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Interpolated values (n, 42) around voxels (n, 3), still to be rounded to whole numbers."""
    shape = np.array(spline.shape)
    inner = ((voxels >= REACH) & (voxels < shape - REACH)).all(axis=1)
    steps = np.indices((5, 5, 5)).reshape(3, -1).T - REACH
    flat_steps = steps @ np.array([shape[1] * shape[2], shape[2], 1])
    flat = np.ravel_multi_index(tuple(voxels[inner].T), spline.shape)
    values: NDArray[np.float64] = _neighbourhoods(spline.ravel(), flat, flat_steps) @ _sphere().weights
    if inner.all():
        return values
    samples = np.empty((len(voxels), len(_sphere().points)))
    samples[inner] = values
    points = voxels[~inner].T[:, :, None] + _sphere().points.T[:, None, :]
    samples[~inner] = ndimage.map_coordinates(spline, points, output=np.int16, order=3, prefilter=False)
    return samples


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _neighbourhoods(
    spline: NDArray[np.float64], places: NDArray[np.int64], steps: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The values (n, 125) around places of a flat volume."""
    found = np.empty((len(places), len(steps)))
    for row in range(len(places)):
        for column in range(len(steps)):
            found[row, column] = spline[places[row] + steps[column]]
    return found


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _describe(
    samples: NDArray[np.float64],
    centres: NDArray[np.float64],
    harmonics: NDArray[np.complex128],
    gram: NDArray[np.complex128],
) -> NDArray[np.float64]:
    """m1, m2 and k (3, n) of every row of samples (n, 42), which are rounded half away from zero, as SciPy rounds."""
    points = samples.shape[1]
    found = np.empty((3, len(samples)))
    for row in range(len(samples)):
        c0, c1, c2, c3 = 0j, 0j, 0j, 0j
        total, lowest, highest = 0.0, np.inf, -np.inf
        for p in range(points):
            value = np.trunc(samples[row, p] + np.copysign(0.5, samples[row, p]))
            samples[row, p] = value
            total += value
            lowest, highest = min(lowest, value), max(highest, value)
            if value >= centres[row]:
                c0 += harmonics[p, 0]
                c1 += harmonics[p, 1]
                c2 += harmonics[p, 2]
                c3 += harmonics[p, 3]
        found[0, row] = np.sqrt(c0 * gram[0, 0] * c0).real
        linear = (c1 * gram[1, 1] + c2 * gram[2, 1] + c3 * gram[3, 1]) * c1
        linear += (c1 * gram[1, 2] + c2 * gram[2, 2] + c3 * gram[3, 2]) * c2
        linear += (c1 * gram[1, 3] + c2 * gram[2, 3] + c3 * gram[3, 3]) * c3
        found[1, row] = np.sqrt(linear).real
        mean, second, fourth = total / points, 0.0, 0.0
        for p in range(points):
            square = (samples[row, p] - mean) ** 2
            second += square
            fourth += square * square
        if highest > lowest:
            found[2, row] = (fourth / points) / (second / points) ** 2 - 3.0
        else:
            found[2, row] = KURTOSIS_OF_CONSTANT
    return found


@lru_cache(maxsize=1)
def _sphere() -> _Sphere:
    points = np.array(icosphere(SPHERE_SUBDIVISIONS, 1).vertices)
    theta, phi = np.arccos(points[:, 2]), np.arctan2(points[:, 1], points[:, 0])
    # PyRadiomics hands the polar angle to SciPy as the azimuth and the other way round: kept.
    harmonics = [sph_harm_y(n, m, phi, theta) for n, m in ((0, 0), (1, -1), (1, 0), (1, 1))]
    return _Sphere(points, _stencil(points), np.stack(harmonics, axis=1))


def _stencil(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (125, 42) of the 5x5x5 spline coefficients around a voxel for each point of the sphere."""
    columns = []
    for point in points:
        z, y, x = (_spline_weights(offset) for offset in point)
        columns.append(np.einsum("i,j,k->ijk", z, y, x).ravel())
    return np.stack(columns, axis=1)


def _spline_weights(offset: float) -> NDArray[np.float64]:
    """Cubic B-spline at the five whole positions around an offset of -1..1."""
    distance = np.abs(np.arange(-REACH, REACH + 1) - offset)
    near = 2.0 / 3.0 - distance**2 + distance**3 / 2.0
    far = np.clip(2.0 - distance, 0.0, None) ** 3 / 6.0
    return np.asarray(np.where(distance < 1.0, near, far))
