"""Cubic B-spline resampling between grids that share the z axis, axis by axis: ITK's values at a fiftieth of its time.

Interpolation by splines is linear and separable, so slices are filtered and resampled in their plane first and then
across; ITK weighs 64 coefficients for every voxel. Borders are mirrored at the outer voxels, as in ITK.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from store.volumes import VolumeZyx

Volume = NDArray[np.float64]
POLE = np.sqrt(3.0) - 2.0
GAIN = 6.0
# The pole to this power is beyond double precision.
HORIZON = 30
TAPS = 4


def resample_spline(array: VolumeZyx, places_zyx: tuple[NDArray[np.float64], ...], outside: float) -> VolumeZyx:
    """Values (float32, z, y, x) of an array at the continuous indices of each axis; outside it the given value.

    An index belongs to the array within half a voxel of its outer voxels, the upper end excluded. Peak memory is one
    float64 stack of the source's slices at the target's size in the plane, besides the result.
    """
    z, y, x = (_taps(places, size) for places, size in zip(places_zyx, array.shape, strict=True))
    stack = np.empty((array.shape[0], len(y[0]), len(x[0])))
    for number, plane in enumerate(array):
        stack[number] = _in_plane(np.asarray(plane, dtype=np.float64), *y, *x)
    if len(stack) > 1:
        _coefficients(stack)
    result = np.empty((len(z[0]), *stack.shape[1:]), dtype=np.float32)
    _across(stack, *z, result)
    for axis, (places, size) in enumerate(zip(places_zyx, array.shape, strict=True)):
        beyond = (places < -0.5) | (places >= size - 0.5)
        result[(slice(None),) * axis + (beyond,)] = outside
    return result


def resample_turned(
    array: VolumeZyx, z: NDArray[np.float64], y: NDArray[np.float64], x: NDArray[np.float64], outside: float
) -> VolumeZyx:
    """Values (float32) of an array at continuous indices z (n,) of planes and y, x (rows, columns) in each of them.

    For grids that share the z axis but are turned in the plane. Outside the array, as `resample_spline` has it, the
    given value. Peak memory is one float64 copy of the array, besides the result.
    """
    stack = np.array(array, dtype=np.float64)
    for plane in stack:
        _plane_coefficients(plane)
    if len(stack) > 1:
        _coefficients(stack)
    across = _taps(z, array.shape[0])
    in_plane = (*_taps(y.ravel(), array.shape[1]), *_taps(x.ravel(), array.shape[2]))
    result = np.empty((len(z), *y.shape), dtype=np.float32)
    plane = np.empty_like(stack[0])
    for number in range(len(z)):
        _between(stack, across[0][number], across[1][number], plane)
        _turned(plane, *in_plane, result[number].reshape(-1))
    beyond = (y < -0.5) | (y >= array.shape[1] - 0.5) | (x < -0.5) | (x >= array.shape[2] - 0.5)
    result[:, beyond] = outside
    result[(z < -0.5) | (z >= array.shape[0] - 0.5)] = outside
    return result


def _taps(places: NDArray[np.float64], size: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Places (n, 4), mirrored into the array, and weights (n, 4) of the coefficients around each continuous index."""
    first = np.floor(places).astype(np.int64) - 1
    t = places - (first + 1)
    near, far = np.stack([t, 1.0 - t]), np.stack([1.0 + t, 2.0 - t])
    inner, outer = 2.0 / 3.0 - near**2 + near**3 / 2.0, (2.0 - far) ** 3 / 6.0
    weights = np.stack([outer[0], inner[0], inner[1], outer[1]], axis=1)
    period = max(2 * size - 2, 1)
    index = np.abs(first[:, None] + np.arange(TAPS)) % period
    return np.ascontiguousarray(np.minimum(index, period - index) if size > 1 else index), weights


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _in_plane(
    plane: NDArray[np.float64],
    y_places: NDArray[np.int64],
    y_weights: NDArray[np.float64],
    x_places: NDArray[np.int64],
    x_weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """One slice filtered and resampled along y, then along x."""
    if plane.shape[0] > 1:
        _coefficients(plane)
    rows = np.zeros((len(y_places), plane.shape[1]))
    for y in range(len(y_places)):
        for tap in range(TAPS):
            _add(rows[y], plane[y_places[y, tap]], y_weights[y, tap])
    turned = np.ascontiguousarray(rows.T)
    if turned.shape[0] > 1:
        _coefficients(turned)
    columns = np.zeros((len(x_places), rows.shape[0]))
    for x in range(len(x_places)):
        for tap in range(TAPS):
            _add(columns[x], turned[x_places[x, tap]], x_weights[x, tap])
    return columns.T


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _plane_coefficients(plane: NDArray[np.float64]) -> None:
    """Turn one slice into spline coefficients along both axes, in place."""
    if plane.shape[0] > 1:
        _coefficients(plane)
    if plane.shape[1] > 1:
        turned = np.ascontiguousarray(plane.T)
        _coefficients(turned)
        plane[:] = turned.T


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _between(
    stack: Volume, places: NDArray[np.int64], weights: NDArray[np.float64], plane: NDArray[np.float64]
) -> None:
    """Coefficients of one plane between slices."""
    plane[:] = 0.0
    for tap in range(TAPS):
        for row in range(len(plane)):
            _add(plane[row], stack[places[tap], row], weights[tap])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _turned(
    plane: NDArray[np.float64],
    y_places: NDArray[np.int64],
    y_weights: NDArray[np.float64],
    x_places: NDArray[np.int64],
    x_weights: NDArray[np.float64],
    result: NDArray[np.float32],
) -> None:
    """Values at points of one plane of coefficients, sixteen of them for each."""
    for point in range(len(result)):
        total = 0.0
        for y in range(TAPS):
            line = 0.0
            for x in range(TAPS):
                line += plane[y_places[point, y], x_places[point, x]] * x_weights[point, x]
            total += line * y_weights[point, y]
        result[point] = total


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _across(
    stack: Volume, places: NDArray[np.int64], weights: NDArray[np.float64], result: NDArray[np.float32]
) -> None:
    line = np.empty(stack.shape[2])
    for z in range(len(places)):
        for y in range(stack.shape[1]):
            line[:] = 0.0
            for tap in range(TAPS):
                _add(line, stack[places[z, tap], y], weights[z, tap])
            result[z, y] = line


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _coefficients(values: NDArray[np.float64]) -> None:
    """Turn values into spline coefficients along the first axis, in place (Unser 1999, mirrored at the ends)."""
    size = len(values)
    last = values[size - 1].copy()
    start = np.zeros_like(values[0])
    for k in range(min(2 * size - 2, HORIZON)):
        start += POLE**k * values[k if k < size else 2 * size - 2 - k]
    values[0] = start / (1.0 - POLE ** (2 * size - 2))
    for k in range(1, size):
        values[k] += POLE * values[k - 1]
    last = POLE / (POLE * POLE - 1.0) * (values[size - 1] + POLE * values[size - 2])
    values[size - 1] = GAIN * last
    for k in range(size - 2, -1, -1):
        last = POLE * (last - values[k])
        values[k] = GAIN * last


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add(line: NDArray[np.float64], other: NDArray[np.float64], weight: float) -> None:
    for place in range(len(line)):
        line[place] += weight * other[place]
