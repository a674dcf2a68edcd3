"""Stored pixel values of a DICOM file in any transfer syntax: complete, or refused."""

from __future__ import annotations

import io
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    generate_uid,
)

from engine.acquire.dicom import DECODE_ERRORS, undecodable
from store.records import RefusedError

GREY = "MONOCHROME2"
END_OF_IMAGE = b"\xff\xd9"
MOST_INFLATED_BYTES = 1 << 31
PIXEL_TAGS = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "NumberOfFrames",
    "PixelData",
)
DAMAGED = "its pixels cannot be decoded (truncated, damaged or an unsupported compression)"


def read_frames(path: str, role: str, most_bytes: int = MOST_INFLATED_BYTES) -> NDArray[np.generic]:
    """Stored values of all frames, shape (frames, rows, columns).

    Uncompressed, deflated, RLE, JPEG (baseline, lossless), JPEG-LS and JPEG 2000. RefusedError `undecodable` for a file
    that is truncated, damaged, in colour or whose pixel data are not as long as its header says, or claim more than
    `most_bytes`; `photometric` where they are a palette's or inverted.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, force=True)
            _check_length(dataset, role, most_bytes)
            pixels = _decoded(dataset)
    except RefusedError:
        raise
    except DECODE_ERRORS as error:
        raise undecodable(role, DAMAGED) from error
    frames, rows, columns = int(dataset.get("NumberOfFrames") or 1), int(dataset.Rows), int(dataset.Columns)
    if pixels.size != frames * rows * columns:
        raise undecodable(role, f"one grey image is needed, the file holds an array of shape {pixels.shape}")
    return pixels.reshape(frames, rows, columns)


def _check_length(dataset: Dataset, role: str, most_bytes: int) -> None:
    """Refuse pixel data shorter than announced, or longer by a frame or more; one padding byte is normal."""
    if int(dataset.SamplesPerPixel) != 1:
        raise undecodable(role, "one grey image is needed, the file is in colour")
    if str(dataset.PhotometricInterpretation).strip() != GREY:
        text = f"PhotometricInterpretation must be {GREY}: values of a palette or an inverted image may be no HU."
        raise RefusedError("photometric", role, text, "Export the original slices again.")
    if int(dataset.HighBit) != int(dataset.BitsStored) - 1:
        raise undecodable(role, "HighBit is not BitsStored - 1, so its values are shifted")
    frames = int(dataset.get("NumberOfFrames") or 1)
    frame = int(dataset.Rows) * int(dataset.Columns) * max(8, int(dataset.BitsAllocated)) // 8
    if frame * frames > most_bytes or frame < 1:
        raise undecodable(role, f"its header claims {frame * frames} bytes of pixels")
    syntax = _syntax(dataset)
    if syntax in (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes):
        parts = list(generate_frames(dataset.PixelData, number_of_frames=frames))
        if len(parts) != frames or not all(part.rstrip(b"\x00").endswith(END_OF_IMAGE) for part in parts):
            raise undecodable(role, "a compressed frame has no end")
    elif (
        not syntax.is_encapsulated
        and int(dataset.BitsAllocated) >= 8
        and len(dataset.PixelData) >= frame * (frames + 1)
    ):
        raise undecodable(role, "it holds more pixels than its header says")


def _syntax(dataset: Dataset) -> pydicom.uid.UID:
    meta = getattr(dataset, "file_meta", None)
    return pydicom.uid.UID(str(meta.get("TransferSyntaxUID", "")) if meta else "") or pydicom.uid.ImplicitVRLittleEndian


def _decoded(dataset: Dataset) -> NDArray[np.generic]:
    syntax = _syntax(dataset)
    if not syntax.is_encapsulated or syntax == DeflatedExplicitVRLittleEndian or get_decoder(syntax).is_available:
        return np.asarray(dataset.pixel_array)
    return _decoded_by_gdcm(dataset)


def _decoded_by_gdcm(dataset: Dataset) -> NDArray[np.generic]:
    """Lossless JPEG by the GDCM inside SimpleITK, which gets the pixels alone: no tag of the patient, no rescale."""
    bare = Dataset()
    bare.SOPClassUID, bare.SOPInstanceUID = CTImageStorage, generate_uid()
    bare.RescaleSlope, bare.RescaleIntercept = 1, 0
    for name in PIXEL_TAGS:
        if name in dataset:
            bare.add(dataset[name])
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = _syntax(dataset)
    bare.file_meta.MediaStorageSOPClassUID = bare.SOPClassUID
    bare.file_meta.MediaStorageSOPInstanceUID = bare.SOPInstanceUID
    raw = io.BytesIO()
    bare.save_as(raw, enforce_file_format=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pixels.dcm"
        path.write_bytes(raw.getvalue())
        return np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO")))
