"""The sliding window against the plain network, and the stage on unseen phantoms with the shipped model."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.phantom.training_set import as_case, unseen_phantom
from engine.protocol import Segment
from engine.segment.model import find_model
from engine.segment.nnunet import EMBEDDED_STAGE, load_model
from engine.segment.segmentation import segment
from engine.segment.sliding_window import (
    Logits,
    mean_entropy,
    model_grid,
    predict_logits,
    structure_mask,
    tile_corners,
    to_model_grid,
    without_crumbs,
)
from store.volumes import CtSeries, Grid, MaskSet, ReferenceMasks

BIG_FREE_TUMOUR = 2  # number of an unseen phantom, see test_the_case_is_a_big_free_tumour
SMALL_GRID = Grid((12, 10, 8), (3.0, 3.0, 3.0), (0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def demo():
    return load_model(find_model("demo"), "cpu")


@pytest.fixture(scope="module")
def phantom():
    return unseen_phantom(BIG_FREE_TUMOUR)


@pytest.fixture(scope="module")
def segmented(phantom):
    return segment(as_case(phantom)[0], ReferenceMasks(()), Segment(), find_model("demo"))


def dsc(one, other) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def logits_of(values) -> Logits:
    return Logits(values, SMALL_GRID, np.zeros((2, 2, 2, 3), dtype=np.float32), (4, 4, 4))


def test_one_tile_is_the_network_on_the_whole_image(demo):
    volume = np.random.default_rng(1).standard_normal(demo.manifest.patch_zyx, dtype=np.float32)
    z, y, x = volume.shape
    grid = Grid((x, y, z), demo.manifest.spacing_mm, (0.0, 0.0, 0.0))
    logits = predict_logits(volume, grid, demo, 0.5)
    whole = demo.forward(volume[None, None])
    assert np.allclose(logits.values, whole.logits[0], atol=1e-4)
    assert np.allclose(logits.features, whole.features[0], atol=1e-4)


def test_tiles_cover_a_volume_and_advance_by_at_most_the_step():
    corners = tile_corners((96, 96, 128), (32, 48, 64), 0.5, (4, 4, 4))
    covered = np.zeros((96, 96, 128), dtype=np.bool_)
    for z, y, x in corners:
        covered[z : z + 32, y : y + 48, x : x + 64] = True
    assert covered.all()
    assert sorted({c[0] for c in corners}) == [0, 16, 32, 48, 64]


def test_equal_logits_have_the_entropy_of_a_fair_choice():
    values = np.zeros((4, *SMALL_GRID.shape_zyx), dtype=np.float32)
    assert mean_entropy(values, np.ones(SMALL_GRID.shape_zyx, dtype=np.bool_)) == pytest.approx(math.log(4), rel=1e-6)
    assert mean_entropy(values, np.zeros(SMALL_GRID.shape_zyx, dtype=np.bool_)) is None


def test_a_mask_returns_unchanged_to_the_grid_that_it_was_predicted_on():
    values = np.zeros((2, *SMALL_GRID.shape_zyx), dtype=np.float32)
    values[1] = -1
    values[1, 2:5, 3:7, 4:12] = 1
    found = structure_mask(logits_of(values), 1, SMALL_GRID)
    assert np.array_equal(found, values[1] > 0)


def test_a_label_that_never_leads_gives_an_empty_mask():
    values = np.zeros((2, *SMALL_GRID.shape_zyx), dtype=np.float32)
    values[1] = -1
    assert not structure_mask(logits_of(values), 1, SMALL_GRID).any()


def test_crumbs_go_and_large_pieces_stay():
    mask = np.zeros((8, 10, 12), dtype=np.bool_)
    mask[0, 0, 0] = True
    mask[4:7, 4:7, 4:7] = True
    kept = without_crumbs(mask, voxel_ml=0.027, smallest_ml=0.05)
    assert kept.sum() == 27
    assert not kept[0, 0, 0]


def test_resampling_to_the_own_grid_changes_nothing(phantom):
    ct, _ = as_case(phantom)
    assert np.allclose(to_model_grid(ct, model_grid(ct.grid, ct.grid.spacing_mm)), ct.intensity_hu)


def test_the_case_is_a_big_free_tumour(phantom):
    assert phantom.case.tumour.kind == "free"
    assert phantom.truth.longest_diameter_mm >= 25


def test_the_demo_model_finds_it(phantom, segmented):
    found = segmented.masks.find("tumour")
    assert found.origin == "automatic"
    assert found.source == find_model("demo").sha256[:12]
    assert dsc(found.voxels, phantom.tumour) > 0.7
    assert segmented.segmentation[0].tumour_found
    assert 0 <= segmented.segmentation[0].mean_entropy <= math.log(4)


def test_the_demo_model_gives_both_lungs(phantom, segmented):
    assert segmented.segmentation[0].lungs_method == "model"
    assert dsc(segmented.masks.find("lung_left").voxels, phantom.lung_left_without_tumour) > 0.95
    assert dsc(segmented.masks.find("lung_right").voxels, phantom.lung_right_without_tumour) > 0.95


def test_the_encoder_features_of_the_whole_ct_are_kept_with_their_grid_and_model(demo, phantom, segmented):
    found = segmented.features
    channels = demo.manifest.architecture.features_per_stage[EMBEDDED_STAGE]
    assert (found.stage, found.model_sha256) == (EMBEDDED_STAGE, find_model("demo").sha256)
    assert found.grid == model_grid(as_case(phantom)[0].grid, demo.manifest.spacing_mm)
    assert found.values.shape[0] == channels
    covered = np.array(found.values.shape[1:]) * found.stride_zyx
    assert (covered >= found.grid.shape_zyx).all()
    assert np.isfinite(found.values).all()


def test_an_image_without_a_chest_gives_an_empty_tumour_and_no_lungs():
    grid = Grid((64, 48, 32), (3.0, 3.0, 3.0), (0.0, 0.0, 0.0))
    air = CtSeries(np.full(grid.shape_zyx, -1000, dtype=np.int16), grid)
    result = segment(air, ReferenceMasks(()), Segment(), find_model("demo"))
    assert not result.masks.find("tumour").voxels.any()
    assert not result.segmentation[0].tumour_found
    assert result.segmentation[0].mean_entropy is None
    assert {flag.code for flag in result.flags} == {"no_tumour", "no_lungs"}


def test_without_a_model_lungs_come_from_thresholding_and_say_so(phantom):
    result = segment(as_case(phantom)[0], ReferenceMasks(()), Segment(), None)
    assert result.masks.find("tumour") is None
    assert result.segmentation[0].lungs_method == "threshold"
    assert result.features.model_sha256 == ""
    assert result.features.values.size == 0
    assert [flag.code for flag in result.flags] == ["lungs_threshold"]
    assert dsc(result.masks.find("lung_left").voxels, phantom.lung_left) > 0.95


def test_without_model_and_fallback_there_are_no_lungs(phantom):
    result = segment(as_case(phantom)[0], ReferenceMasks(()), Segment(lungs_fallback=False), None)
    assert result.masks.masks == ()
    assert [flag.code for flag in result.flags] == ["no_lungs"]


def test_outlined_lungs_are_left_alone(phantom):
    ct, masks = as_case(phantom)
    outlined: MaskSet = ReferenceMasks(tuple(m for m in masks.masks if m.structure != "tumour"))
    result = segment(ct, outlined, Segment(), None)
    assert result.masks.masks == ()
    assert result.segmentation[0].lungs_method == "outlined"
    assert result.flags == ()


def test_beside_one_outlined_lung_the_other_is_made_and_said(phantom):
    ct, masks = as_case(phantom)
    outlined = ReferenceMasks(tuple(m for m in masks.masks if m.structure == "lung_left"))
    result = segment(ct, outlined, Segment(), None)
    (made,) = result.masks.masks
    assert made.structure == "lung_right"
    assert dsc(made.voxels, phantom.lung_right) > 0.95
    assert not (made.voxels & outlined.masks[0].voxels).any()
    assert result.segmentation[0].lungs_method == "threshold"
    said = {flag.code: flag.message for flag in result.flags}
    assert set(said) == {"one_lung_outlined", "lungs_threshold"}
    assert said["one_lung_outlined"] == "Only the left lung is outlined; the other comes from the threshold."


def test_one_outlined_lung_is_used_though_the_other_is_not_found(phantom):
    ct, masks = as_case(phantom)
    outlined = ReferenceMasks(tuple(m for m in masks.masks if m.structure == "lung_right"))
    result = segment(ct, outlined, Segment(lungs_fallback=False), None)
    assert result.masks.masks == ()
    assert result.segmentation[0].lungs_method == "outlined"
    assert [flag.message for flag in result.flags] == ["Only the right lung is outlined; the other was not found."]
