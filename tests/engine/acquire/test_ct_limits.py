"""Which sizes of voxels a chest CT has: grids of scanners, crops and resampled images, and the same in other units."""

from __future__ import annotations

import pytest

from engine.acquire.ct_limits import check_voxel_size, size_flags
from store.records import RefusedError
from store.volumes import Grid


def grid(pixels, edge_mm, slice_mm, slices=300):
    columns, rows = pixels if isinstance(pixels, tuple) else (pixels, pixels)
    return Grid((columns, rows, slices), (edge_mm, edge_mm, slice_mm), (0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("pixels", "edge_mm", "slice_mm"),
    [
        (1024, 0.0977, 3.27),  # targeted, 100 mm
        (2048, 0.0488, 0.25),
        (2048, 0.0977, 3.27),
        (2048, 0.156, 0.25),  # ultra-high resolution, 320 mm
        (1024, 0.25, 0.2),
        (768, 0.45, 0.6),
        (512, 0.7, 5.0),
        (512, 1.367, 3.27),  # PET-CT
        (512, 0.2, 1.0),
        ((512, 200), 0.7, 2.5),  # crops from here on
        (200, 0.7, 2.5),
        (64, 0.5, 0.5),
        (128, 0.7, 0.7),
        (12, 1.0, 2.0),
    ],
)
def test_voxels_of_scanners_and_usual_crops_are_let_in_without_a_flag(pixels, edge_mm, slice_mm):
    check_voxel_size(grid(pixels, edge_mm, slice_mm), "CT")
    assert size_flags(grid(pixels, edge_mm, slice_mm)) == ()


@pytest.mark.parametrize(
    ("pixels", "edge", "slice_edge"),
    [(512, 0.15, 0.25), (256, 0.15, 0.25), (300, 0.25, 0.25), (256, 0.2, 0.2), (128, 0.3, 0.3), (512, 0.1523, 0.3)]
    + [(512, 0.15, 1.0), (256, 0.3, 1.0), (200, 0.1367, 0.8)],
)
def test_a_very_fine_crop_that_may_be_a_coarse_image_in_centimetres_is_let_in_and_flagged(pixels, edge, slice_edge):
    check_voxel_size(grid(pixels, edge, slice_edge), "CT")
    assert [flag.code for flag in size_flags(grid(pixels, edge, slice_edge))] == ["narrow_image"]


@pytest.mark.parametrize("pixels", [512, 200, (512, 200), 256, 255, 64], ids=str)
@pytest.mark.parametrize(
    ("edge_cm", "slice_cm"),
    [(0.05, 0.0625), (0.07, 0.25), (0.0977, 0.5), (0.0977, 1.0), (0.1, 0.1), (0.1367, 0.327)],
)
def test_a_chest_ct_in_centimetres_is_refused_whole_or_cropped(pixels, edge_cm, slice_cm):
    with pytest.raises(RefusedError, match="voxel_size"):
        check_voxel_size(grid(pixels, edge_cm, slice_cm), "CT")


@pytest.mark.parametrize("edge_cm", [0.1, 0.117, 0.1367])
@pytest.mark.parametrize("slice_cm", [0.6, 0.7, 1.0])
def test_a_full_matrix_in_centimetres_is_refused_with_thick_slices_too(edge_cm, slice_cm):
    with pytest.raises(RefusedError, match="voxel_size"):
        check_voxel_size(grid(512, edge_cm, slice_cm, slices=50), "CT")


def test_a_whole_body_in_centimetres_is_refused_although_it_is_longer_than_wide():
    with pytest.raises(RefusedError, match="voxel_size"):
        check_voxel_size(grid(512, 0.1367, 0.3, slices=600), "CT")


@pytest.mark.parametrize("slice_mm", [0.05, 0.001, 16.0])
def test_slices_that_are_too_thin_or_thick_for_a_scanner_are_refused(slice_mm):
    with pytest.raises(RefusedError, match="voxel_size"):
        check_voxel_size(grid(512, 0.7, slice_mm), "CT")


@pytest.mark.parametrize("unit", [1e-3, 1e3], ids=["metres", "micrometres"])
@pytest.mark.parametrize("edge", [0.6, 0.977, 1.367])
def test_a_grid_in_metres_or_micrometres_is_refused(edge, unit):
    with pytest.raises(RefusedError, match="voxel_size"):
        check_voxel_size(grid(512, edge * unit, 3 * unit), "CT")
