"""Prediction of one volume by overlapping tiles, in slabs that leave as soon as no later tile reaches them.

Method of nnU-Net (Isensee et al., Nat Methods 2021;18:203): evenly spaced tiles, Gaussian weights, folds and mirrors
averaged as logits. Ours: the members are averaged inside each tile, so that what they disagree about is known as well,
and only the depth of one tile is ever summed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from engine.geometry import (
    Box,
    box_of,
    corners_mm,
    grid_of,
    points_to_index,
    resampled_grid,
    to_image,
    to_reference,
)
from engine.segment.model import Manifest
from engine.segment.nnunet import EMBEDDED_STAGE, LoadedModel
from store.volumes import IDENTITY_DIRECTION, BoolZyx, CtSeries, Grid, Triple

Volume = NDArray[np.float32]
Shape = tuple[int, int, int]
EXPORT_MARGIN = (2, 2, 2)
GAUSSIAN_SD_SHARE = 1 / 8  # of the patch, as nnU-Net
SMALLEST_WEIGHT = 6e-9  # what nnU-Net is left with in half precision


@dataclass(frozen=True, slots=True)
class Window:
    """How a volume is swept: tile z, y, x, advance as a share of it, mirrored axes, tiles a batch."""

    tile_zyx: Shape
    step_share: float
    mirrors: tuple[str, ...] = ()
    batch: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Slab:
    """Final slices from `start` on: mean logits (label, z, y, x) and the tumour's moments (2, z, y, x)."""

    start: int
    logits: Volume
    tumour: Volume


def model_grid(grid: Grid, spacing_mm: Triple) -> Grid:
    """The grid a model sees: axes turned to left, posterior, superior, the model's spacing, the same extent."""
    return resampled_grid(grid_of(oriented(to_reference(grid))), spacing_mm)


def to_model_grid(ct: CtSeries, grid: Grid) -> Volume:
    """A CT in HU on a model's grid: blocks averaged where it is much finer, then linear; edges are continued."""
    image = oriented(to_image(ct.intensity_hu, ct.grid))
    blocks = [max(1, int(n / s + 0.25)) for n, s in zip(grid.spacing_mm, image.GetSpacing(), strict=True)]
    if max(blocks) > 1:
        image = sitk.BinShrink(sitk.Cast(image, sitk.sitkFloat32), blocks)
    return linear(image, grid)


class Sweep:
    """One pass of tiles over a normalised volume z, y, x at least as large as a tile.

    Sums are held over the depth of one tile only: slices that no later tile reaches are final and leave as slabs. The
    encoder's features are complete after the last slab; cell i of an axis covers the voxels from i * feature_stride on.
    """

    def __init__(self, volume: Volume, model: LoadedModel, window: Window) -> None:
        self._volume, self._model, self._window = volume, model, window
        self.feature_stride = feature_stride(model.manifest)
        exact = model.manifest.of_nnunet  # nnU-Net's own places; else whole cells of the features
        self.corners = tile_corners(
            volume.shape, window.tile_zyx, window.step_share, (1, 1, 1) if exact else self.feature_stride
        )
        self._weights = gaussian_weights(window.tile_zyx)
        self._features = _Mean(_cells(volume.shape, self.feature_stride))

    @property
    def features(self) -> Volume:
        """Features (channel, z, y, x) of coarse cells."""
        return self._features.values()

    def slabs(self) -> Iterator[Slab]:
        """Final slices in order; TooLargeError when a batch does not fit the device."""
        depth = self._window.tile_zyx[0]
        sums = _Mean((depth, *self._volume.shape[1:]))
        layers = [(z, list(corners)) for z, corners in itertools.groupby(self.corners, key=lambda c: c[0])]
        for place, (z, corners) in enumerate(layers):
            for batch in _batches(corners, self._window.batch):
                self._add(batch, sums)
            following = layers[place + 1][0] if place + 1 < len(layers) else z + depth
            final = sums.leave(following - z)
            yield Slab(z, final[:-2], final[-2:])

    def _add(self, batch: list[Shape], sums: _Mean) -> None:
        tiles = np.stack([self._volume[_box(corner, self._window.tile_zyx)] for corner in batch])
        output = self._model.forward(tiles[:, None], self._window.mirrors)
        for i, (_, y, x) in enumerate(batch):
            sums.add(np.concatenate([output.logits[i], output.tumour[i]]), (0, y, x), self._weights)
        coarse = self._weights[tuple(slice(s // 2, None, s) for s in self.feature_stride)]
        for i, corner in enumerate(batch):
            self._features.add(output.features[i], _nearest_cell(corner, self.feature_stride), coarse)


def feature_stride(manifest: Manifest) -> Shape:
    """Voxels z, y, x of the model's grid behind one cell of the embedded stage."""
    z = y = x = 1
    for stride in manifest.architecture.strides[: EMBEDDED_STAGE + 1]:
        z, y, x = z * stride[0], y * stride[1], x * stride[2]
    return (z, y, x)


def gaussian_weights(patch: Shape) -> Volume:
    """nnU-Net's weights z, y, x of a tile's voxels: a Gaussian about voxel n // 2, largest 1, never 0."""
    lines = [np.exp(-0.5 * ((np.arange(n) - n // 2) / (GAUSSIAN_SD_SHARE * n)) ** 2) for n in patch]
    weights = lines[0][:, None, None] * lines[1][None, :, None] * lines[2][None, None, :]
    return np.asarray(np.maximum(weights / weights.max(), SMALLEST_WEIGHT), dtype=np.float32)


def tile_corners(shape: Shape, patch: Shape, step_share: float, multiple: Shape) -> list[Shape]:
    """First voxels z, y, x of evenly spaced tiles that cover a volume, each a multiple of `multiple`."""
    if not 0 < step_share <= 1:
        raise ValueError(f"step_share must lie in 0..1, got {step_share}")
    lines = [_starts(n, p, step_share, m) for n, p, m in zip(shape, patch, multiple, strict=True)]
    return [(z, y, x) for z, y, x in itertools.product(*lines)]


def without_crumbs(mask: BoolZyx, voxel_ml: float, smallest_ml: float) -> BoolZyx:
    """A mask without its face-and-edge-connected pieces smaller than a volume in millilitres."""
    if not mask.any():
        return mask
    box = box_of(mask)
    pieces, _ = ndimage.label(mask[box], structure=np.ones((3, 3, 3)))
    large = np.bincount(pieces.ravel()) * voxel_ml >= smallest_ml
    large[0] = False
    kept = np.zeros_like(mask)
    kept[box] = large[pieces]
    return kept


class _Mean:
    """A running weighted mean over tiles of channels x volume."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._sum: Volume | None = None
        self._weights = np.zeros(shape, dtype=np.float32)

    def add(self, tile: Volume, corner: Shape, weights: Volume) -> None:
        """Add one tile (channel, z, y, x) at its first voxel."""
        if self._sum is None:
            self._sum = np.zeros((tile.shape[0], *self._shape), dtype=np.float32)
        box = _box(corner, weights.shape)
        self._sum[(slice(None), *box)] += tile * weights
        self._weights[box] += weights

    def values(self) -> Volume:
        """The mean."""
        if self._sum is None:
            raise ValueError("no tile was added")
        np.divide(self._sum, self._weights, out=self._sum, where=self._weights > 0)
        return self._sum

    def leave(self, slices: int) -> Volume:
        """The mean of the first slices, which make room for as many new ones."""
        if self._sum is None:
            raise ValueError("no tile was added")
        mean = self._sum[:, :slices] / self._weights[:slices]
        for sums in (self._weights, *self._sum):
            sums[:-slices] = sums[slices:].copy()
            sums[-slices:] = 0
        return np.asarray(mean, dtype=np.float32)


def _batches(corners: list[Shape], size: int) -> Iterator[list[Shape]]:
    for start in range(0, len(corners), size):
        yield corners[start : start + size]


def _nearest_cell(corner: Shape, stride: Shape) -> Shape:
    z, y, x = ((c + s // 2) // s for c, s in zip(corner, stride, strict=True))
    return (z, y, x)


def _cells(voxels: tuple[int, ...], stride: Shape) -> Shape:
    z, y, x = (-(-n // s) for n, s in zip(voxels, stride, strict=True))
    return (z, y, x)


def _box(corner: Shape, size: tuple[int, ...]) -> Box:
    z, y, x = (slice(c, c + n) for c, n in zip(corner, size, strict=True))
    return (z, y, x)


def _starts(length: int, patch: int, step_share: float, multiple: int) -> list[int]:
    """Evenly spaced starts from 0 to length - patch; a spacing of at most step_share x patch, no voxel left out."""
    last = length - patch
    steps = int(np.ceil(last / (patch * step_share) - 1e-9)) if last > 0 else 0
    starts = _rounded_starts(last, steps, multiple)
    while any(b - a > patch for a, b in itertools.pairwise(starts)):  # rounding can tear tiles apart that just touch
        steps += 1
        starts = _rounded_starts(last, steps, multiple)
    return starts


def _rounded_starts(last: int, steps: int, multiple: int) -> list[int]:
    return [round(last * i / steps / multiple) * multiple for i in range(steps)] + [last]


def covering(inner: Grid, native: Grid) -> Box | None:
    """The box of native voxels whose centres may lie in a grid's extent; None when there are none."""
    corners = points_to_index(corners_mm(inner), native)
    half = 0.5 * max(inner.spacing_mm) / np.array(native.spacing_mm)
    low = np.floor(corners.min(axis=0) - half).astype(int)
    high = np.ceil(corners.max(axis=0) + half).astype(int) + 1
    low, high = np.maximum(low, 0), np.minimum(high, native.size_xyz)
    if (high <= low).any():
        return None
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return (z, y, x)


def oriented(image: sitk.Image) -> sitk.Image:
    """An image with its axes turned to left, posterior, superior as nearly as whole turns allow."""
    if image.GetDirection() == IDENTITY_DIRECTION:
        return image
    return sitk.DICOMOrient(image, "LPS")


def linear(image: sitk.Image, grid: Grid) -> Volume:
    """An image on a grid by linear interpolation, float32; its edges are continued outward."""
    result = sitk.Resample(image, to_reference(grid), sitk.Transform(), sitk.sitkLinear, 0.0, sitk.sitkFloat32, True)
    return np.asarray(sitk.GetArrayFromImage(result), dtype=np.float32)
