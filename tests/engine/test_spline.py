"""Resampling on parallel grids equals ITK's own, and keeps what a cubic spline must keep."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from engine.geometry import resample_intensity, resample_mask, resampled_grid, to_image, to_reference
from engine.spline import resample_spline
from store.volumes import Grid

OUTSIDE = -1000.0
OBLIQUE = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)
TILTED = (0.8, 0.0, -0.6, 0.0, 1.0, 0.0, 0.6, 0.0, 0.8)
GRIDS = (
    (Grid((20, 31, 17), (0.9, 0.9, 3.0), (-3.0, 4.0, 5.0)), 1.0),
    (Grid((25, 24, 30), (0.72, 0.8, 0.64), (0.0, 0.0, 0.0), OBLIQUE), 2.0),
    (Grid((40, 1, 3), (0.5, 1.0, 5.0), (7.0, -2.0, 0.0)), 1.0),
)


def by_itk(array, source, target, interpolator, outside, kind):
    image = to_image(array, source)
    return sitk.GetArrayFromImage(
        sitk.Resample(image, to_reference(target), sitk.Transform(), interpolator, outside, kind)
    )


@pytest.mark.parametrize(("grid", "spacing_mm"), GRIDS)
def test_a_ct_takes_the_values_that_itk_gives(grid, spacing_mm):
    values = np.random.default_rng(1).integers(-1000, 400, grid.shape_zyx).astype(np.int16)
    target = resampled_grid(grid, (spacing_mm,) * 3)
    wanted = by_itk(values.astype(np.float32), grid, target, sitk.sitkBSpline, OUTSIDE, sitk.sitkFloat32)
    np.testing.assert_allclose(resample_intensity(values, grid, target, OUTSIDE), wanted, rtol=0, atol=2e-4)


@pytest.mark.parametrize(("grid", "spacing_mm"), GRIDS)
def test_a_mask_takes_the_voxels_that_itk_gives(grid, spacing_mm):
    mask = np.random.default_rng(2).random(grid.shape_zyx) > 0.5
    target = resampled_grid(grid, (spacing_mm,) * 3)
    wanted = by_itk(mask, grid, target, sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8) > 0
    assert np.array_equal(resample_mask(mask, grid, target), wanted)


def test_halfway_between_two_voxels_a_mask_takes_the_higher_one():
    # 0.7 mm to 3 mm: the fourth voxel lies at index 14.5 exactly, where rounding errors decide in ITK
    line = np.zeros((1, 1, 20), dtype=np.bool_)
    line[0, 0, 15] = True
    source = Grid((20, 1, 1), (0.7, 3.0, 3.0), (0.0, 0.0, 0.0))
    assert resample_mask(line, source, resampled_grid(source, (3.0, 3.0, 3.0)))[0, 0].tolist() == [False] * 3 + [
        True,
        False,
    ]


def test_the_same_grid_gives_the_same_voxels():
    grid = GRIDS[0][0]
    values = np.random.default_rng(3).integers(-1000, 400, grid.shape_zyx).astype(np.int16)
    assert np.array_equal(resample_intensity(values, grid, grid, OUTSIDE), values)


def test_grids_that_are_not_parallel_are_resampled_too():
    source, target = GRIDS[0][0], Grid((10, 10, 10), (2.0, 2.0, 2.0), (0.0, 4.0, 8.0), TILTED)
    values = np.random.default_rng(4).integers(-1000, 400, source.shape_zyx).astype(np.int16)
    wanted = by_itk(values.astype(np.float32), source, target, sitk.sitkBSpline, OUTSIDE, sitk.sitkFloat32)
    assert np.array_equal(resample_intensity(values, source, target, OUTSIDE), wanted)


def test_the_spline_goes_through_its_voxels_and_keeps_a_cubic():
    z, y, x = np.indices((40, 40, 40)).astype(np.float64)
    cubic = 1e-3 * (x - 20) ** 3 - 0.02 * (y - 20) ** 2 + z
    places = (np.arange(15.0, 25.0), np.arange(15.0, 25.0, 0.5), np.arange(15.0, 25.0, 0.25))
    z, y, x = np.meshgrid(*places, indexing="ij")
    wanted = 1e-3 * (x - 20) ** 3 - 0.02 * (y - 20) ** 2 + z
    np.testing.assert_allclose(resample_spline(cubic, places, 0.0), wanted, rtol=0, atol=5e-5)


def test_places_beyond_half_a_voxel_are_outside():
    line = np.arange(10.0).reshape(1, 1, 10)
    places = np.array([-0.51, -0.5, 0.0, 9.0, 9.49, 9.5])
    found = resample_spline(line, (np.zeros(1), np.zeros(1), places), -7.0)[0, 0]
    assert (found == -7.0).tolist() == [True, False, False, False, False, True]
