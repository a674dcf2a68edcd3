"""Lungs by threshold against outlined ones, and none where there are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from engine.geometry import grid_of
from engine.phantom.branches import occupancy
from engine.phantom.case import Phantom
from engine.phantom.mediastinum import central_airways
from engine.phantom.training_set import unseen_phantom
from engine.protocol import Segment
from engine.segment.lung_quality import quality_of
from engine.segment.lungs import find_lungs
from engine.segment.segmentation import segment
from store.volumes import BoolZyx, CtSeries, Grid, ReferenceMasks

FREE, COSTAL = 2, 45  # numbers of unseen phantoms
FLUID_HU, LUNG_HU = 12, -840
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
    assert dsc(lungs.left, np.isin(labels, (1, 2))) >= 0.97
    assert dsc(lungs.right, labels == 3) >= 0.97
    assert not (lungs.left & lungs.right).any()
    # the RTSTRUCT's own contours: left 2269 ml and 156 ml of tumour, 16 ml of it in both; right 2961 ml
    assert lungs.left.sum() * grid.voxel_ml == pytest.approx(2269 + 156 - 16, rel=0.03)
    assert lungs.right.sum() * grid.voxel_ml == pytest.approx(2961, rel=0.03)
    assert not lungs.quality.doubtful


def test_a_coarse_chest_has_both_lungs(shared):
    whole, _ = read(shared / "data" / "cip_small_ct" / "wholeLung-64.nrrd")
    lungs = find_lungs(series(shared / "data" / "cip_small_ct" / "ct-64.nrrd"))
    assert lungs is not None
    assert dsc(lungs.left | lungs.right, whole > 0) >= 0.96


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
    assert lungs.quality.cut_share > 0.5
    assert lungs.quality.doubtful


def test_air_alone_has_no_lungs():
    grid = Grid((40, 40, 40), (3.0, 3.0, 3.0), (0.0, 0.0, 0.0))
    assert find_lungs(CtSeries(np.full(grid.shape_zyx, -1000, dtype=np.int16), grid)) is None


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return unseen_phantom(FREE)


def ct_of(phantom: Phantom, painted: BoolZyx, mean_hu: int) -> CtSeries:
    """The phantom with a region of one tissue and the noise of 15 HU painted in."""
    intensity = phantom.intensity_hu.copy()
    noise = np.random.default_rng(1).normal(0, 15, int(painted.sum()))
    intensity[painted] = np.rint(mean_hu + noise).astype(np.int16)
    return CtSeries(intensity, phantom.grid)


def test_a_tumour_at_the_wall_is_closed_in_whole_when_it_is_known():
    phantom = unseen_phantom(COSTAL)
    assert phantom.case.tumour.kind == "costal"
    assert phantom.truth.touches_wall
    ct = CtSeries(phantom.intensity_hu, phantom.grid)
    known, unknown = find_lungs(ct, phantom.tumour), find_lungs(ct)
    assert ((known.left | known.right) & phantom.tumour).sum() > 0.95 * phantom.tumour.sum()
    assert ((unknown.left | unknown.right) & phantom.tumour).sum() < 0.7 * phantom.tumour.sum()
    assert dsc(known.left, phantom.lung_left) > 0.96
    assert dsc(known.right, phantom.lung_right) > 0.96


def test_fluid_at_the_base_is_not_lung_and_lowers_the_volume_ratio(phantom):
    lung = phantom.lung_right
    depth = ndimage.distance_transform_edt(lung, sampling=phantom.grid.spacing_zyx_mm)
    levels = np.flatnonzero(lung.any(axis=(1, 2)))
    low = np.arange(lung.shape[0])[:, None, None] < levels[0] + 0.4 * len(levels)
    behind = np.arange(lung.shape[1])[None, :, None] > lung.shape[1] / 2
    fluid = lung & low & behind & (depth < 25)
    assert fluid.sum() * phantom.grid.voxel_ml > 150
    lungs = find_lungs(ct_of(phantom, fluid, FLUID_HU))
    assert dsc(lungs.right, lung & ~fluid) > 0.95
    assert dsc(lungs.left, phantom.lung_left) > 0.96
    assert (lungs.right & fluid).sum() < 0.15 * fluid.sum()
    dry = find_lungs(CtSeries(phantom.intensity_hu, phantom.grid))
    assert lungs.quality.volume_ratio < dry.quality.volume_ratio - 0.05


def test_a_lung_full_of_fluid_is_doubtful(phantom):
    lung = phantom.lung_right
    levels = np.flatnonzero(lung.any(axis=(1, 2)))
    low = np.arange(lung.shape[0])[:, None, None] < levels[0] + 0.6 * len(levels)
    lungs = find_lungs(ct_of(phantom, lung & low, FLUID_HU))
    assert lungs.quality.volume_ratio < 0.5
    assert lungs.quality.doubtful


def test_lungs_that_touch_in_front_are_parted(phantom):
    both = phantom.lung_left | phantom.lung_right
    x = np.arange(both.shape[2])
    bridge = np.zeros_like(both)
    for z in np.flatnonzero(phantom.lung_left.any(axis=(1, 2)) & phantom.lung_right.any(axis=(1, 2)))[15:40]:
        left, right = (np.argwhere(m[z]) for m in (phantom.lung_left, phantom.lung_right))
        front = max(int(left[:, 0].min()), int(right[:, 0].min()))
        inner_left = left[left[:, 0] <= front + 2, 1].min()
        inner_right = right[right[:, 0] <= front + 2, 1].max()
        bridge[z, front : front + 3] = (x >= inner_right) & (x <= inner_left)
    assert ndimage.label(both | bridge)[1] < ndimage.label(both)[1]
    lungs = find_lungs(ct_of(phantom, bridge & ~both, LUNG_HU))
    assert dsc(lungs.left, phantom.lung_left) > 0.95
    assert dsc(lungs.right, phantom.lung_right) > 0.95


def test_trachea_and_main_bronchi_are_not_lung(phantom):
    lumen = (occupancy(central_airways()) > 0.9) & (phantom.intensity_hu < -850)
    lungs = find_lungs(CtSeries(phantom.intensity_hu, phantom.grid))
    assert lumen.sum() * phantom.grid.voxel_ml > 5
    assert ((lungs.left | lungs.right) & lumen).sum() < 0.05 * lumen.sum()


def test_a_scan_that_ends_within_the_lungs_is_doubtful(phantom):
    ends = np.flatnonzero(phantom.lung_left.any(axis=(1, 2)))
    cut = int(ends.mean())
    grid = phantom.grid
    origin = (*grid.origin_mm[:2], grid.origin_mm[2] + cut * grid.spacing_mm[2])
    upper = Grid((*grid.size_xyz[:2], grid.size_xyz[2] - cut), grid.spacing_mm, origin)
    ct = CtSeries(np.ascontiguousarray(phantom.intensity_hu[cut:]), upper)
    quality = find_lungs(ct).quality
    assert quality.cut_share > 0.8
    assert quality.doubtful
    said = {flag.code: flag.message for flag in segment(ct, ReferenceMasks(()), Segment(), None).flags}
    assert set(said) == {"lungs_threshold", "lungs_doubtful"}
    assert f"cut at {100 * quality.cut_share:.0f} % of their area" in said["lungs_threshold"]


def test_the_figures_of_two_blocks_are_those_of_their_voxels():
    """Lungs of 4 x 6 x 2 and 4 x 6 x 3 voxels, up to the last slice and to the first row."""
    left, right, air = (np.zeros((6, 8, 10), dtype=np.bool_) for _ in range(3))
    right[2:, 0:6, 1:3] = True
    left[2:, 0:6, 6:9] = True
    air[:, :, :5] = True
    quality = quality_of(left, right, air)
    assert quality.volume_ratio == pytest.approx(2 / 3)
    assert quality.closed_share == pytest.approx(3 / 5)  # all of the left one
    assert quality.border_share == pytest.approx(1 / 6)
    assert quality.cut_share == 1
