"""A mask on a DICOM series as a DICOM SEG, to open beside the series in 3D Slicer or a reading station."""

from __future__ import annotations

import io
from collections.abc import Sequence

import highdicom as hd
import numpy as np
import pydicom
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from store.volumes import BoolZyx

MAKER = "Cohortscope"
KEPT = (  # all that highdicom is told of a slice: which image it is and where its pixels lie
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "Rows",
    "Columns",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)
EMPTY = (  # elements that every file of the kind must have
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
UTF_8 = "ISO_IR 192"


def segmentation_bytes(paths: Sequence[str], voxels: BoolZyx, label: str, case_id: str) -> bytes:
    """One binary segment on the slices at these paths (in the order of the mask's z), as the bytes of a DICOM SEG.

    It names the series by its UIDs and the patient by the case id only: of a slice's tags those in KEPT come into it.
    ValueError where slices and mask differ in number, or the mask is empty: a SEG holds no frame then.
    """
    if len(paths) != len(voxels):
        raise ValueError(f"paths must be one a slice of the mask, got {len(paths)} for {len(voxels)}")
    if not voxels.any():
        raise ValueError("voxels must hold at least one: an empty mask cannot be a DICOM SEG")
    sources = [_placed(path, case_id) for path in paths]
    segment = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label=label,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Neoplasm,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
    )
    made = hd.seg.Segmentation(
        source_images=sources,
        pixel_array=voxels.astype(np.uint8),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[segment],
        series_instance_uid=generate_uid(),
        series_number=1,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=MAKER,
        software_versions="1",
        device_serial_number="1",
        content_label="REVIEW",
    )
    buffer = io.BytesIO()
    made.save_as(buffer)
    return buffer.getvalue()


def _placed(path: str, case_id: str) -> pydicom.Dataset:
    """A slice's header made anew from KEPT: highdicom copies patient, study and trial into what it makes."""
    read = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(KEPT))
    made = pydicom.Dataset()
    for name in KEPT:
        if name in read:
            made[name] = read[name]
    for name in EMPTY:
        setattr(made, name, "")
    made.SpecificCharacterSet, made.PatientID, made.PatientName = UTF_8, case_id, f"{case_id}^"
    return made
