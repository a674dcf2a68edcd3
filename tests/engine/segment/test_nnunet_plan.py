"""What is prepared for a training: the image that inference will feed, the labels where they lie, no code."""

import json

import blosc2
import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from engine.geometry import grid_of, to_image
from engine.segment.nnunet_plan import PLACES, check_patch, make_plans, manifest_of, prepared_name, write_prepared
from engine.segment.resampling import facing, facing_grid, passage, to_model
from engine.training_protocol import Train
from store.records import DeclinedError
from store.volumes import CtSeries, Grid
from tests.engine.segment.trainings import FREE, TINY, WITH_TUMOUR, labelled, planned

NAMES = ("background", "tumour")
THIN = Grid((60, 56, 40), (1.4, 1.4, 2.0), (-10.0, 5.0, 100.0))
THICK = Grid((60, 56, 16), (1.5, 1.5, 7.0), (0.0, 0.0, 0.0))
TURNED = Grid((60, 56, 40), (1.4, 1.4, 2.0), (0.0, 0.0, 0.0), (-1, 0, 0, 0, -1, 0, 0, 0, 1))


@pytest.fixture(scope="module")
def plans():
    return json.loads(planned((*FREE, *WITH_TUMOUR)).plan[0].plans_json)


def chest(grid: Grid) -> CtSeries:
    """Smooth structures and noise between -900 and 200 HU."""
    rng = np.random.default_rng(3)
    rough = ndimage.gaussian_filter(rng.normal(0, 1, grid.shape_zyx), 2)
    hu = -350 + 400 * rough / rough.std() + rng.normal(0, 20, grid.shape_zyx)
    return CtSeries(np.rint(np.clip(hu, -900, 200)).astype(np.int16), grid)


def block(grid: Grid) -> np.ndarray:
    labels = np.zeros(grid.shape_zyx, dtype=np.int16)
    labels[4:10, 20:35, 12:30] = 1
    return labels


def prepared(folder, name: str) -> tuple[np.ndarray, np.ndarray]:
    return tuple(blosc2.open(str(folder / f"{name}{end}.b2nd"))[:][0] for end in ("", "_seg"))


@pytest.mark.parametrize("grid", [THIN, THICK, TURNED], ids=["thin", "thick", "turned"])
def test_a_model_is_trained_on_the_image_that_inference_feeds_it(plans, tmp_path, grid):
    """The plans' grid has 3 mm: every axis is resampled, one of a thick series beyond nnU-Net's threshold."""
    ct = chest(grid)
    write_prepared(tmp_path, "case", ct, block(grid), plans, NAMES)
    image, _ = prepared(tmp_path, "case")
    manifest = manifest_of(plans, NAMES, "m", "t")
    assert manifest.spacing_mm == (3.0, 3.0, 3.0)
    way = passage(facing_grid(grid), manifest)
    fed = to_model(facing(ct.intensity_hu, grid), way, tuple(slice(0, n) for n in way.model.shape_zyx), manifest)
    assert image.shape == fed.shape != facing(ct.intensity_hu, grid).shape
    assert np.abs(image - fed).max() * manifest.hu_sd < 0.5  # HU; the noise of the image has 20


def test_labels_are_resampled_with_the_image_and_their_places_noted(plans, tmp_path):
    write_prepared(tmp_path, "case", chest(THIN), block(THIN), plans, NAMES)
    _, labels = prepared(tmp_path, "case")
    volume = block(THIN).sum() * np.prod(THIN.spacing_mm)
    assert (labels == 1).sum() * 27.0 == pytest.approx(volume, rel=0.15)
    places = np.load(tmp_path / f"case{PLACES}", allow_pickle=False)
    assert set(places[:, 0]) == {1}
    assert (labels[tuple(places[:, 2:].T)] == 1).all()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["case.b2nd", "case_places.npy", "case_seg.b2nd"]


def test_an_image_turned_over_is_prepared_as_the_same(plans, tmp_path):
    ct, labels = chest(THIN), block(THIN)
    turned, marked = (sitk.DICOMOrient(to_image(array, THIN), "RAS") for array in (ct.intensity_hu, labels))
    other = CtSeries(sitk.GetArrayFromImage(turned), grid_of(turned))
    write_prepared(tmp_path, "one", ct, labels, plans, NAMES)
    write_prepared(tmp_path, "other", other, sitk.GetArrayFromImage(marked), plans, NAMES)
    for one, same in zip(prepared(tmp_path, "one"), prepared(tmp_path, "other"), strict=True):
        assert np.array_equal(one, same)


def test_one_voxel_of_a_contour_makes_another_name():
    ct, labels = chest(THIN), block(THIN)
    corrected = labels.copy()
    corrected[0, 0, 0] = 1
    assert prepared_name(ct, labels) == prepared_name(ct, labels.copy())
    assert prepared_name(ct, labels) != prepared_name(ct, corrected)


def planned_with(**sizes) -> tuple[dict, Train]:
    train = Train.model_validate(sizes)
    plans = make_plans([labelled(name).fingerprint for name in FREE], ("background", "lung_left", "lung_right"), train)
    return plans, train


def test_seven_stages_on_a_planned_patch_are_declined_before_any_training():
    with pytest.raises(DeclinedError, match=r"the patch that nnU-Net plans, .* multiple of 64 x 64 x 64"):
        check_patch(*planned_with(features=(8,) * 7))


def test_a_patch_that_the_planned_network_cannot_take_is_declined():
    with pytest.raises(DeclinedError, match=r"train\.patch_zyx, 9 x 16 x 16 voxels, .* that nnU-Net plans"):
        check_patch(*planned_with(patch_zyx=(9, 16, 16)))


def test_a_patch_of_one_cell_at_the_bottom_is_declined():
    """Instance normalisation of a single cell is not defined; torch refuses it in the middle of training."""
    with pytest.raises(DeclinedError, match="more than that along one axis"):
        check_patch(*planned_with(features=(4, 8, 8, 8), patch_zyx=(8, 8, 8)))


def test_what_nnunet_plans_alone_and_what_presets_name_fits():
    for sizes in ({}, TINY.model_dump()):
        check_patch(*planned_with(**sizes))


def test_such_a_plan_is_declined_as_a_stage():
    with pytest.raises(DeclinedError, match=r"name train\.features and train\.patch_zyx together"):
        planned((*FREE, *WITH_TUMOUR), TINY.model_copy(update={"features": (8,) * 7, "patch_zyx": ()}))
