"""RTSTRUCT files as plain records: ROIs by name, where they were drawn, and their contours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from engine.acquire.dicom import DECODE_ERRORS, number_of, read_whole, text_of, undecodable
from store.records import RefusedError


@dataclass(frozen=True, slots=True, eq=False)
class Contour:
    """One contour: its DICOM geometric type, its points, shape (n, 3), x, y, z in LPS millimetres, and its images."""

    kind: str
    points_mm: NDArray[np.float64]
    images: tuple[str, ...] = ()  # SOP instances of the images on which it was drawn, where the file names them


@dataclass(frozen=True, slots=True, eq=False)
class OutlinedRoi:
    """One ROI of an RTSTRUCT, and the frame of reference in which it was drawn, empty where none is named."""

    name: str
    contours: tuple[Contour, ...]
    frame_of_reference: str = ""


def read_structure_set(path: str, role: str) -> tuple[OutlinedRoi, ...]:
    """All ROIs of an RTSTRUCT in file order, with their contours; RefusedError where it cannot be read."""
    try:
        dataset = read_whole(path)
        rois = list(dataset.get("StructureSetROISequence") or [])
        items = list(dataset.get("ROIContourSequence") or [])
        if not rois or "ROIContourSequence" not in dataset:
            raise undecodable(role, "it names no structures or holds no contours (cut off?)")
        _check_roi_numbers([int(r.ROINumber) for r in rois], [int(i.ReferencedROINumber) for i in items], role)
        contours = {int(item.ReferencedROINumber): _contours_of(item, role) for item in items}
        return tuple(
            OutlinedRoi(text_of(r, "ROIName"), contours.get(int(r.ROINumber), ()), _frame_of(r, dataset)) for r in rois
        )
    except RefusedError:
        raise
    except DECODE_ERRORS as error:
        raise undecodable(role, "its contours cannot be read") from error


def _frame_of(roi: Dataset, dataset: Dataset) -> str:
    """The frame of reference of an ROI; where it names none, the only one of the structure set."""
    named = {text_of(frame, "FrameOfReferenceUID") for frame in dataset.get("ReferencedFrameOfReferenceSequence") or []}
    return text_of(roi, "ReferencedFrameOfReferenceUID") or (named.pop() if len(named) == 1 else "")


def _check_roi_numbers(numbers: list[int], drawn: list[int], role: str) -> None:
    repeated = sorted({n for many in (numbers, drawn) for n in many if many.count(n) > 1})
    if repeated:
        text = f"ROI number {repeated[0]} stands for two structures."
        raise RefusedError("duplicate_roi_number", role, text, "Export the structure set again.")
    lost = sorted(set(drawn) - set(numbers))
    if lost:
        text = f"contours refer to ROI number {lost[0]}, which the file does not name."
        raise RefusedError("unnamed_roi", role, text, "Export the structure set again.")


def _contours_of(item: Dataset, role: str) -> tuple[Contour, ...]:
    contours = []
    for one in item.get("ContourSequence") or []:
        data = one.get("ContourData")
        points = np.array([float(v) for v in ([] if data is None else data)], dtype=np.float64).reshape(-1, 3)
        if not np.isfinite(points).all():
            text = "a contour holds a coordinate that is no number."
            raise RefusedError("not_finite", role, text, "Export the structure set again.")
        if any(float(v) for v in one.get("ContourOffsetVector") or []):
            text = "a contour is to be shifted by a ContourOffsetVector, which no software of today reads."
            raise RefusedError("contour_offset", role, text, "Export the structure set with the contours in place.")
        announced = number_of(one, "NumberOfContourPoints")
        if announced is not None and announced != len(points):
            text = f"a contour announces {int(announced)} points and holds {len(points)}."
            raise RefusedError("contour_points", role, text, "Export the structure set again.")
        images = tuple(text_of(image, "ReferencedSOPInstanceUID") for image in one.get("ContourImageSequence") or [])
        contours.append(Contour(str(one.get("ContourGeometricType", "")), points, images))
    return tuple(contours)
