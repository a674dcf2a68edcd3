"""The part of a scan that a reader sees, and where it opens: the index lesion close up, the chest in blocks, or all."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from engine.geometry import Box, box_of, index_to_points_mm, same_grid
from engine.run.review_layers import YOURS, Layer
from store.reviews import BLANK_CANVAS
from store.volumes import BoolZyx, CtSeries, Grid, Mask

LONGEST_PREVIEW_SIDE = 256
PREVIEW_MARGIN_MM = 15.0
CLOSE_UP_SIDE = 256  # voxels across and up; whole where the scan has fewer
CLOSE_UP_MARGIN_MM, CLOSE_UP_LEAST_MM = 40.0, 120.0  # around the lesion on every side, and from feet to head in all
CLOSE_UP, PREVIEW, WHOLE = "close", "preview", "whole"
OPENED_ON = (YOURS, "automatic", "reference")


@dataclass(frozen=True, slots=True)
class Extent:
    """A part of a CT: box z, y, x starts and stops, and every how many voxels; editable only voxel by voxel."""

    box: tuple[int, int, int, int, int, int]
    stride: tuple[int, int, int]

    @property
    def editable(self) -> bool:
        """Whether a drawing on it is a drawing on the CT's own voxels."""
        return self.stride == (1, 1, 1)

    @property
    def slices(self) -> Box:
        """The box as slices z, y, x."""
        a, b, c, d, e, f = self.box
        return (slice(a, b), slice(c, d), slice(e, f))


def extent_of(name: str, ct: CtSeries, layers: tuple[Layer, ...]) -> Extent:
    """The part of a CT by name: close-up (the scan's own voxels around the index lesion), preview (the chest, at most
    256 voxels a side), whole.

    Only layers that the reader may see decide. Without a lesion among them the close-up lies about the middle of the
    chest, so that a case looks the same from outside whether something was outlined or not.
    """
    z, y, x = ct.grid.shape_zyx
    everything = (0, z, 0, y, 0, x)
    if name == WHOLE:
        return Extent(everything, (1, 1, 1))
    if name == CLOSE_UP:
        return _close_up(ct.grid, layers)
    seen = [*_tumours(layers), *(layer for layer in layers if layer.name == "lungs")]
    return preview_of(_bounds(ct.grid, seen, PREVIEW_MARGIN_MM) or everything)


def offered_extents(mode: str) -> tuple[str, ...]:
    """The parts of a scan that a reader may choose, the one that opens first; a blank canvas has no close-up, which
    would show where the lesion is. They follow from the mode alone: a case without an outline offers the same.
    """
    return (PREVIEW, WHOLE) if mode == BLANK_CANVAS else (CLOSE_UP, PREVIEW, WHOLE)


def covers(extent: Extent, other: Extent) -> bool:
    """Whether a part of own voxels holds everything that another part shows."""
    low, high = zip(extent.box[::2], other.box[::2], strict=True), zip(extent.box[1::2], other.box[1::2], strict=True)
    return extent.editable and all(a <= b for a, b in low) and all(a >= b for a, b in high)


def widened(extent: Extent, mask: Mask, grid: Grid) -> Extent:
    """A part of own voxels that also holds a whole mask; a preview, which holds every tumour, stays as it is."""
    if not extent.editable or not same_grid(mask.grid, grid) or not mask.voxels.any():
        return extent
    a, b, c, d, e, f = extent.box
    z, y, x = box_of(mask.voxels)
    low = (min(a, z.start), min(c, y.start), min(e, x.start))
    high = (max(b, z.stop), max(d, y.stop), max(f, x.stop))
    return Extent((low[0], high[0], low[1], high[1], low[2], high[2]), extent.stride)


def index_lesion(grid: Grid, layers: tuple[Layer, ...]) -> BoolZyx | None:
    """The index lesion among the outlines of a reader: his own, else the automatic one, else the reference.

    An automatic outline that misses the reference lies elsewhere: then it is the reference, where he may see it.
    """
    found = {layer.name: voxels for layer in _tumours(layers) if (voxels := _index_voxels(grid, layer)) is not None}
    automatic, reference = found.get("automatic"), found.get("reference")
    if automatic is not None and reference is not None and not np.logical_and(automatic, reference).any():
        del found["automatic"]
    return next((found[name] for name in OPENED_ON if name in found), None)


def opening_mm(grid: Grid, layers: tuple[Layer, ...]) -> tuple[float, float, float]:
    """Where the viewer opens, RAS millimetres: a voxel in the middle of the index lesion's largest slice.

    Without a lesion the middle of the lungs, without lungs that of the scan.
    """
    lesion = index_lesion(grid, layers)
    index = _middle(grid, layers) if lesion is None else _heart(lesion)
    x, y, z = index_to_points_mm(np.array([index[::-1]], dtype=np.float64), grid)[0]
    return (-float(x), -float(y), float(z))


def _heart(lesion: BoolZyx) -> tuple[float, float, float]:
    """The voxel (z, y, x) of the largest axial slice's largest piece that lies nearest to the piece's median."""
    areas = lesion.sum(axis=(1, 2))
    largest = np.flatnonzero(areas == areas.max())
    z = int(largest[len(largest) // 2])
    pieces, _ = ndimage.label(lesion[z])
    places = np.argwhere(pieces == 1 + np.bincount(pieces.ravel())[1:].argmax())
    y, x = places[np.abs(places - np.median(places, axis=0)).sum(axis=1).argmin()]
    return (float(z), float(y), float(x))


def _middle(grid: Grid, layers: tuple[Layer, ...]) -> tuple[float, float, float]:
    """The middle of the lungs' box, z, y, x; of the scan where no lungs are seen."""
    z, y, x = grid.shape_zyx
    a, b, c, d, e, f = _bounds(grid, [one for one in layers if one.name == "lungs"], 0.0) or (0, z, 0, y, 0, x)
    return ((a + b - 1) / 2, (c + d - 1) / 2, (e + f - 1) / 2)


def _close_up(grid: Grid, layers: tuple[Layer, ...]) -> Extent:
    """Own voxels around the index lesion or the chest's middle: 256 x 256 and 120 mm at least, or all there are."""
    lesion = index_lesion(grid, layers)
    if lesion is None:
        z, y, x = map(round, _middle(grid, layers))
        core = (z, z + 1, y, y + 1, x, x + 1)
    else:
        core = _box(lesion, grid, CLOSE_UP_MARGIN_MM)
    least = (math.ceil(CLOSE_UP_LEAST_MM / grid.spacing_mm[2]), CLOSE_UP_SIDE, CLOSE_UP_SIDE)
    sides = [_widened(core[2 * n], core[2 * n + 1], least[n], size) for n, size in enumerate(grid.shape_zyx)]
    return Extent((*sides[0], *sides[1], *sides[2]), (1, 1, 1))


def _widened(start: int, stop: int, least: int, size: int) -> tuple[int, int]:
    """An interval with at least so many places about the same middle, moved where it would leave 0 to size."""
    wanted = min(max(stop - start, least), size)
    first = min(max((start + stop - wanted) // 2, 0), size - wanted)
    return first, first + wanted


def _index_voxels(grid: Grid, layer: Layer) -> BoolZyx | None:
    """The index lesion's voxels in a layer; None where it is empty."""
    masks = [mask for mask in layer.masks if same_grid(mask.grid, grid) and mask.voxels.any()]
    return next((mask.voxels for mask in masks if mask.lesion == 0), masks[0].voxels if masks else None)


def _tumours(layers: tuple[Layer, ...]) -> list[Layer]:
    """The layers that hold the tumour, the reader's own first."""
    found = {layer.name: layer for layer in layers}
    return [found[name] for name in OPENED_ON if name in found]


def preview_of(box: tuple[int, int, int, int, int, int]) -> Extent:
    """A box in blocks, so that no side has more than 256."""
    sides = (box[1] - box[0], box[3] - box[2], box[5] - box[4])
    in_plane = math.ceil(max(sides[1:]) / LONGEST_PREVIEW_SIDE)
    return Extent(box, (math.ceil(sides[0] / LONGEST_PREVIEW_SIDE), in_plane, in_plane))


def _bounds(grid: Grid, layers: list[Layer], margin_mm: float) -> tuple[int, int, int, int, int, int] | None:
    """The box around everything in some layers on the CT's grid; None where nothing is."""
    masks = [mask for layer in layers for mask in layer.masks if same_grid(mask.grid, grid) and mask.voxels.any()]
    if not masks:
        return None
    sides = list(zip(*(_box(mask.voxels, grid, margin_mm) for mask in masks), strict=True))
    a, c, e = (min(side) for side in sides[::2])
    b, d, f = (max(side) for side in sides[1::2])
    return (a, b, c, d, e, f)


def _box(voxels: BoolZyx, grid: Grid, margin_mm: float) -> tuple[int, int, int, int, int, int]:
    z, y, x = (math.ceil(margin_mm / spacing) for spacing in grid.spacing_zyx_mm)
    a, b, c = box_of(voxels, (z, y, x))
    return (a.start, a.stop, b.start, b.stop, c.start, c.stop)
