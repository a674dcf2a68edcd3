"""The stage on unseen phantoms with the shipped model."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation, binary_erosion

from engine.geometry import index_to_points_mm, points_to_index
from engine.phantom.training_set import as_case, unseen_phantom
from engine.protocol import Segment
from engine.segment.model import describe_model, file_sha256, find_model, read_manifest, write_manifest
from engine.segment.nnunet import EMBEDDED_STAGE, build_network, hardware, save_slim
from engine.segment.segmentation import segment
from engine.segment.sliding_window import model_grid, to_model_grid, without_crumbs
from store.records import RefusedError
from store.volumes import CtSeries, Grid, MaskSet, ReferenceMasks

BIG_FREE_TUMOUR = 2  # number of an unseen phantom, see test_the_case_is_a_big_free_tumour


@pytest.fixture(scope="module")
def phantom():
    return unseen_phantom(BIG_FREE_TUMOUR)


@pytest.fixture(scope="module")
def segmented(phantom):
    return segment(as_case(phantom)[0], ReferenceMasks(()), Segment(), find_model("demo"))


def dsc(one, other) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


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


def test_the_encoder_features_of_the_swept_box_are_kept_with_their_grid_and_model(phantom, segmented):
    found, model = segmented.features, find_model("demo")
    manifest = read_manifest(Path(model.manifest_path))
    channels = manifest.architecture.features_per_stage[EMBEDDED_STAGE]
    assert (found.stage, found.model_sha256) == (EMBEDDED_STAGE, model.sha256)
    ct = as_case(phantom)[0]
    whole = segment(ct, ReferenceMasks(()), Segment(crop=False, tile_step_share=1.0), model).features
    grid = model_grid(ct.grid, manifest.spacing_mm)
    assert (whole.grid.origin_mm, whole.grid.spacing_mm) == (grid.origin_mm, grid.spacing_mm)
    assert whole.grid.shape_zyx == tuple(np.maximum(grid.shape_zyx, manifest.patch_zyx))
    tumour = np.argwhere(phantom.tumour)[:, ::-1].astype(np.float64)
    inside = points_to_index(index_to_points_mm(tumour, ct.grid), found.grid)
    assert (inside >= 0).all()
    assert (inside < found.grid.size_xyz).all()
    assert found.values.shape[0] == channels
    covered = np.array(found.values.shape[1:]) * found.stride_zyx
    assert (covered >= found.grid.shape_zyx).all()
    assert np.isfinite(found.values).all()


def test_how_the_masks_were_made_is_recorded(segmented):
    (record,), (doubt,) = segmented.segmentation, segmented.uncertainty
    assert (record.device, record.hardware) == ("cpu", hardware("cpu"))
    assert record.hardware
    assert record.drawn_around == "lungs"
    assert record.members == 1
    assert record.fallback == ""
    assert record.mean_entropy == doubt.mean_entropy
    assert doubt.components >= 1
    assert doubt.disagreement is None
    assert 0.5 < doubt.largest_probability <= 1


def test_where_the_model_wavers_is_a_rim_of_the_tumour_and_no_tumour(segmented):
    (doubt,), tumour = segmented.doubt.masks, segmented.masks.find("tumour")
    assert (doubt.structure, doubt.source) == ("doubt", tumour.source)
    assert segmented.doubt.find("tumour") is None
    near = binary_dilation(tumour.voxels, iterations=4)
    assert (doubt.voxels & near).sum() / doubt.voxels.sum() > 0.5
    core = binary_erosion(tumour.voxels, iterations=4)
    assert core.any()
    assert (doubt.voxels & core).sum() < 0.1 * core.sum()


def test_mirrors_give_a_disagreement(phantom):
    choices = Segment(mirrors=("x",), tile_step_share=1.0)
    result = segment(as_case(phantom)[0], ReferenceMasks(()), choices, find_model("demo"))
    assert result.segmentation[0].members == 2
    assert 0 < result.uncertainty[0].disagreement < 0.5
    assert dsc(result.masks.find("tumour").voxels, phantom.tumour) > 0.7


def registered(folder: Path, whole: bool = True, channels: int = 1):
    """A model beside its weights, which may end in the middle or be of a network of more channels."""
    manifest = read_manifest(Path(find_model("demo").manifest_path))
    tensors = build_network(manifest.architecture, 4).state_dict()
    first = "encoder.stages.0.0.convs.0.conv.weight"
    tensors[first] = tensors[first].repeat(1, channels, 1, 1, 1)
    save_slim(tensors, folder / "m.pt")
    if not whole:
        written = (folder / "m.pt").read_bytes()
        (folder / "m.pt").write_bytes(written[: len(written) // 2])
    sha256 = file_sha256(folder / "m.pt")
    write_manifest(folder / "m.json", manifest.model_copy(update={"weights_sha256": sha256, "folds": ()}))
    return describe_model(folder / "m.json")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("absent", "model_weights"),
        ("cut short", "model_weights"),
        ("changed", "model_hash"),
        ("channels", "model_weights"),
    ],
)
def test_a_model_that_cannot_be_used_refuses_the_case_with_its_reason(tmp_path, phantom, fault, code):
    torch.manual_seed(0)
    model = registered(tmp_path, fault != "cut short", 2 if fault == "channels" else 1)
    if fault == "absent":
        (tmp_path / "m.pt").unlink()
    if fault == "changed":
        (tmp_path / "m.pt").write_bytes(b"another file")
    with pytest.raises(RefusedError) as refused:
        segment(as_case(phantom)[0], ReferenceMasks(()), Segment(), model)
    assert refused.value.code == code
    assert (fault == "channels") == ("2 image channels" in refused.value.message)
    assert str(tmp_path) not in str(refused.value)


def test_folds_of_a_model_are_averaged(tmp_path, phantom):
    torch.manual_seed(0)
    shipped = find_model("demo")
    manifest = read_manifest(Path(shipped.manifest_path))
    (tmp_path / "m.pt").write_bytes(Path(shipped.weights_path).read_bytes())
    save_slim(build_network(manifest.architecture, 4).state_dict(), tmp_path / "m.1.pt")
    more = {"ensemble_sha256": (file_sha256(tmp_path / "m.1.pt"),), "folds": ()}
    write_manifest(tmp_path / "m.json", manifest.model_copy(update=more))
    model = describe_model(tmp_path / "m.json")
    ct = as_case(phantom)[0]
    both, first = (
        segment(ct, ReferenceMasks(()), Segment(folds=folds, tile_step_share=1.0), model) for folds in (0, 1)
    )
    assert both.segmentation[0].members == 2
    assert first.segmentation[0].members == 1
    assert model.sha256 != shipped.sha256
    assert dsc(first.masks.find("tumour").voxels, phantom.tumour) > 0.7


@pytest.fixture
def air():
    grid = Grid((64, 48, 32), (3.0, 3.0, 3.0), (0.0, 0.0, 0.0))
    return CtSeries(np.full(grid.shape_zyx, -1000, dtype=np.int16), grid)


def test_an_image_of_air_alone_is_refused_before_a_network_dreams_in_it(air):
    with pytest.raises(RefusedError, match="holds no body") as refused:
        segment(air, ReferenceMasks(()), Segment(), find_model("demo"))
    assert refused.value.code == "no_body"


def test_in_air_alone_no_lungs_are_found(air):
    result = segment(air, ReferenceMasks(()), Segment(), None)
    assert result.masks.masks == ()
    assert {flag.code for flag in result.flags} == {"no_lungs"}


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
