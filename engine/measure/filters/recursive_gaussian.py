"""ITK's recursive Gaussian and its second derivative along one axis, many lines at a time.

Deriche's fourth-order recursion (INRIA report 1893; Farnebäck and Westin, J Math Imaging Vis 2006;26:293 for the
coefficients) as ITK's RecursiveGaussianImageFilter runs it: double precision along a line, single between axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

# A tile and its results fit the core's own cache; a strip of so many lines makes long runs in memory.
LINES_AT_A_TIME = 16
STRIP = 128
# Unsigned, so that numba need not ask whether a place counts from the end: that would keep loops from vectorising.
TWO, THREE, FOUR = np.uint64(2), np.uint64(3), np.uint64(4)
FREQUENCIES, DECAYS = (0.6681, 2.0787), (-1.3932, -1.3732)
# Weights a and b of both oscillations for the Gaussian and for its second derivative.
SMOOTH = ((1.3530, 1.8151), (-0.3531, 0.0902))
CURVED = ((-1.3563, 5.2318), (0.3446, -2.2355))

Volume = NDArray[np.int16] | NDArray[np.float32]
Four = tuple[float, float, float, float]
Weights = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Recursion:
    """Coefficients of one filter along one axis: causal n, anticausal m, feedback d."""

    n: Four
    m: Four
    d: Four

    def table(self) -> NDArray[np.float64]:
        """Shape (3, 4): n, m, d."""
        return np.array([self.n, self.m, self.d])


def gaussian(sigma: float, spacing: float) -> Recursion:
    """Smoothing by a Gaussian of width sigma (mm) on an axis of a spacing (mm)."""
    n = _numerator(sigma / spacing, SMOOTH)
    d = _feedback(sigma / spacing)
    scale = 1.0 / (2.0 * sum(n) / _plain(d) - n[0])
    return _finished(_scaled(n, scale), d)


def curvature(sigma: float, spacing: float) -> Recursion:
    """Second derivative of a Gaussian of width sigma (mm), times sigma²."""
    d = _feedback(sigma / spacing)
    flat, curved = _numerator(sigma / spacing, SMOOTH), _numerator(sigma / spacing, CURVED)
    sd, dd, ed = _plain(d), d[0] + 2 * d[1] + 3 * d[2] + 4 * d[3], d[0] + 4 * d[1] + 9 * d[2] + 16 * d[3]
    (sn0, dn0, en0), (sn2, dn2, en2) = _sums(flat), _sums(curved)
    beta = -(2 * sn2 - sd * curved[0]) / (2 * sn0 - sd * flat[0])
    sn, dn, en = sn2 + beta * sn0, dn2 + beta * dn0, en2 + beta * en0
    alpha = (en * sd * sd - ed * sn * sd - 2 * dn * dd * sd + 2 * dd * dd * sn) / (sd * sd * sd)
    a, b, c, e = (two + beta * zero for two, zero in zip(curved, flat, strict=True))
    return _finished(_scaled((a, b, c, e), sigma * sigma / alpha), d)


def along_axis(volume: Volume, axis: int, inner: slice, filter_: Recursion) -> NDArray[np.float32]:
    """A filter along an axis of a volume; only the `inner` part of that axis is returned. Needs 4 voxels on it."""
    shape = list(volume.shape)
    shape[axis] = inner.stop - inner.start
    result = np.empty(shape, dtype=np.float32)
    whole = np.ascontiguousarray(volume)
    if axis == 2:
        _filter_rows(whole.reshape(-1, whole.shape[2]), result.reshape(-1, shape[2]), inner.start, filter_.table())
    else:
        slabs = (int(np.prod(shape[:axis])), -1, int(np.prod(shape[axis + 1 :])))
        _filter_slabs(whole.reshape(slabs), result.reshape(slabs), inner.start, filter_.table())
    return result


def _numerator(s: float, weights: Weights) -> Four:
    (a1, b1), (a2, b2) = weights
    s1, s2 = np.sin(FREQUENCIES[0] / s), np.sin(FREQUENCIES[1] / s)
    c1, c2 = np.cos(FREQUENCIES[0] / s), np.cos(FREQUENCIES[1] / s)
    e1, e2 = np.exp(DECAYS[0] / s), np.exp(DECAYS[1] / s)
    n1 = e2 * (b2 * s2 - (a2 + 2 * a1) * c2) + e1 * (b1 * s1 - (a1 + 2 * a2) * c1)
    n2 = ((a1 + a2) * c2 * c1 - (b1 * c2 * s1 + b2 * c1 * s2)) * (2 * e1 * e2) + (a2 * e1 * e1 + a1 * e2 * e2)
    n3 = e2 * e1 * e1 * (b2 * s2 - a2 * c2) + e1 * e2 * e2 * (b1 * s1 - a1 * c1)
    return a1 + a2, float(n1), float(n2), float(n3)


def _feedback(s: float) -> Four:
    c1, c2 = np.cos(FREQUENCIES[0] / s), np.cos(FREQUENCIES[1] / s)
    e1, e2 = np.exp(DECAYS[0] / s), np.exp(DECAYS[1] / s)
    d3 = -2 * c1 * e1 * e2 * e2 + -2 * c2 * e2 * e1 * e1
    d2 = 4 * c2 * c1 * e1 * e2 + (e1 * e1 + e2 * e2)
    return float(-2 * (e2 * c2 + e1 * c1)), float(d2), float(d3), float(e1 * e1 * e2 * e2)


def _plain(d: Four) -> float:
    return 1.0 + d[0] + d[1] + d[2] + d[3]


def _sums(n: Four) -> tuple[float, float, float]:
    return n[0] + n[1] + n[2] + n[3], n[1] + 2 * n[2] + 3 * n[3], n[1] + 4 * n[2] + 9 * n[3]


def _scaled(n: Four, scale: float) -> Four:
    return n[0] * scale, n[1] * scale, n[2] * scale, n[3] * scale


def _finished(n: Four, d: Four) -> Recursion:
    return Recursion(n, (n[1] - d[0] * n[0], n[2] - d[1] * n[0], n[3] - d[2] * n[0], -d[3] * n[0]), d)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _filter_slabs(slabs: Volume, result: NDArray[np.float32], start: int, table: NDArray[np.float64]) -> None:
    """Filter each slab (n, m) along its first axis.

    Strips of m are copied whole, so that memory is read and written in long runs, and filtered a tile at a time.
    """
    count, length, columns = slabs.shape
    kept = result.shape[1]
    strip = np.zeros((length, STRIP), dtype=np.float32)
    for slab in range(count):
        for column in range(0, columns, STRIP):
            width = min(STRIP, columns - column)
            for i in range(length):
                for c in range(width):
                    strip[i, c] = slabs[slab, i, column + c]
            _filter_strip(strip, kept, width, start, table)
            for i in range(kept):
                for c in range(width):
                    result[slab, i, column + c] = strip[i, c]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _filter_strip(strip: NDArray[np.float32], kept: int, width: int, start: int, table: NDArray[np.float64]) -> None:
    """Filter a strip's first `width` lines in place; the `kept` results from `start` on become its first rows."""
    size = (len(strip) + 8) * LINES_AT_A_TIME
    data, causal, anticausal = np.zeros(size), np.zeros(size), np.zeros(size)
    for tile in range(0, width, LINES_AT_A_TIME):
        for i in range(len(strip)):
            for c in range(LINES_AT_A_TIME):
                data[(i + 4) * LINES_AT_A_TIME + c] = strip[i, tile + c]
        _filter_tile(data, causal, anticausal, table)
        for i in range(kept):
            place = (start + i + 4) * LINES_AT_A_TIME
            for c in range(LINES_AT_A_TIME):
                strip[i, tile + c] = np.float32(causal[place + c] + anticausal[place + c])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _filter_rows(rows: Volume, result: NDArray[np.float32], start: int, table: NDArray[np.float64]) -> None:
    """Filter lines (p, n) that lie in memory one after the other, a tile of p at a time."""
    count, length = rows.shape
    size = (length + 8) * LINES_AT_A_TIME
    data, causal, anticausal = np.zeros(size), np.zeros(size), np.zeros(size)
    for row in range(0, count, LINES_AT_A_TIME):
        width = min(LINES_AT_A_TIME, count - row)
        for c in range(width):
            for i in range(length):
                data[(i + 4) * LINES_AT_A_TIME + c] = rows[row + c, i]
        _filter_tile(data, causal, anticausal, table)
        for c in range(width):
            for i in range(result.shape[1]):
                place = (start + i + 4) * LINES_AT_A_TIME + c
                result[row + c, i] = np.float32(causal[place] + anticausal[place])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _filter_tile(
    data: NDArray[np.float64],
    causal: NDArray[np.float64],
    anticausal: NDArray[np.float64],
    table: NDArray[np.float64],
) -> None:
    """Both passes over a flat tile; its four rows before and after are set to what lies beyond the borders.

    That is the border's value in the data, its settled response in the results.
    """
    gain = table[0].sum() / (1.0 + table[2].sum()), table[1].sum() / (1.0 + table[2].sum())
    ends = 4 * LINES_AT_A_TIME
    after = len(data) - ends
    for place in range(ends):
        data[place] = data[ends + place % LINES_AT_A_TIME]
        data[after + place] = data[after - LINES_AT_A_TIME + place % LINES_AT_A_TIME]
        causal[place] = data[place] * gain[0]
        anticausal[after + place] = data[after + place] * gain[1]
    _forward(data, causal, table)
    _backward(data, anticausal, table)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _forward(data: NDArray[np.float64], found: NDArray[np.float64], table: NDArray[np.float64]) -> None:
    n0, n1, n2, n3 = table[0]
    d0, d1, d2, d3 = table[2]
    row = np.uint64(LINES_AT_A_TIME)
    for start in range(4, len(data) // LINES_AT_A_TIME - 4):
        for column in range(LINES_AT_A_TIME):
            c = np.uint64(start) * row + np.uint64(column)
            value = data[c] * n0 + data[c - row] * n1 + data[c - TWO * row] * n2 + data[c - THREE * row] * n3
            back = (
                found[c - row] * d0
                + found[c - TWO * row] * d1
                + found[c - THREE * row] * d2
                + found[c - FOUR * row] * d3
            )
            found[c] = value - back


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _backward(data: NDArray[np.float64], found: NDArray[np.float64], table: NDArray[np.float64]) -> None:
    m0, m1, m2, m3 = table[1]
    d0, d1, d2, d3 = table[2]
    row = np.uint64(LINES_AT_A_TIME)
    for start in range(len(data) // LINES_AT_A_TIME - 5, 3, -1):
        for column in range(LINES_AT_A_TIME):
            c = np.uint64(start) * row + np.uint64(column)
            value = (
                data[c + row] * m0 + data[c + TWO * row] * m1 + data[c + THREE * row] * m2 + data[c + FOUR * row] * m3
            )
            back = (
                found[c + row] * d0
                + found[c + TWO * row] * d1
                + found[c + THREE * row] * d2
                + found[c + FOUR * row] * d3
            )
            found[c] = value - back
