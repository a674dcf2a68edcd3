"""Turned and shifted grids, thick slices and noise do to an image what they say."""

import numpy as np
import pytest
import SimpleITK as sitk

from engine.geometry import resample_intensity, resample_mask, to_image, to_reference, turned_grid
from engine.metrics.image_changes import perturbed_ct, perturbed_grid, thick_grid, thickened
from store.records import PerturbedImage
from store.volumes import CtSeries, Grid

OBLIQUE = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)
GRIDS = (
    Grid((20, 31, 17), (0.9, 0.9, 3.0), (-3.0, 4.0, 5.0)),
    Grid((25, 24, 30), (0.72, 0.8, 0.64), (0.0, 0.0, 0.0), OBLIQUE),
)
CHANGE = PerturbedImage(
    "", rotation_degrees=7.0, pivot_x_mm=5.0, pivot_y_mm=15.0, pivot_z_mm=20.0, shift_x_mm=0.3, shift_y_mm=-0.2
)


def by_itk(array, source, target, interpolator, outside, kind):
    image = to_image(array, source)
    found = sitk.Resample(image, to_reference(target), sitk.Transform(), interpolator, outside, kind)
    return sitk.GetArrayFromImage(found)


@pytest.mark.parametrize("grid", GRIDS)
def test_a_ct_on_a_turned_grid_takes_the_values_that_itk_gives(grid):
    values = np.random.default_rng(1).integers(-1000, 400, grid.shape_zyx).astype(np.int16)
    target = perturbed_grid(grid, 1.0, CHANGE)
    wanted = by_itk(values.astype(np.float32), grid, target, sitk.sitkBSpline, -1000.0, sitk.sitkFloat32)
    found = resample_intensity(values, grid, target, -1000.0)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-3)
    assert 0.02 < (found == -1000.0).mean() < 0.5  # the corners that turned out of the image


@pytest.mark.parametrize("grid", GRIDS)
def test_a_mask_on_a_turned_grid_takes_the_voxels_that_itk_gives(grid):
    mask = np.random.default_rng(2).random(grid.shape_zyx) > 0.5
    target = perturbed_grid(grid, 1.0, CHANGE)
    wanted = by_itk(mask, grid, target, sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8) > 0
    assert np.array_equal(resample_mask(mask, grid, target), wanted)


def test_a_grid_turned_by_a_right_angle_sees_the_image_turned_back():
    grid = Grid((5, 5, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    mask = np.zeros(grid.shape_zyx, dtype=bool)
    mask[0, 2, 4] = True  # beyond the centre along +x
    seen = resample_mask(mask, grid, turned_grid(grid, 90.0, (2.0, 2.0, 0.0), (0.0, 0.0, 0.0)))
    assert np.argwhere(seen).tolist() == [[0, 0, 2]]  # the turned grid's -y


def test_a_shifted_grid_sees_the_image_shifted_back():
    grid = Grid((9, 9, 9), (1.0, 2.0, 3.0), (0.0, 0.0, 0.0), OBLIQUE)
    mask = np.zeros(grid.shape_zyx, dtype=bool)
    mask[4, 4, 4] = True
    shifted = turned_grid(grid, 0.0, (0.0, 0.0, 0.0), (1.0, -2.0, 3.0))
    assert np.argwhere(resample_mask(mask, grid, shifted)).tolist() == [[3, 5, 3]]


def test_a_grid_that_nothing_moves_is_the_feature_grid():
    assert perturbed_grid(GRIDS[0], 1.0, PerturbedImage("")).origin_mm == (-3.0 + 0.05, 4.0 + 0.05, 5.0 - 1.0)
    assert perturbed_grid(GRIDS[0], 1.0, PerturbedImage("", voxel_mm=2.0)).spacing_mm == (2.0, 2.0, 2.0)


def test_thick_slices_are_means_by_length_of_what_they_cover():
    grid = Grid((1, 1, 5), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0))
    ct = CtSeries(np.array([0, 10, 20, 30, 40], dtype=np.int16).reshape(5, 1, 1), grid)
    thick = thickened(ct, 3.0)
    # 0-3 mm: slice 0 whole, half of 1; 3-6: the other half of 1, slice 2; 6-9: slice 3, half of 4; 9-10: the rest of 4
    assert thick.intensity_hu.ravel() == pytest.approx([10 / 3, 50 / 3, 100 / 3, 40])
    assert thick.grid.origin_mm[2] == 0.5


def test_slices_cannot_be_made_thinner():
    with pytest.raises(ValueError, match="slice_mm must exceed the slice spacing of 3 mm"):
        thick_grid(GRIDS[0], 3.0)


def test_noise_is_added_on_the_ct_own_grid_and_repeats_by_its_seed():
    ct = CtSeries(np.zeros((30, 30, 30), dtype=np.int16), Grid((30, 30, 30), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))
    change = PerturbedImage("", noise_sd_hu=12.0, noise_seed=5)
    one, other = perturbed_ct(ct, change), perturbed_ct(ct, change)
    assert np.array_equal(one.intensity_hu, other.intensity_hu)
    assert one.intensity_hu.std() == pytest.approx(12.0, rel=0.02)
    assert perturbed_ct(ct, PerturbedImage("")) is ct


def test_a_change_says_whether_it_moves_the_grid_or_changes_the_image():
    assert CHANGE.moves
    assert CHANGE.changes
    assert PerturbedImage("", noise_sd_hu=1.0).changes
    assert not PerturbedImage("", noise_sd_hu=1.0).moves
    assert not PerturbedImage("x").changes
    with pytest.raises(ValueError, match="noise_sd_hu must not be negative"):
        PerturbedImage("x", noise_sd_hu=-1.0)
