"""DICOM SEG onto the CT's grid, synthetic and from ../shared/data/edge_cases."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from engine.acquire.dicom import read_segmentation_object, segment_labels
from engine.acquire.dicom_seg import rasterise_segment
from engine.bench.malformed.made_dicom import SIDE, write, write_seg
from store.records import RefusedError
from store.volumes import Grid

GRID = Grid((SIDE, SIDE, 12), (1.0, 1.0, 2.0), (-8.0, -8.0, 0.0))


def block() -> np.ndarray:
    pixels = np.zeros((SIDE, SIDE), dtype=bool)
    pixels[3:6, 4:9] = True
    return pixels


def rasterise(path, grid=GRID, label="tumour"):
    return rasterise_segment(read_segmentation_object(str(path), "SEG 1"), label, grid, "SEG 1")


def test_frames_land_on_their_slices_and_left_out_ones_are_empty(tmp_path):
    voxels = rasterise(write_seg(tmp_path / "s.dcm", [(8.0, block()), (12.0, block())])).voxels
    assert np.flatnonzero(voxels.any(axis=(1, 2))).tolist() == [4, 6]
    assert (voxels[4] == block()).all()


@pytest.mark.parametrize(
    ("frames", "kind", "spacing", "code"),
    [
        ([(8.0, block())], "FRACTIONAL", 1.0, "fractional_seg"),
        ([(9.0, block())], "BINARY", 1.0, "geometry_differs"),
        ([(80.0, block())], "BINARY", 1.0, "geometry_differs"),
        ([(8.0, block())], "BINARY", 1.1, "geometry_differs"),
        ([(8.0, block()), (8.0, block())], "BINARY", 1.0, "duplicate_frame"),
    ],
)
def test_segments_that_would_be_silently_wrong_are_refused(tmp_path, frames, kind, spacing, code):
    with pytest.raises(RefusedError) as caught:
        rasterise(write_seg(tmp_path / "s.dcm", frames, kind, spacing))
    assert caught.value.code == code


def edited(path, edit):
    """The segmentation at a path, changed."""
    dataset = pydicom.dcmread(path)
    edit(dataset)
    return write(dataset, path)


def _number_twice(dataset):
    node = Dataset()
    node.SegmentNumber, node.SegmentLabel = 1, "Node"
    dataset.SegmentSequence.append(node)


def _frame_of_no_segment(dataset):
    dataset.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 2


def _label_map(dataset):
    dataset.SegmentationType = "LABELMAP"


def _without_segments_of_frames(dataset):
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        del frame.SegmentIdentificationSequence


def _binary(dataset):
    dataset.SegmentationType = "BINARY"


def _whole_label_map(dataset):
    _without_segments_of_frames(dataset)
    _label_map(dataset)


@pytest.mark.parametrize(
    ("kind", "edit", "code"),
    [
        ("BINARY", _number_twice, "duplicate_segment_number"),
        ("BINARY", _frame_of_no_segment, "unnamed_segment"),
        ("BINARY", _label_map, "unnamed_segment"),
        ("BINARY", _without_segments_of_frames, "unnamed_segment"),
        ("FRACTIONAL", _whole_label_map, "unnamed_segment"),  # its pixels are 0 and 128, of which 128 is no segment
        ("FRACTIONAL", _binary, "fractional_seg"),
    ],
)
def test_numbers_that_fit_no_segment_are_refused_not_read_as_empty(tmp_path, kind, edit, code):
    path = write_seg(tmp_path / "s.dcm", [(8.0, block()), (10.0, block())], kind)
    with pytest.raises(RefusedError) as caught:
        rasterise(edited(path, edit))
    assert caught.value.code == code


def test_a_label_map_is_read_by_the_numbers_in_its_pixels(tmp_path):
    path = write_seg(tmp_path / "s.dcm", [(8.0, block()), (10.0, block())])
    mask = rasterise(edited(path, _whole_label_map))
    assert (mask.voxels[4:6] == block()).all()
    assert (mask.voxels.sum(), mask.flags) == (2 * block().sum(), ())


def test_a_slice_left_out_between_frames_is_flagged_as_in_a_structure_set(tmp_path):
    mask = rasterise(write_seg(tmp_path / "s.dcm", [(8.0, block()), (12.0, block())]))
    assert [flag.code for flag in mask.flags] == ["contour_gap"]


def test_a_shared_binary_segmentation_has_the_voxels_of_its_frames(shared):
    # three frames of one segment, ../shared/data/edge_cases/README.md; counted by pydicom's own decoder
    path = str(shared / "data/edge_cases/dicom/dcmqi_liver.dcm")
    segments = read_segmentation_object(path, "SEG 1")
    (label,) = segment_labels(path)
    first = segments.frames[0]
    height = sorted(frame.position[2] for frame in segments.frames)
    rows, columns = segments.pixels.shape[1:]
    grid = Grid(
        (columns, rows, 3),
        (first.pixel_spacing[1], first.pixel_spacing[0], (height[2] - height[0]) / 2),
        (first.position[0], first.position[1], height[0]),
    )
    assert len(segments.frames) == 3
    assert rasterise(path, grid, label).voxels.sum() == segments.pixels.sum() > 0


def test_a_shared_fractional_segmentation_is_refused(shared):
    path = shared / "data/edge_cases/dicom/highdicom_seg_image_ct_true_fractional.dcm"
    with pytest.raises(RefusedError, match="fractional_seg"):
        rasterise(path)
