"""Prediction of one CT by overlapping tiles: logits on the model's grid, then masks on the CT's own grid.

Method of nnU-Net (Isensee et al., Nat Methods 2021;18:203): evenly spaced tiles, Gaussian weights, no mirroring (left
and right are labels). Ours: batched tiles, and logits return to the native grid only inside the box of a structure.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from engine.geometry import (
    Box,
    box_of,
    corners_mm,
    cropped_grid,
    grid_of,
    points_to_index,
    resampled_grid,
    to_image,
    to_reference,
)
from engine.segment.nnunet import EMBEDDED_STAGE, LoadedModel
from store.volumes import IDENTITY_DIRECTION, BoolZyx, CtSeries, Grid, Triple

Volume = NDArray[np.float32]
Shape = tuple[int, int, int]
GAUSSIAN_SD_SHARE = 1 / 8  # of the patch, as nnU-Net
SMALLEST_WEIGHT = 1e-3
TILES_PER_BATCH = 2
EXPORT_MARGIN = (2, 2, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Logits:
    """Mean logits (label, z, y, x) on the model's grid, and the encoder's features (channel, z, y, x) of coarse cells.

    Feature cell i along an axis covers the voxels from i * feature_stride on.
    """

    values: Volume
    grid: Grid
    features: Volume
    feature_stride: Shape


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


def predict_logits(volume: Volume, grid: Grid, model: LoadedModel, step_share: float) -> Logits:
    """Mean logits of a normalised volume z, y, x from tiles that advance by `step_share` of the patch.

    One tile over the whole volume gives the network's own output. Memory: labels x voxels, in float32.
    """
    patch = model.manifest.patch_zyx
    padded = _padded(volume, patch, model.manifest.architecture.total_stride)
    stride = _feature_stride(model)
    weights = gaussian_weights(patch)
    coarse_weights = weights[tuple(slice(s // 2, None, s) for s in stride)]
    corners = tile_corners(padded.shape, patch, step_share, stride)
    logits, features = _Mean(padded.shape), _Mean(_cells(padded.shape, stride))
    for batch in (corners[i : i + TILES_PER_BATCH] for i in range(0, len(corners), TILES_PER_BATCH)):
        output = model.forward(np.stack([padded[_box(c, patch)] for c in batch])[:, None])
        for place, corner in enumerate(batch):
            logits.add(output.logits[place], corner, weights)
            features.add(output.features[place], _cells(corner, stride), coarse_weights)
    z, y, x = volume.shape
    return Logits(logits.values()[:, :z, :y, :x], grid, features.values(), stride)


def gaussian_weights(patch: Shape) -> Volume:
    """Weights z, y, x of a tile's voxels: a Gaussian about its centre, largest 1, never under SMALLEST_WEIGHT."""
    lines = [np.exp(-0.5 * ((np.arange(n) - (n - 1) / 2) / (GAUSSIAN_SD_SHARE * n)) ** 2) for n in patch]
    weights = lines[0][:, None, None] * lines[1][None, :, None] * lines[2][None, None, :]
    return np.asarray(np.maximum(weights / weights.max(), SMALLEST_WEIGHT), dtype=np.float32)


def tile_corners(shape: Shape, patch: Shape, step_share: float, multiple: Shape) -> list[Shape]:
    """First voxels z, y, x of evenly spaced tiles that cover a volume, each a multiple of `multiple`."""
    if not 0 < step_share <= 1:
        raise ValueError(f"step_share must lie in 0..1, got {step_share}")
    lines = [_starts(n, p, step_share, m) for n, p, m in zip(shape, patch, multiple, strict=True)]
    return [(z, y, x) for z, y, x in itertools.product(*lines)]


def probabilities(logits: Volume) -> Volume:
    """Softmax over the first axis."""
    exponent = np.exp(logits - logits.max(axis=0))
    return np.asarray(exponent / exponent.sum(axis=0), dtype=np.float32)


def mean_entropy(logits: Volume, mask: BoolZyx) -> float | None:
    """Mean entropy in nats of the softmax over the voxels of a mask, 0..ln(labels); None when the mask is empty."""
    if not mask.any():
        return None
    share = np.maximum(probabilities(logits[:, mask]), 1e-12)
    return float(-(share * np.log(share)).sum(axis=0).mean())


def structure_mask(logits: Logits, label: int, native: Grid) -> BoolZyx:
    """Where a label has the highest logit, on the native grid: its lead over the best other label, interpolated.

    Only the box of the label is resampled. Structures never overlap: two leads cannot both be positive.
    """
    others = np.delete(logits.values, label, axis=0).max(axis=0)
    lead = logits.values[label] - others
    found = np.zeros(native.shape_zyx, dtype=np.bool_)
    if not (lead > 0).any():
        return found
    box = box_of(lead > 0, EXPORT_MARGIN)
    inner = cropped_grid(logits.grid, box)
    target_box = covering(inner, native)
    if target_box is not None:
        image = to_image(np.ascontiguousarray(lead[box]), inner)
        found[target_box] = linear(image, cropped_grid(native, target_box)) > 0
    return found


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
        np.divide(self._sum, self._weights, out=self._sum)
        return self._sum


def _cells(voxels: tuple[int, ...], stride: Shape) -> Shape:
    z, y, x = (n // s for n, s in zip(voxels, stride, strict=True))
    return (z, y, x)


def _box(corner: Shape, size: tuple[int, ...]) -> Box:
    z, y, x = (slice(c, c + n) for c, n in zip(corner, size, strict=True))
    return (z, y, x)


def _starts(length: int, patch: int, step_share: float, multiple: int) -> list[int]:
    """Evenly spaced starts from 0 to length - patch; a spacing of at most step_share x patch."""
    last = length - patch
    steps = int(np.ceil(last / (patch * step_share) - 1e-9)) if last > 0 else 0
    return [int(last * i / max(steps, 1) / multiple) * multiple for i in range(steps + 1)]


def _padded(volume: Volume, patch: Shape, stride: Shape) -> Volume:
    """The volume with its far ends continued to the patch and to a multiple of the stride."""
    wanted = [max(p, -(-n // s) * s) for n, p, s in zip(volume.shape, patch, stride, strict=True)]
    ends = [(0, w - n) for n, w in zip(volume.shape, wanted, strict=True)]
    return np.pad(volume, ends, mode="edge") if any(end for _, end in ends) else volume


def _feature_stride(model: LoadedModel) -> Shape:
    z = y = x = 1
    for stride in model.manifest.architecture.strides[: EMBEDDED_STAGE + 1]:
        z, y, x = z * stride[0], y * stride[1], x * stride[2]
    return (z, y, x)


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
