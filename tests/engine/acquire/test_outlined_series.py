"""Whether outlines were drawn on a series: frames of reference and images named by contours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.acquire.dicom import read_header
from engine.acquire.dicom_structures import OutlinedRoi, read_structure_set
from engine.acquire.outlined_series import check_frame_of_reference, frame_flags, image_flags, outlined_series
from engine.bench.malformed.made_dicom import SIDE, square, write_rtstruct, write_series
from store.records import RefusedError
from store.volumes import Grid

GRID = Grid((SIDE, SIDE, 12), (1.0, 1.0, 2.0), (-8.0, -8.0, 0.0))
FRAME = "1.2.3.9"


@pytest.fixture
def series(tmp_path):
    return outlined_series([read_header(path) for path in write_series(tmp_path / "ct")], GRID)


def drawn(tmp_path, *contours, series_uid="1.2.3.4") -> OutlinedRoi:
    path = write_rtstruct(tmp_path / "rs.dcm", [("Tumour", contours)], series_uid=series_uid)
    (roi,) = read_structure_set(str(path), "RTSTRUCT 1")
    return roi


def test_an_outline_in_another_frame_of_reference_is_refused(series):
    with pytest.raises(RefusedError, match="other_frame"):
        check_frame_of_reference("8.8.8", series, "RTSTRUCT 1")


def test_the_same_frame_or_none_named_is_accepted(series):
    for frame in (FRAME, ""):
        check_frame_of_reference(frame, series, "RTSTRUCT 1")


def test_an_invented_frame_is_flagged_where_every_contour_names_the_slice_on_which_it_lies(series, tmp_path):
    invented = replace(drawn(tmp_path, square(8.0), square(10.0)), frame_of_reference="8.8.8")
    assert [flag.code for flag in frame_flags(invented, series, "RTSTRUCT 1")] == ["other_frame"]
    assert frame_flags(replace(invented, frame_of_reference=FRAME), series, "RTSTRUCT 1") == ()


@pytest.mark.parametrize("images", [(), ("5.5.5",), ("slice at 8 mm",)], ids=["none", "foreign", "another slice"])
def test_another_frame_is_refused_where_one_contour_does_not_name_its_slice(series, tmp_path, images):
    roi = drawn(tmp_path, square(8.0), square(10.0))
    images = roi.contours[0].images if images == ("slice at 8 mm",) else images
    other = replace(
        roi, contours=(roi.contours[0], replace(roi.contours[1], images=images)), frame_of_reference="8.8.8"
    )
    with pytest.raises(RefusedError, match="other_frame"):
        frame_flags(other, series, "RTSTRUCT 1")


def test_an_roi_without_a_frame_has_the_only_one_of_its_structure_set(tmp_path):
    assert drawn(tmp_path, square(8.0)).frame_of_reference == FRAME


def test_contours_on_the_slices_that_they_name_are_not_flagged(series, tmp_path):
    contours = (square(8.0), square(10.05), square(11.9))  # the last two are rounded to their slices at 10 and 12 mm
    assert image_flags(drawn(tmp_path, *contours), series) == ()


def test_contours_that_name_images_of_another_series_are_flagged(series, tmp_path):
    (flag,) = image_flags(drawn(tmp_path, square(8.0), square(10.0), series_uid="5.5.5"), series)
    assert flag.code == "other_images"
    assert flag.message.startswith("2 contours")
    assert "2 of them" in flag.message


def test_a_contour_on_another_slice_than_it_names_is_flagged(series, tmp_path):
    roi = drawn(tmp_path, square(8.0), square(10.0))
    moved = [type(one)(one.kind, one.points_mm + np.array([0, 0, 2.0]), one.images) for one in roi.contours[:1]]
    (flag,) = image_flags(OutlinedRoi("Tumour", (*moved, roi.contours[1])), series)
    assert flag.message.startswith("1 contours")
    assert "not of this series" not in flag.message


def test_contours_to_be_shifted_are_refused(tmp_path):
    contour = square(8.0)
    contour.ContourOffsetVector = [5.0, 0.0, 0.0]
    with pytest.raises(RefusedError, match="contour_offset"):
        drawn(tmp_path, contour)
    contour.ContourOffsetVector = [0.0, 0.0, 0.0]
    assert len(drawn(tmp_path, contour).contours) == 1
