"""Local binary patterns in 3D, as PyRadiomics 3.0.1 defines them, for chosen voxels of a whole image.

PyRadiomics samples 42 points of a unit sphere around each voxel by cubic B-spline (rounded to whole numbers where the
image holds whole numbers), takes their kurtosis (k), and the energy of the pattern "not darker than the centre" in
spherical harmonics of degree 0 (m1) and 1 (m2). Its intermediate of 4.5 kB a voxel is avoided: the sphere is the same
around every voxel, so that a row of voxels is interpolated at once along z (13 heights), y (25 places) and x (42
points), 5 coefficients each, where the neighbours' heights are there already; the energies have a closed form.
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

REACH = 2
TAPS = 2 * REACH + 1
SPHERE_SUBDIVISIONS = 1
SAME_DECIMALS = 9
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
    """Points (42, 3), added to z, y, x as PyRadiomics adds them, and what interpolates at all of them in three steps.

    along_z (13, 5): weights of the five planes for every height; along_y (25, 5) those of five rows at the height
    height_of, for every place; along_x (42, 5) those of five columns at the place place_of, for every point. harmonics
    (42, 4) of degree 0, then 1.
    """

    points: NDArray[np.float64]
    along_z: NDArray[np.float64]
    height_of: NDArray[np.int64]
    along_y: NDArray[np.float64]
    place_of: NDArray[np.int64]
    along_x: NDArray[np.float64]
    harmonics: NDArray[np.complex128]


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
    sphere = _sphere()
    gram = sphere.harmonics.T @ sphere.harmonics
    parts = np.ascontiguousarray(np.stack([sphere.harmonics.real, sphere.harmonics.imag]))
    inside = np.zeros_like(mask)
    core = tuple(slice(REACH, max(size - REACH, REACH)) for size in mask.shape)
    inside[core] = mask[core]
    weights = (sphere.along_z, sphere.height_of, sphere.along_y, sphere.place_of, sphere.along_x)
    starts = np.concatenate([[0], np.cumsum(np.count_nonzero(mask, axis=2).ravel())])[:-1].reshape(mask.shape[:2])
    found = np.empty((3, int(np.count_nonzero(mask))))
    _describe_rows(spline, image, mask, inside, starts, *weights, parts, gram, found)
    if (border := mask & ~inside).any():
        points = np.argwhere(border).T[None, :, :] + sphere.points[:, :, None]
        samples = ndimage.map_coordinates(spline, points.transpose(1, 0, 2), output=np.int16, order=3, prefilter=False)
        of_border = np.empty((3, samples.shape[1]))
        _describe(samples.astype(np.float64), image[border].astype(np.float64), parts, gram, of_border)
        found[:, border[mask]] = of_border
    found[:2].round(ENERGY_DECIMALS, out=found[:2])
    return LocalPatterns(*found)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _describe_rows(  # noqa: PLR0913
    spline: NDArray[np.float64],
    image: NDArray[np.int16],
    mask: BoolZyx,
    inside: BoolZyx,
    starts: NDArray[np.int64],
    along_z: NDArray[np.float64],
    height_of: NDArray[np.int64],
    along_y: NDArray[np.float64],
    place_of: NDArray[np.int64],
    along_x: NDArray[np.float64],
    harmonics: NDArray[np.float64],
    gram: NDArray[np.complex128],
    found: NDArray[np.float64],
) -> None:
    """The patterns of the voxels `inside`, into `found` (3, n) at their place among those of `mask`."""
    depth, rows, columns = inside.shape
    heights = np.empty((TAPS, len(along_z), columns))
    places = np.empty((len(along_y), columns))
    samples = np.empty((len(along_x), columns))
    for z in range(depth):
        first, last = _columns(inside[z])
        filled = np.full(TAPS, -1)
        for y in range(rows):
            start = first
            while start < last:
                while start < last and not inside[z, y, start]:
                    start += 1
                if start == last:
                    break
                stop = _end(inside[z, y], start, last)
                left, width = start - REACH, stop - start
                for row in range(y - REACH, y + REACH + 1):
                    if filled[row % TAPS] != row:
                        filled[row % TAPS] = row
                        _interpolate_planes(spline, z, row, first - REACH, last + REACH, along_z, heights[row % TAPS])
                for place in range(len(along_y)):
                    height = height_of[place]
                    row = y - REACH
                    _weighted(
                        places[place, : width + 2 * REACH],
                        along_y[place],
                        heights[row % TAPS, height, left : stop + REACH],
                        heights[(row + 1) % TAPS, height, left : stop + REACH],
                        heights[(row + 2) % TAPS, height, left : stop + REACH],
                        heights[(row + 3) % TAPS, height, left : stop + REACH],
                        heights[(row + 4) % TAPS, height, left : stop + REACH],
                    )
                for point in range(len(along_x)):
                    row_of = places[place_of[point]]
                    _weighted(
                        samples[point, :width],
                        along_x[point],
                        row_of[:width],
                        row_of[1 : width + 1],
                        row_of[2 : width + 2],
                        row_of[3 : width + 3],
                        row_of[4 : width + 4],
                    )
                _put(samples[:, :width], z, y, start, image, mask, inside, starts[z, y], harmonics, gram, found)
                start = stop


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _columns(plane: NDArray[np.bool_]) -> tuple[int, int]:
    """First column of a plane that holds a voxel and the one after the last; equal where none does."""
    first, last = plane.shape[1], 0
    for y in range(plane.shape[0]):
        for x in range(plane.shape[1]):
            if plane[y, x]:
                first, last = min(first, x), max(last, x + 1)
    return min(first, last), last


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _end(row: NDArray[np.bool_], start: int, last: int) -> int:
    """Where a piece of a row ends; gaps of up to TAPS voxels are worked out too, they cost less than a new piece."""
    stop, x = start + 1, start + 1
    while x < last and x - stop <= TAPS:
        if row[x]:
            stop = x + 1
        x += 1
    return stop


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _interpolate_planes(
    spline: NDArray[np.float64],
    z: int,
    y: int,
    start: int,
    stop: int,
    along_z: NDArray[np.float64],
    heights: NDArray[np.float64],
) -> None:
    """A row of the volume at every height of the sphere around plane z (heights, columns)."""
    for height in range(len(along_z)):
        _weighted(
            heights[height, start:stop],
            along_z[height],
            spline[z - 2, y, start:stop],
            spline[z - 1, y, start:stop],
            spline[z, y, start:stop],
            spline[z + 1, y, start:stop],
            spline[z + 2, y, start:stop],
        )


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _weighted(
    found: NDArray[np.float64],
    weights: NDArray[np.float64],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    c: NDArray[np.float64],
    d: NDArray[np.float64],
    e: NDArray[np.float64],
) -> None:
    """The weighted sum of five rows."""
    p, q, r, s, t = weights
    for x in range(len(found)):
        found[x] = p * a[x] + q * b[x] + r * c[x] + s * d[x] + t * e[x]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _put(  # noqa: PLR0913
    samples: NDArray[np.float64],
    z: int,
    y: int,
    start: int,
    image: NDArray[np.int16],
    mask: BoolZyx,
    inside: BoolZyx,
    place: int,
    harmonics: NDArray[np.float64],
    gram: NDArray[np.complex128],
    found: NDArray[np.float64],
) -> None:
    """Describe a piece of a row, and put its voxels where they stand among those of the mask."""
    width = samples.shape[1]
    described = np.empty((3, width))
    _describe(samples, image[z, y, start : start + width].astype(np.float64), harmonics, gram, described)
    for x in range(start):
        place += mask[z, y, x]
    for x in range(start, start + width):
        if inside[z, y, x]:
            for pattern in range(3):
                found[pattern, place] = described[pattern, x - start]
        place += mask[z, y, x]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _describe(
    samples: NDArray[np.float64],
    centres: NDArray[np.float64],
    harmonics: NDArray[np.float64],
    gram: NDArray[np.complex128],
    found: NDArray[np.float64],
) -> None:
    """m1, m2 and k (3, n) of every column of samples (42, n), which are rounded half away from zero as by SciPy."""
    points, count = samples.shape
    real, imaginary = np.zeros((4, count)), np.zeros((4, count))
    total, second, fourth = np.zeros(count), np.zeros(count), np.zeros(count)
    for p in range(points):
        row = samples[p]
        r0, r1, r2, r3 = harmonics[0, p]
        i0, i1, i2, i3 = harmonics[1, p]
        for n in range(count):
            value = np.trunc(row[n] + np.copysign(0.5, row[n]))
            row[n] = value
            total[n] += value
            lit = 1.0 if value >= centres[n] else 0.0
            real[0, n] += lit * r0
            real[1, n] += lit * r1
            real[2, n] += lit * r2
            real[3, n] += lit * r3
            imaginary[0, n] += lit * i0
            imaginary[1, n] += lit * i1
            imaginary[2, n] += lit * i2
            imaginary[3, n] += lit * i3
    mean = total / points
    for p in range(points):
        row = samples[p]
        for n in range(count):
            square = (row[n] - mean[n]) ** 2
            second[n] += square
            fourth[n] += square * square
    for n in range(count):
        c0, c1 = complex(real[0, n], imaginary[0, n]), complex(real[1, n], imaginary[1, n])
        c2, c3 = complex(real[2, n], imaginary[2, n]), complex(real[3, n], imaginary[3, n])
        found[0, n] = np.sqrt(c0 * gram[0, 0] * c0).real
        linear = (c1 * gram[1, 1] + c2 * gram[2, 1] + c3 * gram[3, 1]) * c1
        linear += (c1 * gram[1, 2] + c2 * gram[2, 2] + c3 * gram[3, 2]) * c2
        linear += (c1 * gram[1, 3] + c2 * gram[2, 3] + c3 * gram[3, 3]) * c3
        found[1, n] = np.sqrt(linear).real
        if second[n] > 0.0:  # the mean of equal whole numbers is exact
            found[2, n] = (fourth[n] / points) / (second[n] / points) ** 2 - 3.0
        else:
            found[2, n] = KURTOSIS_OF_CONSTANT


@lru_cache(maxsize=1)
def _sphere() -> _Sphere:
    points = np.array(icosphere(SPHERE_SUBDIVISIONS, 1).vertices)
    theta, phi = np.arccos(points[:, 2]), np.arctan2(points[:, 1], points[:, 0])
    # PyRadiomics hands the polar angle to SciPy as the azimuth and the other way round: kept.
    harmonics = [sph_harm_y(n, m, phi, theta) for n, m in ((0, 0), (1, -1), (1, 0), (1, 1))]
    return _interpolated(points, np.stack(harmonics, axis=1))


def _interpolated(points: NDArray[np.float64], harmonics: NDArray[np.complex128]) -> _Sphere:
    """Weights along z, y and x and what each step starts from, each height and place of the sphere once."""
    rounded = points.round(SAME_DECIMALS)
    heights, height_of = np.unique(rounded[:, 0], return_inverse=True)
    places, place_of = np.unique(rounded[:, :2], axis=0, return_inverse=True)
    of_place = np.array([int(np.flatnonzero(place_of == place)[0]) for place in range(len(places))])
    of_height = np.array([int(np.flatnonzero(height_of == height)[0]) for height in range(len(heights))])
    along_z, along_y, along_x = (
        np.array([_spline_weights(offset) for offset in chosen])
        for chosen in (points[of_height, 0], points[of_place, 1], points[:, 2])
    )
    return _Sphere(points, along_z, height_of[of_place], along_y, place_of.ravel(), along_x, harmonics)


def _spline_weights(offset: float) -> NDArray[np.float64]:
    """Cubic B-spline at the five whole positions around an offset of -1..1."""
    distance = np.abs(np.arange(-REACH, REACH + 1) - offset)
    near = 2.0 / 3.0 - distance**2 + distance**3 / 2.0
    far = np.clip(2.0 - distance, 0.0, None) ** 3 / 6.0
    return np.asarray(np.where(distance < 1.0, near, far))
