"""Small DICOM series, structure sets and segmentations made for a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
RTSTRUCT_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
SEG_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"
DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
SLICES, SIDE = 12, 16
PIXEL_MM, STEP_MM = 1.0, 2.0
Edit = Callable[[int, Dataset], None]


def keep(number: int, slice_: Dataset) -> None:
    """An edit that changes nothing."""


def ct_slice(number: int, series_uid: str, patient: str) -> Dataset:
    """One CT slice at z = 2 x number mm; stored values are 1000 + the number, -1024 below HU."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CT_CLASS, generate_uid(entropy_srcs=[series_uid, str(number)])
    ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = patient, "1.2.3", series_uid
    ds.Modality, ds.FrameOfReferenceUID, ds.ImageType = "CT", "1.2.3.9", ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.InstanceNumber, ds.AcquisitionNumber = number + 1, 1
    ds.ImagePositionPatient = [-8.0, -8.0, STEP_MM * number]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [PIXEL_MM, PIXEL_MM], STEP_MM
    ds.RescaleSlope, ds.RescaleIntercept, ds.KVP = 1, -1024, 120
    ds.Rows = ds.Columns = SIDE
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    pixels = np.full((SIDE, SIDE), 1000 + number, dtype=np.uint16)
    pixels[0, 0] = 24
    ds.PixelData = pixels.tobytes()
    return ds


def write(ds: Dataset, path: Path) -> Path:
    """Write a data set with preamble and file meta, in the transfer syntax that it names, else explicit VR."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not hasattr(ds, "file_meta"):
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.save_as(path, enforce_file_format=True)
    return path


def write_series(
    folder: Path,
    edit: Edit = keep,
    series_uid: str = "1.2.3.4",
    patient: str = "P1",
    numbers: Sequence[int] = range(SLICES),
) -> list[Path]:
    """A series of slices, each passed to `edit` first; file names do not follow the position."""
    paths = []
    for number in numbers:
        ds = ct_slice(number, series_uid, patient)
        edit(number, ds)
        paths.append(write(ds, folder / f"{(number * 7) % 97:03d}_{number}.dcm"))
    return paths


def square(z_mm: float, low: float = -4.5, high: float = 1.5, kind: str = "CLOSED_PLANAR") -> Dataset:
    """A square contour; from -4.5 to 1.5 mm it holds 6 x 6 pixel centres of the series above."""
    contour = Dataset()
    contour.ContourGeometricType, contour.NumberOfContourPoints = kind, 4
    corners = ((low, low), (high, low), (high, high), (low, high))
    contour.ContourData = [value for x, y in corners for value in (x, y, z_mm)]
    return contour


def write_rtstruct(
    path: Path, rois: Sequence[tuple[str, Sequence[Dataset]]], series_uid: str = "1.2.3.4", patient: str = "P1"
) -> Path:
    """A structure set of ROIs by name and contours, referring to a series."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = RTSTRUCT_CLASS, generate_uid(), "RTSTRUCT"
    ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = patient, "1.2.3", generate_uid()
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = series_uid
    series.ContourImageSequence = [_image_of(number, series_uid) for number in range(SLICES)]
    study.RTReferencedSeriesSequence = [series]
    frame.RTReferencedStudySequence = [study]
    frame.FrameOfReferenceUID = "1.2.3.9"
    ds.ReferencedFrameOfReferenceSequence = [frame]
    ds.StructureSetROISequence, ds.ROIContourSequence, ds.RTROIObservationsSequence = [], [], []
    for number, (name, contours) in enumerate(rois, 1):
        roi, item = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, name
        item.ReferencedROINumber = number
        if contours:
            item.ContourSequence = [_on_slice(contour, series_uid) for contour in contours]
        seen = Dataset()
        seen.ObservationNumber, seen.ReferencedROINumber, seen.RTROIInterpretedType = number, number, "GTV"
        ds.StructureSetROISequence.append(roi)
        ds.ROIContourSequence.append(item)
        ds.RTROIObservationsSequence.append(seen)
    return write(ds, path)


def write_directory(path: Path, *patients: str) -> Path:
    """The DICOMDIR of a disc that lists these patients; its class stands in the file's meta information only."""
    ds = Dataset()
    ds.FileSetID, ds.DirectoryRecordSequence = "DISC", []
    for patient in patients:
        record = Dataset()
        record.DirectoryRecordType, record.PatientName, record.PatientID = "PATIENT", f"{patient}^A", patient
        ds.DirectoryRecordSequence.append(record)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = DIRECTORY_CLASS, generate_uid()
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def _on_slice(contour: Dataset, series_uid: str) -> Dataset:
    """A contour that names the slice of `ct_slice` nearest to it, as other software wants."""
    contour.ContourImageSequence = [_image_of(round(float(contour.ContourData[2]) / STEP_MM), series_uid)]
    return contour


def _image_of(number: int, series_uid: str) -> Dataset:
    image = Dataset()
    image.ReferencedSOPClassUID = CT_CLASS
    image.ReferencedSOPInstanceUID = generate_uid(entropy_srcs=[series_uid, str(number)])
    return image


def write_seg(
    path: Path,
    frames: Sequence[tuple[float, np.ndarray]],
    kind: str = "BINARY",
    spacing: float = PIXEL_MM,
    frame: str = "1.2.3.9",
) -> Path:
    """A DICOM SEG with one segment `Tumour`, frames by z position, each SIDE x SIDE of 0 and 1."""
    ds = Dataset()
    ds.FrameOfReferenceUID = frame
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = SEG_CLASS, generate_uid(), "SEG"
    ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = "P1", "1.2.3", generate_uid()
    series, segment = Dataset(), Dataset()
    series.SeriesInstanceUID = "1.2.3.4"
    segment.SegmentNumber, segment.SegmentLabel = 1, "Tumour"
    ds.ReferencedSeriesSequence, ds.SegmentSequence, ds.SegmentationType = [series], [segment], kind
    ds.SharedFunctionalGroupsSequence = [Dataset()]
    ds.PerFrameFunctionalGroupsSequence = [_frame(z_mm, spacing) for z_mm, _ in frames]
    ds.Rows = ds.Columns = SIDE
    ds.NumberOfFrames, ds.SamplesPerPixel, ds.PhotometricInterpretation = len(frames), 1, "MONOCHROME2"
    bits = np.stack([pixels for _, pixels in frames]).astype(np.uint8)
    if kind == "BINARY":
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
        ds.PixelData = np.packbits(bits.ravel(), bitorder="little").tobytes()
    else:
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.MaximumFractionalValue = 8, 8, 7, 255
        ds.PixelData = (bits * 128).tobytes()
    ds.PixelRepresentation = 0
    return write(ds, path)


def _frame(z_mm: float, spacing: float) -> Dataset:
    own, plane, turn, measures, which = Dataset(), Dataset(), Dataset(), Dataset(), Dataset()
    plane.ImagePositionPatient = [-8.0, -8.0, z_mm]
    turn.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing = [spacing, spacing]
    which.ReferencedSegmentNumber = 1
    own.PlanePositionSequence, own.PlaneOrientationSequence = [plane], [turn]
    own.PixelMeasuresSequence, own.SegmentIdentificationSequence = [measures], [which]
    return own
