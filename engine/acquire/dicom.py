"""The door to pydicom: headers and segments of DICOM files as plain records, and how their elements are read."""

from __future__ import annotations

import hashlib
import logging
import struct
import warnings
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from engine.acquire.acquisition import text_category
from store.records import RefusedError

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2.1"
LEGACY_ENHANCED_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2.2"
MULTI_FRAME_CT = (ENHANCED_CT_IMAGE, LEGACY_ENHANCED_CT_IMAGE)
RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
LOSSY_SYNTAXES = (
    "1.2.840.10008.1.2.4.50",  # JPEG baseline
    "1.2.840.10008.1.2.4.51",  # JPEG extended
    "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000, lossless or not: LossyImageCompression decides
)
MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
PREAMBLE_BYTES = 132
DICOM_SUFFIXES = (".dcm", ".ima")
MOST_SEGMENT_PIXELS = 4_000_000_000
ATTENUATION_WORDS = ("CTAC", "AC CT", "CT AC", "ATTENUATION", "WB CT", "LOW DOSE CT FOR PET")
# pydicom quotes values that break a rule, which may be names: neither its log nor its warnings leave this door
PYDICOM_LOG = logging.getLogger("pydicom")
PYDICOM_LOG.addHandler(logging.NullHandler())
PYDICOM_LOG.propagate = False
warnings.filterwarnings("ignore", module=r"pydicom(\..*)?$")
DECODE_ERRORS = (
    BytesLengthException,
    InvalidDicomError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
HEADER_TAG_TEXT = """
SOPClassUID SOPInstanceUID PatientID StudyInstanceUID SeriesInstanceUID Modality FrameOfReferenceUID ImageType
StudyDate SeriesDate AcquisitionNumber InstanceNumber ImagesInAcquisition Rows Columns NumberOfFrames
ImagePositionPatient ImageOrientationPatient PixelSpacing RescaleSlope RescaleIntercept RescaleType
SliceThickness KVP Manufacturer ManufacturerModelName ConvolutionKernel ContrastBolusAgent ContrastBolusRoute
StudyDescription SeriesDescription BurnedInAnnotation ReferencedFrameOfReferenceSequence
ReferencedSeriesSequence LossyImageCompression PatientBirthDate PatientSex IssuerOfPatientID
"""
HEADER_TAGS = HEADER_TAG_TEXT.split()


@dataclass(frozen=True, slots=True)
class DicomHeader:
    """The tags the gate reads of one DICOM file; None where an element is absent or cannot be read.

    position, orientation and pixel_spacing (row, column) are millimetres and cosines in LPS; text is stripped.
    """

    path: str
    sop_class: str
    sop_uid: str
    patient_id: str
    study_uid: str
    series_uid: str
    modality: str
    frame_of_reference: str
    image_type: tuple[str, ...]
    study_date: str
    acquisition_number: int | None
    instance_number: int | None
    images_in_acquisition: int | None
    rows: int
    columns: int
    frames: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None
    slope: float | None
    intercept: float | None
    rescale_type: str
    slice_thickness_mm: float | None
    kvp: float | None
    manufacturer: str
    model: str
    kernel: str
    contrast_agent: str
    contrast_route: str
    contrast_text: str  # yes | no | "" : what the descriptions say, never the text
    attenuation_map: bool
    burned_in: bool
    referenced_series: tuple[str, ...]
    lossy: bool = False
    frame: int = 0  # of a multi-frame file, from 0
    person: tuple[str, str, str] = ("", "", "")  # birth date, sex, issuer of the id as digests: to tell people apart

    @property
    def outline_kind(self) -> str:
        """RTSTRUCT or SEG, by modality or, where that is missing, by class; else empty."""
        if self.modality == "RTSTRUCT" or self.sop_class == RT_STRUCTURE_SET:
            return "RTSTRUCT"
        return "SEG" if self.modality == "SEG" or self.sop_class in SEGMENTATIONS else ""

    @property
    def is_directory(self) -> bool:
        """Whether the file is the directory of a disc (DICOMDIR), which holds no image, whatever its name."""
        return self.sop_class == MEDIA_DIRECTORY and not self.series_uid


@dataclass(frozen=True, slots=True, eq=False)
class SegmentFrame:
    """One frame of a DICOM SEG: its segment and the position of its first pixel in LPS millimetres."""

    segment: int | None  # None: its pixels hold the numbers of segments (LABELMAP)
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SegmentationObject:
    """A DICOM SEG: its kind, labels by segment number, frames, and pixels of shape (frames, rows, columns)."""

    kind: str  # BINARY | FRACTIONAL | LABELMAP
    labels: tuple[tuple[int, str], ...]
    frames: tuple[SegmentFrame, ...]
    pixels: NDArray[np.generic]
    full_value: int = 1  # of a FRACTIONAL segmentation: what stands for a whole voxel
    frame_of_reference: str = ""
    background: int = 0  # of a LABELMAP: what stands for no segment


def is_dicom(path: Path) -> bool:
    """Whether a file carries the DICOM preamble, or, having a DICOM suffix, can be read as a bare data set."""
    try:
        with path.open("rb") as stream:
            head = stream.read(PREAMBLE_BYTES)
    except OSError:
        return False
    if head[128:] == b"DICM":
        return True
    return path.suffix.lower() in DICOM_SUFFIXES and bool(_bare_class(path))


def read_header(path: Path) -> DicomHeader:
    """The header of one DICOM file without its pixels; RefusedError `undecodable` where it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=HEADER_TAGS)
            return _header_of(dataset, str(path))
    except DECODE_ERRORS as error:
        raise undecodable("DICOM file", "its header cannot be read") from error


def patient_of(raw: bytes) -> str:
    """The patient id in the bytes of a DICOM file, stripped; RefusedError `undecodable` where it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(BytesIO(raw), stop_before_pixels=True, force=True, specific_tags=["PatientID"])
            return text_of(dataset, "PatientID")
    except DECODE_ERRORS as error:
        raise undecodable("DICOM file", "its header cannot be read") from error


def read_segmentation_object(path: str, role: str) -> SegmentationObject:
    """A DICOM SEG with its pixels; RefusedError where it cannot be read."""
    try:
        dataset = read_whole(path)
        labels = tuple((int(s.SegmentNumber), str(s.get("SegmentLabel", "")).strip()) for s in dataset.SegmentSequence)
        shared = dataset.SharedFunctionalGroupsSequence[0]
        groups = list(dataset.PerFrameFunctionalGroupsSequence)
        if len(groups) * int(dataset.Rows) * int(dataset.Columns) > MOST_SEGMENT_PIXELS:
            raise undecodable(role, f"its header claims more than {MOST_SEGMENT_PIXELS} pixels")
        frames = tuple(_frame_of(own, shared) for own in groups)
        _check_segment_numbers([number for number, _ in labels], {frame.segment for frame in frames}, role)
        pixels = np.asarray(dataset.pixel_array).reshape(len(frames), int(dataset.Rows), int(dataset.Columns))
        full = int(dataset.get("MaximumFractionalValue") or 1)
        where = text_of(dataset, "FrameOfReferenceUID")
        background = int(dataset.get("PixelPaddingValue") or 0)
        return SegmentationObject(str(dataset.SegmentationType), labels, frames, pixels, full, where, background)
    except RefusedError:
        raise
    except DECODE_ERRORS as error:
        raise undecodable(role, "its segments cannot be read") from error


def segment_labels(path: str) -> tuple[str, ...]:
    """The labels of a DICOM SEG without reading its pixels; empty where it cannot be read."""
    try:
        dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True, specific_tags=["SegmentSequence"])
        return tuple(str(s.get("SegmentLabel", "")).strip() for s in dataset.get("SegmentSequence", []))
    except DECODE_ERRORS:
        return ()


def roi_names(path: str) -> tuple[str, ...]:
    """The ROI names of an RTSTRUCT without its contours; empty where it cannot be read."""
    try:
        dataset = pydicom.dcmread(path, force=True, specific_tags=["StructureSetROISequence"])
        return tuple(str(r.get("ROIName", "")).strip() for r in dataset.get("StructureSetROISequence", []))
    except DECODE_ERRORS:
        return ()


def undecodable(role: str, message: str) -> RefusedError:
    """A file that cannot be read for the reason given."""
    return RefusedError("undecodable", role, message + ".", "Export the file again from its source.")


def _bare_class(path: Path) -> str:
    try:
        return str(
            pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=["SOPClassUID"]).SOPClassUID
        )
    except DECODE_ERRORS:
        return ""


def _header_of(dataset: Dataset, path: str) -> DicomHeader:
    descriptions = f"{text_of(dataset, 'StudyDescription')} {text_of(dataset, 'SeriesDescription')}".upper()
    return DicomHeader(
        path=path,
        sop_class=text_of(dataset, "SOPClassUID") or _directory_class(dataset),
        sop_uid=text_of(dataset, "SOPInstanceUID"),
        patient_id=text_of(dataset, "PatientID"),
        study_uid=text_of(dataset, "StudyInstanceUID"),
        series_uid=text_of(dataset, "SeriesInstanceUID"),
        modality=text_of(dataset, "Modality"),
        frame_of_reference=text_of(dataset, "FrameOfReferenceUID"),
        image_type=tuple(text_of(dataset, "ImageType").upper().split("\\")),
        study_date=text_of(dataset, "StudyDate") or text_of(dataset, "SeriesDate"),
        acquisition_number=_whole(dataset, "AcquisitionNumber"),
        instance_number=_whole(dataset, "InstanceNumber"),
        images_in_acquisition=_whole(dataset, "ImagesInAcquisition"),
        rows=_whole(dataset, "Rows") or 0,
        columns=_whole(dataset, "Columns") or 0,
        frames=_whole(dataset, "NumberOfFrames") or 1,
        position=numbers_of(dataset, "ImagePositionPatient", 3),
        orientation=numbers_of(dataset, "ImageOrientationPatient", 6),
        pixel_spacing=numbers_of(dataset, "PixelSpacing", 2),
        slope=number_of(dataset, "RescaleSlope"),
        intercept=number_of(dataset, "RescaleIntercept"),
        rescale_type=text_of(dataset, "RescaleType"),
        slice_thickness_mm=number_of(dataset, "SliceThickness"),
        kvp=number_of(dataset, "KVP"),
        manufacturer=text_of(dataset, "Manufacturer"),
        model=text_of(dataset, "ManufacturerModelName"),
        kernel=text_of(dataset, "ConvolutionKernel"),
        contrast_agent=text_of(dataset, "ContrastBolusAgent"),
        contrast_route=text_of(dataset, "ContrastBolusRoute"),
        contrast_text=text_category(descriptions),
        attenuation_map=any(word in descriptions for word in ATTENUATION_WORDS),
        burned_in=text_of(dataset, "BurnedInAnnotation").upper() == "YES",
        referenced_series=_referenced_series(dataset),
        lossy=_is_lossy(dataset),
        person=_person_of(dataset),
    )


def _directory_class(dataset: Dataset) -> str:
    """The class of the directory of a disc, which only the file's meta information names; else empty."""
    meta = getattr(dataset, "file_meta", None)
    named = str(meta.get("MediaStorageSOPClassUID", "")) if meta else ""
    return named if named == MEDIA_DIRECTORY else ""


def _person_of(dataset: Dataset) -> tuple[str, str, str]:
    """What tells two people of one PatientID apart, as digests that leave no value behind; empty where not given.

    Of the sex F and M only: O stands for anything. Names are left out, for they change and are spelled in many ways.
    """
    sex = text_of(dataset, "PatientSex").upper()
    said = (
        text_of(dataset, "PatientBirthDate"),
        sex if sex in ("F", "M") else "",
        text_of(dataset, "IssuerOfPatientID"),
    )
    born, sex, issuer = (hashlib.sha256(text.encode()).hexdigest() if text else "" for text in said)
    return born, sex, issuer


def text_of(dataset: Dataset, name: str) -> str:
    """An element as stripped text, several values joined by a backslash, empty where absent."""
    value = dataset.get(name)
    if value is None:
        return ""
    if isinstance(value, str | int | float):
        return str(value).strip()
    return "\\".join(str(part).strip() for part in value)


def number_of(dataset: Dataset, name: str) -> float | None:
    """An element as a finite number, None where there is none."""
    try:
        value = float(dataset.get(name))
    except (TypeError, ValueError, OverflowError):
        return None
    return value if np.isfinite(value) else None


def _whole(dataset: Dataset, name: str) -> int | None:
    value = number_of(dataset, name)
    return None if value is None else int(value)


def numbers_of(dataset: Dataset, name: str, count: int) -> tuple[float, ...] | None:
    """An element as so many finite numbers, None where it is not."""
    try:
        values = tuple(float(v) for v in dataset.get(name))
    except (TypeError, ValueError, OverflowError):
        return None
    return values if len(values) == count and bool(np.isfinite(values).all()) else None


def _is_lossy(dataset: Dataset) -> bool:
    said = text_of(dataset, "LossyImageCompression")
    meta = getattr(dataset, "file_meta", None)
    syntax = str(meta.get("TransferSyntaxUID", "")) if meta else ""
    return said == "01" or (syntax in LOSSY_SYNTAXES and not (syntax.endswith(".91") and said == "00"))


def _referenced_series(dataset: Dataset) -> tuple[str, ...]:
    found = [str(item.get("SeriesInstanceUID", "")) for item in dataset.get("ReferencedSeriesSequence") or []]
    for frame in dataset.get("ReferencedFrameOfReferenceSequence") or []:
        for study in frame.get("RTReferencedStudySequence") or []:
            found += [str(s.get("SeriesInstanceUID", "")) for s in study.get("RTReferencedSeriesSequence") or []]
    return tuple(dict.fromkeys(uid for uid in found if uid))


def read_whole(path: str) -> Dataset:
    """A data set read to its end; EOFError where the file ends inside an element, of which pydicom only warns."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        dataset = pydicom.dcmread(path, force=True)
    if any("end of file" in str(one.message).lower() for one in said):
        raise EOFError("the file ends inside an element")
    return dataset


def _check_segment_numbers(numbers: list[int], drawn: set[int | None], role: str) -> None:
    repeated = sorted({number for number in numbers if numbers.count(number) > 1})
    if repeated:
        text = f"segment number {repeated[0]} stands for two segments."
        raise RefusedError("duplicate_segment_number", role, text, "Export the segmentation again.")
    lost = sorted(number for number in drawn if number is not None and number not in numbers)
    if lost:
        text = f"frames refer to segment number {lost[0]}, which the file does not name."
        raise RefusedError("unnamed_segment", role, text, "Export the segmentation again.")


def _frame_of(own: Dataset, shared: Dataset) -> SegmentFrame:
    def first(name: str) -> Dataset:
        return own[name][0] if name in own else shared[name][0]

    named = "SegmentIdentificationSequence" in own or "SegmentIdentificationSequence" in shared  # a LABELMAP has none
    return SegmentFrame(
        segment=int(first("SegmentIdentificationSequence").ReferencedSegmentNumber) if named else None,
        position=_exactly(first("PlanePositionSequence").ImagePositionPatient, 3),
        orientation=_exactly(first("PlaneOrientationSequence").ImageOrientationPatient, 6),
        pixel_spacing=_exactly(first("PixelMeasuresSequence").PixelSpacing, 2),
    )


def _exactly(values: Iterable[object], count: int) -> tuple[float, ...]:
    """So many numbers; ValueError for fewer or more, as in a file whose element is empty."""
    found = tuple(float(str(value)) for value in values)
    if len(found) != count:
        raise ValueError(f"{count} numbers are needed, got {len(found)}")
    return found
