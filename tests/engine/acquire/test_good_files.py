"""No false alarm: every image file of the shared data is let in; only volumes thinner than the law are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from engine.acquire.dicom import read_segmentation_object
from engine.acquire.dicom_seg import rasterise_segment
from engine.acquire.nifti import IMAGE_SUFFIXES, read_ct_file
from engine.acquire.orientation import Turn, axes_name, turn_of, turned_array, turned_grid
from engine.geometry import index_to_points_mm
from engine.protocol import Acquire
from store.records import RefusedError
from store.volumes import Grid

RULES = Acquire()
TURNED = Grid((4, 5, 6), (1.0, 2.0, 3.0), (7.0, 8.0, 9.0), (0.0, -1.0, 0.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0))


def test_every_image_file_of_the_shared_data_is_let_in_unless_it_is_too_thin(shared):
    files = [p for p in sorted((shared / "data").rglob("*")) if p.name.endswith(IMAGE_SUFFIXES)]
    assert len(files) >= 50
    thin, flagged = [], []
    for path in files:
        try:
            flagged += [(path.name, flag.code) for flag in read_ct_file(path, "image", RULES).flags]
        except RefusedError as error:
            thin.append((path, error.code))
    assert flagged == []
    assert {code for _, code in thin} == {"few_slices"}
    assert all(_slices(path) < RULES.min_slices for path, _ in thin)


def _slices(path: Path) -> int:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return int(reader.GetSize()[2])


def test_a_fractional_segmentation_of_whole_voxels_is_read_and_flagged(shared):
    # made by highdicom from a binary mask, ../shared/data/edge_cases/README.md
    path = str(shared / "data/edge_cases/dicom/highdicom_seg_image_ct_binary_fractional.dcm")
    segments = read_segmentation_object(path, "SEG 1")
    first = segments.frames[0]
    heights = sorted({frame.position[2] for frame in segments.frames})
    rows, columns = segments.pixels.shape[1:]
    step = float(np.diff(heights).min()) if len(heights) > 1 else 1.0
    grid = Grid(
        (columns, rows, round((heights[-1] - heights[0]) / step) + 1),
        (first.pixel_spacing[1], first.pixel_spacing[0], step),
        (first.position[0], first.position[1], heights[0]),
    )
    found = rasterise_segment(segments, segments.labels[0][1], grid, "SEG 1")
    assert [flag.code for flag in found.flags] == ["fractional_is_binary"]
    assert found.voxels.sum() == (segments.pixels == segments.full_value).sum() > 0


def test_turned_voxels_stay_where_they_are_in_space():
    # axes of the file grow to the foot, the right and the back: x', y', z' of the file are -z, -x, +y of the patient
    assert turn_of(TURNED) == Turn((1, 2, 0), (True, False, True))
    assert axes_name(TURNED) == "IRP"
    stored = np.arange(120).reshape(TURNED.shape_zyx)
    turned, grid = turned_array(stored, turn_of(TURNED)), turned_grid(TURNED, turn_of(TURNED))
    assert grid.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    for z, y, x in ((0, 0, 0), (5, 4, 3), (2, 1, 3)):
        place = index_to_points_mm(np.array([[x, y, z]], dtype=float), TURNED)
        k, j, i = np.argwhere(turned == stored[z, y, x])[0]
        assert np.allclose(index_to_points_mm(np.array([[i, j, k]], dtype=float), grid), place)


@pytest.mark.parametrize("letters", ["LPS", "RAS", "LAS", "PIR"])
def test_axes_are_named_by_where_they_grow_to(letters):
    # SimpleITK's DICOMOrient names orientations by where axes come to, as we do
    image = sitk.DICOMOrient(sitk.Image(3, 4, 5, sitk.sitkInt16), letters)
    grid = Grid(tuple(image.GetSize()), image.GetSpacing(), image.GetOrigin(), tuple(image.GetDirection()))
    assert axes_name(grid) == letters
