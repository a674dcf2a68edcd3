"""One image has one key, however it is written down; another image has another."""

import numpy as np
import pytest
import SimpleITK as sitk

from engine.geometry import grid_of, to_image
from engine.segment.image_key import image_key, known_keys
from store.volumes import CtSeries, Grid, ct_key

HU = np.random.default_rng(0).integers(-1000, 400, (4, 5, 6)).astype(np.int16)
GRID = Grid((6, 5, 4), (0.9765625, 0.9765625, 3.0), (-249.6005, -380.1, -123.4))
CT = CtSeries(HU, GRID)


def read(image: sitk.Image) -> CtSeries:
    return CtSeries(sitk.GetArrayFromImage(image), grid_of(image))


def through_nifti(tmp_path) -> CtSeries:
    """NIfTI keeps the origin in 32 bits: -249.6005, at the edge of a rounding to 1e-3 mm, comes back otherwise."""
    path = str(tmp_path / "image.nii.gz")
    sitk.WriteImage(to_image(HU, GRID), path)
    return read(sitk.ReadImage(path))


def test_a_round_trip_through_nifti_keeps_the_key(tmp_path):
    again = through_nifti(tmp_path)
    assert again.grid.origin_mm != GRID.origin_mm
    assert image_key(again) == image_key(CT)
    assert ct_key(again) != ct_key(CT)


@pytest.mark.parametrize("orientation", ["RAS", "LAS", "PIR", "SLP"])
def test_turning_the_axes_keeps_the_key(orientation):
    turned = read(sitk.DICOMOrient(to_image(HU, GRID), orientation))
    assert turned.intensity_hu.shape != HU.shape or not np.array_equal(turned.intensity_hu, HU)
    assert image_key(turned) == image_key(CT)


def test_negative_zeros_and_float_voxels_keep_the_key():
    zeros = Grid(GRID.size_xyz, GRID.spacing_mm, GRID.origin_mm, (1.0, -0.0, 0.0, 0.0, 1.0, 0.0, 0.0, -0.0, 1.0))
    assert image_key(CtSeries(HU, zeros)) == image_key(CT)
    assert image_key(CtSeries(HU.astype(np.float32) + np.float32(1e-3), GRID)) == image_key(CT)


def test_an_oblique_series_has_its_key_through_nifti_too(tmp_path):
    angle = np.radians(12.0)
    turn = (1.0, 0.0, 0.0, 0.0, np.cos(angle), -np.sin(angle), 0.0, np.sin(angle), np.cos(angle))
    oblique = CtSeries(HU, Grid(GRID.size_xyz, GRID.spacing_mm, GRID.origin_mm, turn))
    sitk.WriteImage(to_image(HU, oblique.grid), str(tmp_path / "o.nii.gz"))
    assert image_key(read(sitk.ReadImage(str(tmp_path / "o.nii.gz")))) == image_key(oblique)


def test_one_voxel_or_another_shape_is_another_image():
    other = HU.copy()
    other[0, 0, 0] += 1
    assert image_key(CtSeries(other, GRID)) != image_key(CT)
    flat = Grid((30, 4, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    assert image_key(CtSeries(HU.reshape(1, 4, 30), flat)) != image_key(CT)
    mirrored = CtSeries(np.ascontiguousarray(HU[:, :, ::-1]), GRID)
    assert image_key(mirrored) != image_key(CT)


def test_both_names_of_an_image_are_known():
    assert known_keys(CT) == {image_key(CT), ct_key(CT)}
