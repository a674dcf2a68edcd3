"""Deep features: the encoder's features pooled over the ROIs, a named and hashed feature set."""

from __future__ import annotations

import numpy as np
import pytest

from engine.segment.embedding import embed_regions, embedding_names, name_embeddings, no_features, pooled
from engine.segment.model import SegmentationModel, find_model
from store.artifacts import read_value, write_value
from store.records import ROIS, RoiMask
from store.volumes import EncoderFeatures, Grid, Mask, RoiMasks

FINE = Grid((16, 16, 16), (1.0, 1.0, 1.0), (0.5, 0.5, 0.5))  # 16 mm wide, its corner at 0
# 8 voxels of 2 mm, the same extent; two cells of 4 voxels (8 mm) an axis
COARSE = {
    "stage": 2,
    "stride_zyx": (4, 4, 4),
    "size_xyz": (8, 8, 8),
    "spacing_mm": (2.0, 2.0, 2.0),
    "origin_mm": (1.0, 1.0, 1.0),
}
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def features(values, direction=IDENTITY, **changed) -> EncoderFeatures:
    given = COARSE | {"direction": direction, "model_sha256": "a" * 64} | changed
    return EncoderFeatures(values=np.asarray(values, dtype=np.float16), **given)


def mask(roi, box=()) -> Mask:
    voxels = np.zeros(FINE.shape_zyx, dtype=np.bool_)
    if box:
        voxels[box] = True
    return Mask(roi, "independent", "reader", voxels, FINE)


def region(roi, status="ok") -> RoiMask:
    return RoiMask(roi, status, "reference", None, 1, 0.1, None, False, "outlined", 0.0, 1)


def by_x() -> np.ndarray:
    """One channel that is 1 in the left half and 5 in the right."""
    values = np.ones((1, 2, 2, 2))
    values[..., 1] = 5
    return values


def test_a_mask_within_one_cell_has_that_cell_and_no_spread():
    assert pooled(features(by_x()), mask("whole_lung", np.s_[9:15, 1:4, 8:16])).tolist() == [5, 0, 5]


def test_cells_count_by_the_voxels_of_the_mask_in_them():
    # 2 of 8 planes lie left: mean (2 * 1 + 6 * 5) / 8 = 4, variance (2 * 9 + 6 * 1) / 8 = 3
    found = pooled(features(by_x()), mask("whole_lung", np.s_[:, :, 6:14]))
    assert found == pytest.approx([4, np.sqrt(3), 5])


def test_a_grid_turned_round_finds_the_same_cells():
    turned = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
    other_end = features(by_x()[..., ::-1], direction=turned, origin_mm=(15.0, 15.0, 1.0))
    box = np.s_[:, :, 6:14]
    assert np.allclose(pooled(other_end, mask("whole_lung", box)), pooled(features(by_x()), mask("whole_lung", box)))


def test_each_roi_has_a_vector_and_a_missing_one_says_why():
    masks = RoiMasks((mask("intratumoural", np.s_[:, :, 9:12]), mask("peritumoural"), mask("whole_lung")))
    regions = (region("intratumoural"), region("peritumoural", "empty"), region("whole_lung", "no_lungs"))
    stored = features(by_x())
    found = embed_regions(stored, masks, regions, model_of(stored.model_sha256)).embeddings
    assert [(e.roi, e.status) for e in found] == list(zip(ROIS, ("ok", "empty", "no_lungs"), strict=True))
    assert found[0].values.tolist() == [5, 0, 5]
    assert np.isnan(found[1].values).all()
    assert len({e.feature_set for e in found}) == 1


def test_without_a_model_there_are_statuses_and_no_values():
    masks = RoiMasks(tuple(mask(roi) for roi in ROIS))
    found = embed_regions(no_features(), masks, tuple(region(roi) for roi in ROIS), None).embeddings
    assert {(e.status, e.feature_set, len(e.values)) for e in found} == {("no_model", "", 0)}
    assert name_embeddings(None).names == ()


def test_what_another_fold_saw_is_not_comparable_and_has_no_values():
    masks = RoiMasks(tuple(mask(roi) for roi in ROIS))
    found = embed_regions(features(by_x()), masks, tuple(region(roi) for roi in ROIS), model_of("f" * 64)).embeddings
    assert {(e.status, e.feature_set, len(e.values)) for e in found} == {("other_fold", "", 0)}


def model_of(sha256: str) -> SegmentationModel:
    return SegmentationModel("any", sha256, "none.json", "none.pt")


def test_names_are_ordered_and_their_set_knows_the_model():
    names = embedding_names("a" * 64, 2, 18)
    assert [n.place for n in names] == list(range(3 * 18))
    assert names[17].feature == "encoder-stage2_mean_017"
    assert names[-1].feature == "encoder-stage2_max_017"
    assert embedding_names("b" * 64, 2, 18)[0].feature_set != names[0].feature_set


def test_the_names_of_a_model_are_as_many_as_its_values():
    model = find_model("demo")
    names = name_embeddings(model).names
    channels = len(names) // 3
    of_model = features(np.ones((channels, 2, 2, 2)), model_sha256=model.sha256)
    masks = RoiMasks((mask("whole_lung", np.s_[:4]),))
    found = embed_regions(of_model, masks, (region("whole_lung"),), model).embeddings
    assert len(found[0].values) == len(names)
    assert found[0].feature_set == names[0].feature_set


@pytest.mark.parametrize("stored", [features(by_x()), no_features()])
def test_the_features_come_back_from_disk_as_they_went(stored, tmp_path):
    write_value(tmp_path / "a.npz", EncoderFeatures, stored)
    back = read_value(tmp_path / "a.npz", EncoderFeatures)
    assert np.array_equal(back.values, stored.values)
    assert back.values.dtype == np.float16
    assert back.grid == stored.grid
    assert (back.stride_zyx, back.model_sha256) == (stored.stride_zyx, stored.model_sha256)
