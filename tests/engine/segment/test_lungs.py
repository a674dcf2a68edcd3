"""Lungs by threshold against outlined ones, and none where there are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from engine.geometry import grid_of
from engine.segment.lungs import find_lungs
from store.volumes import BoolZyx, CtSeries, Grid

SARCOMAS = ("001", "003", "008", "010", "012", "015", "018", "019", "024", "025", "035", "042")


def read(path: Path) -> tuple[np.ndarray, Grid]:
    image = sitk.ReadImage(str(path))
    return sitk.GetArrayFromImage(image), grid_of(image)


def series(path: Path) -> CtSeries:
    array, grid = read(path)
    return CtSeries(array.astype(np.int16), grid)


def dsc(one: BoolZyx, other: BoolZyx) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def test_a_lung_cancer_patient_has_both_lungs_with_the_tumour_closed_in(shared):
    labels, grid = read(shared / "data" / "lung1_001" / "labels_3mm.nii.gz")
    lungs = find_lungs(series(shared / "data" / "lung1_001" / "ct_3mm.nii.gz"), labels == 1)
    assert lungs is not None
    assert dsc(lungs.left | lungs.right, np.isin(labels, (1, 2, 3))) >= 0.95
    assert dsc(lungs.right, labels == 3) >= 0.95
    assert not (lungs.left & lungs.right).any()
    # the RTSTRUCT's own contours: left 2269 ml, right 2961 ml (README of the data)
    assert lungs.left.sum() * grid.voxel_ml == pytest.approx(2269, rel=0.08)
    assert lungs.right.sum() * grid.voxel_ml == pytest.approx(2961, rel=0.08)


def test_a_coarse_chest_has_both_lungs(shared):
    whole, _ = read(shared / "data" / "cip_small_ct" / "wholeLung-64.nrrd")
    lungs = find_lungs(series(shared / "data" / "cip_small_ct" / "ct-64.nrrd"))
    assert lungs is not None
    assert dsc(lungs.left | lungs.right, whole > 0) >= 0.95


def test_left_is_towards_larger_x_even_when_the_array_is_stored_mirrored(shared):
    ct = series(shared / "data" / "cip_small_ct" / "ct-64.nrrd")
    image = sitk.GetImageFromArray(np.ascontiguousarray(ct.intensity_hu[:, :, ::-1]))
    last_x = ct.grid.origin_mm[0] + (ct.grid.size_xyz[0] - 1) * ct.grid.spacing_mm[0]
    image.SetSpacing(ct.grid.spacing_mm)
    image.SetOrigin((last_x, *ct.grid.origin_mm[1:]))
    image.SetDirection((-1, 0, 0, 0, 1, 0, 0, 0, 1))
    plain = find_lungs(ct)
    mirrored = find_lungs(CtSeries(sitk.GetArrayFromImage(image), grid_of(image)))
    assert plain is not None
    assert mirrored is not None
    assert np.argwhere(plain.left)[:, 2].mean() > np.argwhere(plain.right)[:, 2].mean()
    assert dsc(plain.left, mirrored.left[:, :, ::-1]) > 0.99


@pytest.mark.parametrize("patient", SARCOMAS)
def test_legs_and_trunks_have_no_lungs(shared, patient):
    assert find_lungs(series(shared / "data" / "sts_ct" / f"STS_{patient}_CT_image.nii.gz")) is None


def test_a_crop_about_one_lung_gives_that_lung_alone(shared):
    ct = series(shared / "data" / "ibsi1_ct_phantom" / "image.nii.gz")
    lungs = find_lungs(ct)
    assert lungs is not None
    assert lungs.lone
    found = lungs.left | lungs.right
    # cropped at both ends: less than a whole lung, all of it aerated parenchyma
    assert 700 < found.sum() * ct.grid.voxel_ml < 1500
    assert -850 < ct.intensity_hu[found].mean() < -600


def test_air_alone_has_no_lungs():
    grid = Grid((40, 40, 40), (3.0, 3.0, 3.0), (0.0, 0.0, 0.0))
    assert find_lungs(CtSeries(np.full(grid.shape_zyx, -1000, dtype=np.int16), grid)) is None
