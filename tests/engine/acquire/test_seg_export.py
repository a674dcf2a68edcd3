"""A mask written as DICOM SEG is read back voxel by voxel, and names no patient."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from engine.acquire.ct_series import read_ct_series, sort_along_normal
from engine.acquire.dicom import read_header, read_segmentation_object
from engine.acquire.dicom_seg import rasterise_segment
from engine.acquire.seg_export import segmentation_bytes
from engine.bench.malformed.made_dicom import write_series
from engine.protocol import Acquire

PATIENT = "CANARY-4711"


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


def test_an_empty_mask_and_a_missing_slice_are_refused(series):
    paths, grid = series
    with pytest.raises(ValueError, match="at least one"):
        segmentation_bytes(paths, np.zeros(grid.shape_zyx, bool), "tumour", "CASE")
    with pytest.raises(ValueError, match="one a slice"):
        segmentation_bytes(paths[:-1], np.ones(grid.shape_zyx, bool), "tumour", "CASE")
