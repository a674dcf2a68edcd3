"""Whether outlines were drawn on a series: by their frame of reference, and by the images that their contours name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.acquire.dicom import MULTI_FRAME_CT, DicomHeader
from engine.acquire.dicom_structures import Contour, OutlinedRoi
from engine.geometry import points_to_index
from store.records import Flag, RefusedError
from store.volumes import Grid

FURTHEST_FROM_IMAGE = 0.5  # of the slice step


@dataclass(frozen=True, slots=True, eq=False)
class OutlinedSeries:
    """A CT series on which outlines are read: its grid, its frames of reference, and where its images lie.

    places are z indices on the grid by SOP instance: one of a slice, those of all frames of a multi-frame image.
    """

    grid: Grid
    frames_of_reference: frozenset[str]
    places: dict[str, tuple[float, ...]]


def outlined_series(headers: Sequence[DicomHeader], grid: Grid) -> OutlinedSeries:
    """The series of these slices, in any order, on its grid as stored."""
    placed = [(_instance(header), header.position) for header in headers if header.position is not None]
    index = points_to_index(np.array([position for _, position in placed]).reshape(-1, 3), grid)[:, 2]
    places: dict[str, tuple[float, ...]] = {}
    for (instance, _), place in zip(placed, index, strict=True):
        places[instance] = (*places.get(instance, ()), float(place))
    frames = frozenset(header.frame_of_reference for header in headers if header.frame_of_reference)
    return OutlinedSeries(grid, frames, places)


def check_frame_of_reference(frame: str, series: OutlinedSeries, role: str) -> None:
    """RefusedError `other_frame` where outline and series both name a frame of reference and not the same."""
    if _is_other_frame(frame, series):
        text = "a structure was outlined in another frame of reference than that of the CT."
        raise RefusedError("other_frame", role, text, "Use the outlines drawn on this series.")


def frame_flags(roi: OutlinedRoi, series: OutlinedSeries, role: str) -> tuple[Flag, ...]:
    """A flag `other_frame` where an ROI names another frame of reference, yet every contour the slice on which it lies.

    Some writers invent the frame, and some de-identifiers change it on one side only. RefusedError `other_frame` where
    a contour names no slice of this CT or another one.
    """
    if not _is_other_frame(roi.frame_of_reference, series):
        return ()
    if not roi.contours or not all(_own_images(contour, height, series) for contour, height in _heights(roi, series)):
        check_frame_of_reference(roi.frame_of_reference, series, role)
    text = f"ROI {roi.name!r} names another frame of reference than that of the CT, but its contours the CT's slices."
    return (Flag("acquire", "other_frame", text, "Check that it was drawn on this series."),)


def image_flags(roi: OutlinedRoi, series: OutlinedSeries) -> tuple[Flag, ...]:
    """A flag where contours name other images than the slice on which they lie; contours that name none are passed."""
    named = [(contour, height) for contour, height in _heights(roi, series) if contour.images]
    far = [contour for contour, height in named if not _own_images(contour, height, series)]
    if not far:
        return ()
    foreign = sum(series.places.keys().isdisjoint(contour.images) for contour in far)
    text = f"{len(far)} contours of ROI {roi.name!r} name other images than that on which they lie"
    text += f", {foreign} of them images that are not of this series." if foreign else "."
    return (Flag("acquire", "other_images", text, "Check that they were drawn on this series and on these slices."),)


def _is_other_frame(frame: str, series: OutlinedSeries) -> bool:
    return bool(frame and series.frames_of_reference) and frame not in series.frames_of_reference


def _heights(roi: OutlinedRoi, series: OutlinedSeries) -> list[tuple[Contour, float]]:
    """The contours that have points, each with the z index of its middle."""
    drawn = [contour for contour in roi.contours if len(contour.points_mm)]
    middles = np.array([contour.points_mm.mean(axis=0) for contour in drawn]).reshape(-1, 3)
    return list(zip(drawn, points_to_index(middles, series.grid)[:, 2].tolist(), strict=True))


def _own_images(contour: Contour, height: float, series: OutlinedSeries) -> bool:
    """Whether a contour names the slice of this CT on which it lies."""
    places = [place for uid in contour.images for place in series.places.get(uid, ())]
    return any(abs(place - height) <= FURTHEST_FROM_IMAGE for place in places)


def _instance(header: DicomHeader) -> str:
    """The SOP instance of a file: the header of a frame carries its number behind it."""
    return header.sop_uid.rpartition(".")[0] if header.sop_class in MULTI_FRAME_CT else header.sop_uid
