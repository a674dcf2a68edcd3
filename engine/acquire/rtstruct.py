"""RTSTRUCT contours -> voxels of an ROI: each contour on its slice of the grid, and what was noticed there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from engine.acquire.contour_fill import (
    INDEX_DECIMALS,
    FilledSlice,
    fill_declared_xor,
    fill_polygons,
)
from engine.acquire.contour_lines import Polygon, TooManyContoursError
from engine.acquire.dicom_structures import Contour, OutlinedRoi
from engine.geometry import points_to_index
from store.records import Flag, RefusedError
from store.volumes import BoolZyx, Grid

CLOSED, CLOSED_XOR = "CLOSED_PLANAR", "CLOSEDPLANAR_XOR"
FURTHEST_FROM_SLICE = 0.1  # of the slice step
FURTHEST_OUTSIDE_PIXELS = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class OutlinedMask:
    """The voxels of one ROI or segment, boolean z, y, x, and what was noticed."""

    voxels: BoolZyx
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _SliceContours:
    place: int
    polygons: tuple[Polygon, ...]
    declared_xor: bool


def find_roi(names: Sequence[str], wanted: Sequence[str], role: str) -> str | None:
    """The name that matches the first wanted one (case-insensitive), or None.

    RefusedError `duplicate_roi` where two ROIs carry the wanted name.
    """
    for want in wanted:
        found = [name for name in names if name.strip().lower() == want.strip().lower()]
        if len(found) > 1:
            raise RefusedError(
                "duplicate_roi", role, f"{len(found)} ROIs are called {want!r}.", "Rename or delete one."
            )
        if found:
            return found[0]
    return None


def near_names(names: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """Names that look like a wanted one, at most three, best first."""
    lower = {name.lower(): name for name in names}
    near = [m for want in wanted for m in get_close_matches(want.lower(), list(lower), n=3, cutoff=0.4)]
    return tuple(lower[name] for name in dict.fromkeys(near))[:3]


def rasterise_roi(roi: OutlinedRoi, grid: Grid, role: str) -> OutlinedMask:
    """Voxels of an ROI on a grid.

    A pixel is inside when its centre is (half-open edges: a centre on a left or upper edge is inside, on a right or
    lower edge it is not); a contour inside another is a hole. One that repeats another, or is it again within a pixel,
    is read once, a hole with a thin wall remains one, those that overlap in part are joined, and a slice whose contours
    are too small to hold a centre keeps the pixel at their middle: all flagged. A slice with a CLOSEDPLANAR_XOR contour
    is even-odd, nothing joined. RefusedError for contours that are not closed, lie between slices or outside the image,
    for very many upon each other, and for an ROI without contours.
    """
    if not roi.contours:
        raise RefusedError("no_contours", role, f"ROI {roi.name!r} has no contours.", "Outline it or name another ROI.")
    voxels = np.zeros(grid.shape_zyx, dtype=np.bool_)
    slices = _by_slice(roi.contours, grid, role, roi.name)
    filled = []
    for one in slices:
        filled.append(_fill(voxels[one.place], one, role, roi.name))
        if filled[-1].empty:
            _keep_middle(voxels[one.place], one.polygons)
    return OutlinedMask(
        voxels, (*_contour_flags(roi.name, filled), *gap_flags(f"ROI {roi.name!r}", [one.place for one in slices]))
    )


def gap_flags(what: str, places: Sequence[int]) -> tuple[Flag, ...]:
    """A flag where slices between the first and the last outlined one (places in ascending order) have no outline."""
    gaps = places[-1] - places[0] + 1 - len(places) if places else 0
    if not gaps:
        return ()
    text = f"{what} has no contour on {gaps} slices between its first and last."
    return (Flag("acquire", "contour_gap", text, "Interpolate the contours in the drawing software if meant so."),)


def _by_slice(contours: Sequence[Contour], grid: Grid, role: str, name: str) -> list[_SliceContours]:
    polygons: dict[int, list[NDArray[np.float64]]] = {}
    declared_xor = set()
    for contour in contours:
        if contour.kind not in (CLOSED, CLOSED_XOR):
            kind = contour.kind or "untyped"
            text = f"ROI {name!r} has a {kind} contour; only {CLOSED} and {CLOSED_XOR} enclose an area."
            raise RefusedError("open_contour", role, text, "Export closed contours.")
        index = np.round(points_to_index(contour.points_mm, grid), INDEX_DECIMALS)
        place = _slice_of(index[:, 2], grid, role, name)
        polygons.setdefault(place, []).append(_inside_image(index, grid, role, name))
        if contour.kind == CLOSED_XOR:
            declared_xor.add(place)
    return [_SliceContours(place, tuple(polygons[place]), place in declared_xor) for place in sorted(polygons)]


def _slice_of(along: NDArray[np.float64], grid: Grid, role: str, name: str) -> int:
    place = int(np.rint(along.mean())) if len(along) else 0
    if not len(along) or np.abs(along - place).max() > FURTHEST_FROM_SLICE:
        text = f"a contour of ROI {name!r} lies between slices or leaves its plane."
        raise RefusedError("off_slice", role, text, "Use the structure set drawn on this series.")
    if not 0 <= place < grid.size_xyz[2]:
        text = f"a contour of ROI {name!r} lies outside the slices of the series."
        raise RefusedError(
            "outside_image", role, text, "Use the structure set drawn on this series; are slices missing?"
        )
    return place


def _inside_image(index: NDArray[np.float64], grid: Grid, role: str, name: str) -> NDArray[np.float64]:
    largest = np.array(grid.size_xyz[:2]) - 0.5 + FURTHEST_OUTSIDE_PIXELS
    flat = index[:, :2]
    if (flat < -0.5 - FURTHEST_OUTSIDE_PIXELS).any() or (flat > largest).any():
        text = f"a contour of ROI {name!r} reaches outside the image."
        raise RefusedError("outside_image", role, text, "Use the structure set drawn on this series.")
    return flat


def _fill(pixels: NDArray[np.bool_], one: _SliceContours, role: str, name: str) -> FilledSlice:
    fill = fill_declared_xor if one.declared_xor else fill_polygons
    try:
        return fill(pixels, one.polygons)
    except TooManyContoursError as error:
        text = f"a slice of ROI {name!r} has {error}."
        raise RefusedError("too_many_contours", role, text, "Outline it anew, by a few contours a slice.") from error


def _keep_middle(pixels: NDArray[np.bool_], polygons: Sequence[Polygon]) -> None:
    for polygon in polygons:
        x, y = np.rint(polygon.mean(axis=0)).astype(int)
        pixels[np.clip(y, 0, pixels.shape[0] - 1), np.clip(x, 0, pixels.shape[1] - 1)] = True


def _contour_flags(name: str, filled: Sequence[FilledSlice]) -> tuple[Flag, ...]:
    flags = []
    repeats = sum(one.repeats for one in filled)
    if repeats:
        text = f"ROI {name!r} repeats {repeats} contours; each was read once."
        flags.append(Flag("acquire", "repeated_contours", text, "Export the structure set again."))
    again = sum(one.again for one in filled)
    if again:
        text = f"{again} contours of ROI {name!r} run within a pixel of another for the most part; each was read as the"
        text += " outline again, or as the hole."
        remedy = "Look at these slices: a cavity with so thin a wall, or an island with so thin a gap, would be lost."
        flags.append(Flag("acquire", "contour_again", text, remedy))
    crossing = sum(one.crossing for one in filled)
    if crossing:
        text = f"on {crossing} slices contours of ROI {name!r} cross themselves, or overlap (joined, or left a hole)."
        flags.append(Flag("acquire", "contours_cross", text, "Look at these slices; outline them anew if need be."))
    thin = sum(one.thin_wall for one in filled)
    if thin:
        text = f"on {thin} slices a contour of ROI {name!r} leaves a thin wall or gap in another; both were kept."
        remedy = "Look at these slices: an outline drawn again has lost its inside, a hole drawn again is filled."
        flags.append(Flag("acquire", "thin_wall", text, remedy))
    lost = sum(one.empty for one in filled)
    if lost:
        text = f"on {lost} slices the contours of ROI {name!r} hold no pixel centre; the middle pixel was kept."
        flags.append(Flag("acquire", "subpixel_contours", text, "Look at these slices."))
    return tuple(flags)
