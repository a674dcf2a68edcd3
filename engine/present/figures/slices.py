"""CT slices with contours, drawn on the server in radiological convention: the patient's left is on the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

from engine.geometry import Box, box_of, resample_mask, same_grid
from engine.present.colours import rgb
from store.volumes import BoolZyx, CtSeries, Grid, Mask, VolumeZyx

RgbYx = NDArray[np.uint8]
PLANES = ("axial", "coronal", "sagittal")
WINDOWS = {"Lung": (-600.0, 1500.0), "Mediastinum": (40.0, 400.0), "Bone": (400.0, 1800.0)}
LONGEST_PIXELS = 640
CONTOUR_PIXELS = 2
EDGES = {"axial": ("A", "P", "R", "L"), "coronal": ("S", "I", "R", "L"), "sagittal": ("S", "I", "A", "P")}


@dataclass(frozen=True, slots=True, eq=False)
class Contour:
    """One outline: a mask on the displayed array (z, y, x, viewing order) and its colour #RRGGBB."""

    voxels: BoolZyx
    colour: str


@dataclass(frozen=True, slots=True, eq=False)
class ViewedSeries:
    """A CT in viewing order: z from feet to head, y from front to back, x from the patient's right to left."""

    intensity_hu: VolumeZyx
    spacing_zyx_mm: tuple[float, float, float]
    axes: tuple[int, int, int]
    flips: tuple[int, ...]
    grid: Grid


def viewed(series: CtSeries) -> ViewedSeries:
    """A series with its axes permuted and flipped to the nearest viewing order; oblique series stay oblique."""
    axes, flips = _viewing_axes(series.grid)
    array = cast("VolumeZyx", _reordered(series.intensity_hu, axes, flips))
    spacing = series.grid.spacing_zyx_mm
    placed = (spacing[axes[0]], spacing[axes[1]], spacing[axes[2]])
    return ViewedSeries(array, placed, axes, flips, series.grid)


def viewed_mask(mask: Mask, series: ViewedSeries) -> BoolZyx:
    """A mask on the viewed series' array; resampled by nearest neighbour when it lies on another grid."""
    voxels = mask.voxels if same_grid(mask.grid, series.grid) else resample_mask(mask.voxels, mask.grid, series.grid)
    return np.asarray(_reordered(voxels, series.axes, series.flips), dtype=np.bool_)


def _viewing_axes(grid: Grid) -> tuple[tuple[int, int, int], tuple[int, ...]]:
    """Array axes that run along z, y, x of the patient (LPS), and which of the results must be flipped."""
    direction = np.array(grid.direction).reshape(3, 3)
    free, chosen = [0, 1, 2], {}
    for world in (2, 1, 0):
        column = max(free, key=lambda c: abs(direction[world, c]))
        free.remove(column)
        chosen[world] = column
    axes = (2 - chosen[2], 2 - chosen[1], 2 - chosen[0])
    flips = tuple(2 - world for world in (2, 1, 0) if direction[world, chosen[world]] < 0)
    return axes, flips


def _reordered(array: NDArray[np.generic], axes: tuple[int, int, int], flips: tuple[int, ...]) -> NDArray[np.generic]:
    return np.flip(np.transpose(array, axes), flips) if flips else np.transpose(array, axes)


def close_up(series: ViewedSeries, mask: BoolZyx, margin_mm: float) -> Box:
    """The box (z, y, x slices of the viewed array) around a mask and a margin in mm; all of it for an empty mask."""
    if not mask.any():
        return (slice(None), slice(None), slice(None))
    z, y, x = (max(1, round(margin_mm / spacing)) for spacing in series.spacing_zyx_mm)
    return box_of(mask, (z, y, x))


def cropped(series: ViewedSeries, box: Box) -> ViewedSeries:
    """The part of a viewed series in a box; its slices count from the box's first."""
    return replace(series, intensity_hu=series.intensity_hu[box])


def slice_count(series: ViewedSeries, plane: str) -> int:
    """How many slices a plane has."""
    return int(series.intensity_hu.shape[PLANES.index(plane)])


def middle_slice(mask: BoolZyx | None, series: ViewedSeries, plane: str) -> int:
    """The slice through most of a mask; the middle of the series when there is none."""
    axis = PLANES.index(plane)
    if mask is None or not mask.any():
        return int(series.intensity_hu.shape[axis]) // 2
    return int(mask.sum(axis=tuple(a for a in range(3) if a != axis)).argmax())


def render_slice(
    series: ViewedSeries, plane: str, place: int, window: tuple[float, float], contours: Sequence[Contour]
) -> RgbYx:
    """One slice as an RGB image (rows, columns, 3) with square millimetres, outlines, and the letters of its edges.

    window is centre and width in HU. ValueError when the slice does not exist.
    """
    if not 0 <= place < slice_count(series, plane):
        raise ValueError(f"slice must lie in 0..{slice_count(series, plane) - 1} of the {plane} plane, got {place}")
    size = _pixels(series, plane)
    grey = Image.fromarray(_windowed(_cut(series.intensity_hu, plane, place), window))
    picture = np.asarray(grey.resize(size, Image.Resampling.BICUBIC).convert("RGB")).copy()
    for contour in contours:
        outline = _outline(_cut(contour.voxels, plane, place), size)
        picture[outline] = rgb(contour.colour)
    return _lettered(picture, plane)


def _cut(array: NDArray[np.generic], plane: str, place: int) -> NDArray[np.generic]:
    """One slice, head or front at the top."""
    cut: NDArray[np.generic] = np.take(array, place, axis=PLANES.index(plane))
    return cut if plane == "axial" else cut[::-1]


def _windowed(cut: NDArray[np.generic], window: tuple[float, float]) -> NDArray[np.uint8]:
    centre, width = window
    share = (cut.astype(np.float32) - (centre - width / 2)) / width
    return np.asarray(np.clip(share, 0, 1) * 255, dtype=np.uint8)


def _pixels(series: ViewedSeries, plane: str) -> tuple[int, int]:
    """Width and height in pixels so that millimetres are square and the longer side is LONGEST_PIXELS."""
    extents = [n * s for n, s in zip(series.intensity_hu.shape, series.spacing_zyx_mm, strict=True)]
    rows, columns = [extents[axis] for axis in range(3) if axis != PLANES.index(plane)]
    scale = LONGEST_PIXELS / max(rows, columns)
    return (max(1, round(columns * scale)), max(1, round(rows * scale)))


def _outline(cut: NDArray[np.generic], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The inner border of a mask at the size of the picture."""
    large = np.asarray(Image.fromarray(cut.astype(np.uint8) * 255).resize(size, Image.Resampling.NEAREST)) > 0
    return np.asarray(large & ~binary_erosion(large, iterations=CONTOUR_PIXELS), dtype=np.bool_)


def _lettered(picture: RgbYx, plane: str) -> RgbYx:
    """The picture with a letter at the middle of each edge: A P S I R L."""
    image = Image.fromarray(picture)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=18)
    width, height = image.size
    top, bottom, left, right = EDGES[plane]
    spots = (
        (width / 2, 4.0, top, "mt"),
        (width / 2, height - 4.0, bottom, "mb"),
        (6.0, height / 2, left, "lm"),
        (width - 6.0, height / 2, right, "rm"),
    )
    for x, y, letter, anchor in spots:
        draw.text((x, y), letter, fill=(230, 230, 230), font=font, anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))
    return np.asarray(image)
