"""Enhanced multi-frame CT: one header a frame, as if each were a file of its own."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from engine.acquire.dicom import DECODE_ERRORS, MULTI_FRAME_CT, DicomHeader, read_header, undecodable
from engine.acquire.dicom import number_of as number
from engine.acquire.dicom import numbers_of as numbers
from engine.acquire.dicom import text_of as text

GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
MOST_FRAMES = 20_000


def read_headers(path: Path) -> tuple[DicomHeader, ...]:
    """The header of a file, or, of an enhanced multi-frame CT, one header a frame in order of the file.

    RefusedError `undecodable` where headers cannot be read or the functional groups do not match NumberOfFrames.
    """
    header = read_header(path)
    if header.sop_class not in MULTI_FRAME_CT:
        return (header,)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(GROUPS))
            shared = (dataset.get(GROUPS[0]) or [Dataset()])[0]
            own = list(dataset.get(GROUPS[1]) or [])
            if len(own) != header.frames or len(own) > MOST_FRAMES:
                raise ValueError("frames without functional groups")
            return tuple(_frame_header(header, place, one, shared) for place, one in enumerate(own))
    except DECODE_ERRORS as error:
        raise undecodable("enhanced CT", "its functional groups cannot be read or do not match its frames") from error


def _frame_header(header: DicomHeader, place: int, own: Dataset, shared: Dataset) -> DicomHeader:
    def group(name: str) -> Dataset:
        found = own.get(name) or shared.get(name)
        return found[0] if found else Dataset()

    plane, turn, measures = (group(f"{n}Sequence") for n in ("PlanePosition", "PlaneOrientation", "PixelMeasures"))
    rescale, content = group("PixelValueTransformationSequence"), group("FrameContentSequence")
    frame_type = text(group("CTImageFrameTypeSequence"), "FrameType").upper()
    acquisition = number(content, "FrameAcquisitionNumber")
    return dataclasses.replace(
        header,
        frame=place,
        frames=1,
        sop_uid=f"{header.sop_uid}.{place:05d}",
        instance_number=place + 1,
        image_type=tuple(frame_type.split("\\")) if frame_type else header.image_type,
        acquisition_number=None if acquisition is None else int(acquisition),
        position=numbers(plane, "ImagePositionPatient", 3),
        orientation=numbers(turn, "ImageOrientationPatient", 6),
        pixel_spacing=numbers(measures, "PixelSpacing", 2),
        slice_thickness_mm=number(measures, "SliceThickness"),
        slope=number(rescale, "RescaleSlope"),
        intercept=number(rescale, "RescaleIntercept"),
        rescale_type=text(rescale, "RescaleType"),
        kvp=number(group("CTXRayDetailsSequence"), "KVP"),
        kernel=text(group("CTReconstructionSequence"), "ConvolutionKernel"),
    )
