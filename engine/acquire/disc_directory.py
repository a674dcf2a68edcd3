"""The directory of a DICOM disc (DICOMDIR): it holds no image, and names the patients of the disc."""

from __future__ import annotations

import warnings
from pathlib import Path

import pydicom

from engine.acquire.dicom import DECODE_ERRORS, text_of


def patients_on_disc(path: Path) -> frozenset[str]:
    """The patient ids that the directory of a disc lists, stripped; none where it cannot be read.

    The files that it names are never opened: their paths could lead anywhere.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, force=True, specific_tags=["DirectoryRecordSequence"])
            records = dataset.get("DirectoryRecordSequence") or []
            return frozenset(text_of(record, "PatientID") for record in records) - {""}
    except DECODE_ERRORS:
        return frozenset()
