"""The same pixels in another transfer syntax, for made DICOM files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_encoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

PLAIN = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian)
LOSSLESS = (*PLAIN, RLELossless, JPEGLSLossless, JPEGLosslessSV1, JPEG2000Lossless)
GDCM_NAMES = {JPEGLosslessSV1: "JPEG", JPEG2000Lossless: "JPEG2000"}


def compress(ds: Dataset, syntax: UID) -> None:
    """Write 16-bit grey pixels of a single-frame data set anew in a lossless transfer syntax."""
    if syntax in PLAIN:
        set_syntax(ds, syntax)
        if syntax == ExplicitVRBigEndian:
            ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
        return
    set_frame(ds, compressed_frame(ds, syntax), syntax)


def compressed_frame(ds: Dataset, syntax: UID) -> bytes:
    """The pixels of a single-frame data set as one compressed frame."""
    pixels = np.frombuffer(ds.PixelData, np.int16 if ds.PixelRepresentation else np.uint16)
    pixels = pixels.reshape(int(ds.Rows), int(ds.Columns))
    if syntax in GDCM_NAMES:
        return _frame_of_gdcm(pixels, GDCM_NAMES[syntax])
    encoder = get_encoder(syntax)
    return bytes(
        encoder.encode(
            pixels,
            rows=int(ds.Rows),
            columns=int(ds.Columns),
            samples_per_pixel=1,
            number_of_frames=1,
            bits_allocated=16,
            bits_stored=int(ds.BitsStored),
            pixel_representation=int(ds.PixelRepresentation),
            photometric_interpretation="MONOCHROME2",
        )
    )


def set_frame(ds: Dataset, frame: bytes, syntax: UID) -> None:
    """Put one compressed frame into a data set."""
    set_syntax(ds, syntax)
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].VR = "OB"


def set_syntax(ds: Dataset, syntax: str) -> None:
    """Say in which transfer syntax a data set is written."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(syntax)


def _frame_of_gdcm(pixels: np.ndarray[tuple[int, ...], np.dtype[np.generic]], compressor: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "frame.dcm")
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetFileName(path)
        writer.UseCompressionOn()
        writer.SetCompressor(compressor)
        writer.Execute(sitk.GetImageFromArray(pixels))
        return bytes(next(generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1)))
