"""DICOM SEG -> voxels of one segment on the CT's grid; only whole voxels on the very pixels of the CT."""

from __future__ import annotations

import numpy as np

from engine.acquire.dicom import SegmentationObject, SegmentFrame
from engine.acquire.rtstruct import OutlinedMask, gap_flags
from engine.geometry import points_to_index
from store.records import Flag, RefusedError
from store.volumes import BoolZyx, Grid

LABEL_MAP = "LABELMAP"
LARGEST_OFFSET_VOXELS = 0.01
LARGEST_COSINE_DIFFERENCE = 1e-3
LARGEST_SPACING_SHARE = 1e-3


def rasterise_segment(segments: SegmentationObject, label: str, grid: Grid, role: str) -> OutlinedMask:
    """Voxels of the segment with this label on the grid, boolean z, y, x; frames left out are empty slices.

    BINARY and LABELMAP segmentations, and a FRACTIONAL one that holds only none and whole. Slices left out between the
    first and the last are flagged. RefusedError for other fractional segments, frames that do not lie on the voxels of
    the grid, a frame given twice, and frames or pixels that belong to no segment.
    """
    flags = _check_kind(segments, role)
    numbers = [number for number, name in segments.labels if name.strip().lower() == label.strip().lower()]
    if len(numbers) != 1:
        text = f"{len(numbers)} segments are called {label!r}."
        raise RefusedError("duplicate_segment", role, text, "Give each segment its own label.")
    voxels = np.zeros(grid.shape_zyx, dtype=np.bool_)
    seen: set[int] = set()
    mapped = segments.kind.upper() == LABEL_MAP
    for frame, pixels in zip(segments.frames, segments.pixels, strict=True):
        if frame.segment == (None if mapped else numbers[0]):
            inside = pixels == numbers[0] if mapped else pixels.astype(np.bool_)
            _place_frame(voxels, frame, inside, grid, role)
            place = _frame_index(frame, grid)[2]
            if place in seen:
                raise RefusedError(
                    "duplicate_frame", role, "a slice of the segment is given twice.", "Export it again."
                )
            seen.add(place)
    places = np.flatnonzero(voxels.any(axis=(1, 2))).tolist()
    return OutlinedMask(voxels, (*flags, *gap_flags("the segment", places)))


def _check_kind(segments: SegmentationObject, role: str) -> tuple[Flag, ...]:
    kind = segments.kind.upper()
    if any((frame.segment is None) != (kind == LABEL_MAP) for frame in segments.frames):
        text = f"segmentation type {kind or 'unknown'}: frames name segments where pixels do, or neither does."
        raise RefusedError("unnamed_segment", role, text, "Export a BINARY segmentation.")
    if kind == LABEL_MAP:
        _check_label_map(segments, role)
        return ()
    if kind == "BINARY" and segments.pixels.max(initial=0) <= 1:
        return ()
    whole = kind == "FRACTIONAL" and bool(np.isin(segments.pixels, (0, segments.full_value)).all())
    if not whole:
        text = f"segmentation type {segments.kind or 'unknown'}: a share per voxel is not a mask."
        raise RefusedError("fractional_seg", role, text, "Export a BINARY segmentation.")
    text = f"{role} is stored as FRACTIONAL but holds none and whole voxels only; it was read as binary."
    return (Flag("acquire", "fractional_is_binary", text, "Nothing if meant so."),)


def _check_label_map(segments: SegmentationObject, role: str) -> None:
    known = [segments.background, *(number for number, _ in segments.labels)]
    if not all(np.isin(pixels, known).all() for pixels in segments.pixels):
        text = "pixels hold a segment number which the file does not name."
        raise RefusedError("unnamed_segment", role, text, "Export the segmentation again.")


def _frame_index(frame: SegmentFrame, grid: Grid) -> tuple[int, int, int]:
    x, y, z = np.rint(points_to_index(np.array([frame.position]), grid)[0]).astype(int)
    return int(x), int(y), int(z)


def _place_frame(voxels: BoolZyx, frame: SegmentFrame, pixels: BoolZyx, grid: Grid, role: str) -> None:
    _check_frame(frame, grid, role)
    x, y, z = _frame_index(frame, grid)
    rows, columns = pixels.shape
    if min(x, y, z) < 0 or x + columns > voxels.shape[2] or y + rows > voxels.shape[1] or z >= voxels.shape[0]:
        raise _off_grid(role, "a frame lies outside the CT")
    voxels[z, y : y + rows, x : x + columns] = pixels


def _check_frame(frame: SegmentFrame, grid: Grid, role: str) -> None:
    exact = points_to_index(np.array([frame.position]), grid)[0]
    matrix = np.array(grid.direction).reshape(3, 3)
    cosines = np.concatenate([matrix[:, 0], matrix[:, 1]])
    if np.abs(np.array(frame.orientation) - cosines).max() > LARGEST_COSINE_DIFFERENCE:
        raise _off_grid(role, "a frame is oriented otherwise than the CT")
    wanted = np.array([grid.spacing_mm[1], grid.spacing_mm[0]])
    if (np.abs(np.array(frame.pixel_spacing) - wanted) > LARGEST_SPACING_SHARE * wanted).any():
        raise _off_grid(role, "a frame has another pixel spacing than the CT")
    if np.abs(exact - np.rint(exact)).max() > LARGEST_OFFSET_VOXELS:
        raise _off_grid(role, "a frame lies between the voxels of the CT")


def _off_grid(role: str, message: str) -> RefusedError:
    return RefusedError("geometry_differs", role, message + ".", "Use the segmentation made on this series.")
