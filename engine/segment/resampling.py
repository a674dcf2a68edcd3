"""From a CT's own grid to a model's and back: every method is one small matrix an axis, applied slab by slab.

No copy of the whole series is made: slices are normalised and reduced in the plane as they are read, then summed into
the slices of the model's grid that they reach. Only the wanted box of the model's grid is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from engine.geometry import Box, index_to_points_mm
from engine.segment.model import Axes, Manifest, Resampling
from store.volumes import Grid, Triple, VolumeZyx

Volume = NDArray[np.float32]
Labels = NDArray[np.uint8]
Shape = tuple[int, int, int]
SLAB_SLICES = 16
ROWS_PER_BAND = 16
SMALLEST_WEIGHT = 1e-6
NNUNET_ANISOTROPY = 3.0  # nnU-Net (ANISO_THRESHOLD): beyond it the coarse axis takes the nearest slice


@dataclass(frozen=True, slots=True)
class Passage:
    """A CT's grid with its axes turned to left, posterior, superior, and the model's grid over the same extent."""

    native: Grid
    model: Grid
    method: Resampling
    coarse_apart: bool

    @property
    def nnunet(self) -> bool:
        """Whether nnU-Net's own resampling is followed: normalised first, the extent kept."""
        return self.method != "block_linear"

    def weights(self, axis: int) -> Volume:
        """The matrix (model voxels, native voxels) of an axis (0 = z) that takes intensities to the model's grid."""
        native, model = self.native.shape_zyx[axis], self.model.shape_zyx[axis]
        if not self.nnunet:
            spacing = (self.native.spacing_zyx_mm[axis], self.model.spacing_zyx_mm[axis])
            return _block_linear(native, model, *spacing)
        if axis == self.coarse_axis:
            return _nearest(native, model)
        if self.method == "nnunet_linear":
            return _linear((np.arange(model) + 0.5) * native / model - 0.5, native)
        return _spline(native, model)

    def weights_back(self, axis: int, within: slice) -> tuple[slice, Volume]:
        """Native voxels in a range of the model's along an axis, and the matrix that takes logits of the range to them.

        Linear, at the ends continued; along a coarse axis the nearest.
        """
        native, size = self.native.shape_zyx[axis], within.stop - within.start
        scale = self.native.spacing_zyx_mm[axis] / self.model.spacing_zyx_mm[axis]
        position = (np.arange(native) + 0.5) * scale - 0.5
        rows = _span((position >= within.start - 0.5) & (position < within.stop - 0.5))
        inside = position[rows] - within.start
        return rows, _linear(np.floor(inside + 0.5) if axis == self.coarse_axis else inside, size)

    @property
    def coarse_axis(self) -> int | None:
        """The axis that nnU-Net resamples apart: the one coarse axis of the CT, else of the model; else none."""
        if not self.nnunet or not self.coarse_apart:
            return None
        for spacing in (self.native.spacing_zyx_mm, self.model.spacing_zyx_mm):
            if max(spacing) / min(spacing) > NNUNET_ANISOTROPY:
                coarse = [i for i, s in enumerate(spacing) if s == max(spacing)]
                return coarse[0] if len(coarse) == 1 else None
        return None


def passage(native: Grid, manifest: Manifest) -> Passage:
    """The passage of a CT to a model's grid; `native` as `facing` gives it.

    As nnU-Net: the nearest whole number of voxels, stretched to the CT's extent. Else the model's spacing is kept and
    the last voxel may reach over the end.
    """
    nnunet = manifest.of_nnunet
    extent = np.array(native.size_xyz) * np.array(native.spacing_mm)
    size = extent / np.array(manifest.spacing_mm)
    whole = np.maximum(1, np.round(size) if nnunet else np.ceil(size - 1e-9)).astype(int)
    spacing = extent / whole if nnunet else np.array(manifest.spacing_mm)
    matrix = np.array(native.direction).reshape(3, 3)
    origin = np.array(native.origin_mm) + matrix @ (0.5 * (spacing - np.array(native.spacing_mm)))
    model = Grid(_ints(whole), _floats(spacing), _floats(origin), native.direction)
    return Passage(native, model, manifest.resampling, manifest.coarse_axis_apart)


Array = TypeVar("Array", bound=NDArray[np.generic])


def facing(array: Array, grid: Grid, axes: Axes = "LPS") -> Array:
    """A view of an array z, y, x whose x, y, z run to the named sides as nearly as whole turns allow."""
    order, flips = _turns(grid, axes)
    places = tuple(2 - order[2 - axis] for axis in range(3))
    view = np.transpose(array, places)
    return view[tuple(slice(None, None, -1) if flips[2 - axis] else slice(None) for axis in range(3))]  # type: ignore[return-value]


def facing_grid(grid: Grid, axes: Axes = "LPS") -> Grid:
    """The grid of `facing`."""
    order, flips = _turns(grid, axes)
    matrix = np.array(grid.direction).reshape(3, 3)
    size = [grid.size_xyz[i] for i in order]
    first = np.zeros(3)
    for axis, flip in zip(order, flips, strict=True):
        first[axis] = grid.size_xyz[axis] - 1 if flip else 0
    signs = np.where(flips, -1.0, 1.0)
    return Grid(
        _ints(np.array(size)),
        _floats(np.array([grid.spacing_mm[i] for i in order])),
        _floats(index_to_points_mm(first[None], grid)[0]),
        tuple((matrix[:, list(order)] * signs).ravel().tolist()),
    )


def to_model(ct: VolumeZyx, way: Passage, box: Box, manifest: Manifest) -> Volume:
    """Normalised intensities z, y, x in a box of the model's grid, from a CT that faces as the passage's grid.

    nnU-Net's way is normalised first, then a cubic B-spline cut to the range of the image (its default) or linear (its
    torch resampling). Else HU are averaged over blocks where the CT is much finer, interpolated linearly, and then
    normalised.
    """
    lines = [_needed(way.weights(axis)[box[axis]]) for axis in range(3)]
    (wz, z), (wy, y), (wx, x) = lines
    bands = _bands(wy)
    across = np.ascontiguousarray(wx.T)
    result = np.zeros((len(wz), len(wy), len(wx)), dtype=np.float32)
    for start in range(z.start, z.stop, SLAB_SLICES):
        stop = min(start + SLAB_SLICES, z.stop)
        slab = np.ascontiguousarray(ct[start:stop, y, x], dtype=np.float32)
        slab = manifest.normalised(slab) if way.nnunet else slab
        reduced = _in_rows((slab.reshape(-1, slab.shape[2]) @ across).reshape(*slab.shape[:2], -1), bands, len(wy))
        column = wz[:, start - z.start : stop - z.start]
        reached = _span(np.abs(column).max(axis=1) > 0)
        result[reached] += (column[reached] @ reduced.reshape(len(reduced), -1)).reshape(-1, *result.shape[1:])
    if not way.nnunet:
        return manifest.normalised(result)
    lowest, highest = manifest.normalised(np.array([ct.min(), ct.max()], dtype=np.float32))
    return np.clip(result, lowest, highest, out=result)


def _needed(weights: Volume) -> tuple[Volume, slice]:
    """The columns of a matrix that count, and where they are."""
    used = _span(np.abs(weights).max(axis=0) > SMALLEST_WEIGHT)
    kept = np.where(np.abs(weights) > SMALLEST_WEIGHT, weights, 0)
    return np.ascontiguousarray(kept[:, used], dtype=np.float32), used


def _bands(weights: Volume) -> list[tuple[slice, slice, Volume]]:
    """A banded matrix as blocks of rows with the columns that they need."""
    found = []
    for start in range(0, len(weights), ROWS_PER_BAND):
        rows = slice(start, min(start + ROWS_PER_BAND, len(weights)))
        columns = _span(np.abs(weights[rows]).max(axis=0) > 0)
        found.append((rows, columns, np.ascontiguousarray(weights[rows, columns])))
    return found


def _in_rows(slab: Volume, bands: list[tuple[slice, slice, Volume]], rows: int) -> Volume:
    """A banded matrix applied to the rows (axis 1) of every slice."""
    result = np.empty((slab.shape[0], rows, slab.shape[2]), dtype=np.float32)
    for into, columns, weights in bands:
        np.matmul(weights, slab[:, columns], out=result[:, into])
    return result


def _span(used: NDArray[np.bool_]) -> slice:
    where = np.flatnonzero(used)
    return slice(int(where[0]), int(where[-1]) + 1) if len(where) else slice(0, 0)


def _spline(length: int, wanted: int) -> Volume:
    """Cubic B-spline through `length` samples at the centres of `wanted` equal cells, edges continued."""
    if length == wanted:
        return np.eye(length, dtype=np.float32)
    whole = ndimage.zoom(np.eye(length), (wanted / length, 1), order=3, mode="nearest", grid_mode=True)
    return np.asarray(whole, dtype=np.float32)


def _nearest(length: int, wanted: int) -> Volume:
    """The nearest of `length` samples for each of `wanted` equal cells."""
    weights = np.zeros((wanted, length), dtype=np.float32)
    place = np.floor((np.arange(wanted) + 0.5) * length / wanted - 0.5 + 0.5).astype(int)
    weights[np.arange(wanted), np.clip(place, 0, length - 1)] = 1
    return weights


def _linear(positions: NDArray[np.float64], length: int) -> Volume:
    """Linear interpolation at continuous indices of `length` samples, edges continued."""
    weights = np.zeros((len(positions), length), dtype=np.float32)
    inside = np.clip(positions, 0, length - 1)
    before = np.minimum(inside.astype(int), max(length - 2, 0))
    after = np.minimum(before + 1, length - 1)
    share = inside - before
    rows = np.arange(len(positions))
    weights[rows, before] += 1 - share
    weights[rows, after] += share
    return weights


def _block_linear(length: int, wanted: int, native_mm: float, model_mm: float) -> Volume:
    """Means over whole blocks of samples that are much finer than the model's, then linear interpolation."""
    block = max(1, int(model_mm / native_mm + 0.25))
    blocks = length // block
    means = np.kron(np.eye(blocks), np.full((1, block), 1 / block))
    positions = ((np.arange(wanted) + 0.5) * model_mm / native_mm - 0.5 - 0.5 * (block - 1)) / block
    weights = np.zeros((wanted, length), dtype=np.float32)
    weights[:, : blocks * block] = _linear(positions, blocks) @ means
    return weights


def _turns(grid: Grid, axes: Axes) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """For the three sides: the axis x, y or z of a grid that runs nearest to it, and whether backwards."""
    matrix = np.array(grid.direction).reshape(3, 3)
    left = list(range(3))
    order, flips = [0, 0, 0], [False, False, False]
    for patient in np.argsort(-np.abs(matrix).max(axis=1), kind="stable"):
        axis = max(left, key=lambda a: abs(matrix[patient, a]))
        left.remove(axis)
        order[patient], flips[patient] = axis, bool(matrix[patient, axis] < 0) != (axes[patient] != "LPS"[patient])
    return _ints(np.array(order)), (flips[0], flips[1], flips[2])


def _ints(values: NDArray[np.int_]) -> Shape:
    a, b, c = (int(v) for v in values)
    return (a, b, c)


def _floats(values: NDArray[np.float64]) -> Triple:
    a, b, c = (float(v) for v in values)
    return (a, b, c)
