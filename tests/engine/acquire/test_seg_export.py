"""A mask written as DICOM SEG is read back voxel by voxel, and names no patient."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset

from engine.acquire.ct_series import read_ct_series, sort_along_normal
from engine.acquire.dicom import read_header, read_segmentation_object
from engine.acquire.dicom_seg import rasterise_segment
from engine.acquire.seg_export import KEPT, segmentation_bytes
from engine.bench.malformed.made_dicom import SIDE, keep, write_series
from engine.protocol import Acquire

PATIENT = "CANARY-4711"
PLANTED = {  # a canary for each kind of element that can name, date or describe somebody
    **dict.fromkeys(("LO", "SH", "PN", "LT", "ST", "UT", "UC", "CS", "UR"), "CANARY"),
    **{"DA": "19010203", "TM": "010203.5", "DT": "19010203010203", "AS": "077Y"},
    **{"IS": "4711", "DS": "4711.5", "US": 4711, "FL": 4711.5, "FD": 4711.5},
}


@pytest.fixture
def series(tmp_path):
    """Paths in the order of z, and the grid of the CT they make."""
    write_series(tmp_path / "series", patient=PATIENT)
    headers = sort_along_normal([read_header(path) for path in sorted((tmp_path / "series").rglob("*.dcm"))])
    return [header.path for header in headers], read_ct_series(headers, Acquire()).ct.grid


def test_the_segment_comes_back_voxel_by_voxel(series, tmp_path):
    paths, grid = series
    voxels = np.random.default_rng(1).random(grid.shape_zyx) < 0.1
    voxels[2] = False
    (tmp_path / "mask.dcm").write_bytes(segmentation_bytes(paths, voxels, "tumour", "CASE"))
    segments = read_segmentation_object(str(tmp_path / "mask.dcm"), "SEG 1")
    assert (rasterise_segment(segments, "tumour", grid, "SEG 1").voxels == voxels).all()


def test_the_file_names_the_case_and_the_series_and_no_patient(series, tmp_path):
    paths, grid = series
    written = segmentation_bytes(paths, np.ones(grid.shape_zyx, bool), "tumour", "CASE")
    assert PATIENT.encode() not in written
    (tmp_path / "mask.dcm").write_bytes(written)
    found = pydicom.dcmread(tmp_path / "mask.dcm")
    assert (str(found.PatientID), str(found.PatientName)) == ("CASE", "CASE^")
    source = pydicom.dcmread(paths[0])
    assert found.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID


def plant_everywhere(_: int, slice_: Dataset) -> None:
    """Every tag of the standard that a slice may carry beside those kept, itself and as the only item of a sequence."""
    spared = {"PixelData", "SamplesPerPixel", "PhotometricInterpretation", "SpecificCharacterSet", *KEPT}
    spared |= {"BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration", "NumberOfFrames"}
    for tag, (vr, _, _, retired, keyword) in DicomDictionary.items():
        if not 0x0008 <= tag >> 16 < 0x5000 or retired or keyword in spared:
            continue
        if vr == "SQ":
            inner = Dataset()
            inner.PatientID, inner.InstitutionName, inner.CodeMeaning = PATIENT, PATIENT, PATIENT
            slice_.add_new(tag, vr, [inner])
        elif vr in PLANTED:
            slice_.add_new(tag, vr, PLANTED[vr])
    slice_.private_block(0x0011, "CANARY", create=True).add_new(1, "LO", "CANARY")


def exported(folder, edit) -> Dataset:
    """What is exported of a series whose slices were edited so."""
    paths = write_series(folder, edit, numbers=range(3))
    headers = sort_along_normal([read_header(path) for path in paths])
    voxels = np.ones((len(paths), SIDE, SIDE), bool)
    return pydicom.dcmread(io.BytesIO(segmentation_bytes([h.path for h in headers], voxels, "tumour", "CASE")))


def told(dataset: Dataset) -> list[tuple[str, str]]:
    """Every element, inside sequences too, but for what is new in each file: UIDs and the moment it was made."""
    new = ("UI", "SQ", "OB", "OW", "UL", "TM", "DT")
    made = ("InstanceCreationDate", "ContentDate")
    found = [one for one in dataset.iterall() if one.keyword not in made]
    return [(one.keyword or str(one.tag), "" if one.VR in new else str(one.value)) for one in found]


def test_no_tag_of_a_slice_comes_out_but_the_few_that_place_it(tmp_path):
    plain = exported(tmp_path / "plain", keep)
    planted = exported(tmp_path / "planted", plant_everywhere)
    assert len(pydicom.dcmread(next((tmp_path / "planted").iterdir()))) > 1500
    assert told(planted) == told(plain)
    assert not planted.StudyTime


def test_an_empty_mask_and_a_missing_slice_are_refused(series):
    paths, grid = series
    with pytest.raises(ValueError, match="at least one"):
        segmentation_bytes(paths, np.zeros(grid.shape_zyx, bool), "tumour", "CASE")
    with pytest.raises(ValueError, match="one a slice"):
        segmentation_bytes(paths[:-1], np.ones(grid.shape_zyx, bool), "tumour", "CASE")
