"""The training of the demo model on two blocks that stand for lungs: what it writes, and what it refuses."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from engine.commands import app
from engine.segment.image_key import image_key
from engine.segment.model import file_sha256, find_model, read_manifest
from engine.segment.nnunet import load_model
from engine.segment.out_of_fold import unseen_member
from engine.segment.training import (
    DEMO_RECIPE,
    DEMO_START,
    LABELS,
    Prepared,
    Recipe,
    TrainingCase,
    draw_batch,
    prepare,
    recipe_of,
    train_demo_model,
)
from store.records import RefusedError
from store.volumes import CtSeries, Grid, Mask, MaskSet

GRID = Grid((32, 32, 32), (3.0, 3.0, 3.0), (0.0, 0.0, 0.0))
TINY = Recipe(iterations=2, falling_iterations=1, patch_zyx=(32, 32, 32), tile_zyx=(32, 32, 32), torch_threads=1)
LUNG_HU, TUMOUR_HU, BONE_HU = -1200, 600, 1500  # lung and tumour lie outside the window of the recipe


def block(x_from: int, x_to: int):
    voxels = np.zeros(GRID.shape_zyx, dtype=np.bool_)
    voxels[4:28, 4:28, x_from:x_to] = True
    return voxels


def case(tumour: bool = True) -> TrainingCase:
    """Two lungs of equal size and, in the left one, a tumour of a tenth of both lungs' volume."""
    parts = {"lung_right": block(4, 14), "lung_left": block(18, 28)}
    intensity = np.full(GRID.shape_zyx, BONE_HU, dtype=np.int16)
    for voxels in parts.values():
        intensity[voxels] = LUNG_HU
    if tumour:
        parts["tumour"] = block(20, 22)
        intensity[parts["tumour"]] = TUMOUR_HU
    masks = [Mask(name, "independent", "block", voxels, GRID) for name, voxels in parts.items()]
    return TrainingCase(CtSeries(intensity, GRID), MaskSet(tuple(masks)))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_demo_model([case(), case(tumour=False)], tmp_path_factory.mktemp("model"), "tiny", "blocks", TINY)


def test_the_trained_model_can_be_loaded_and_predicts(trained):
    output = load_model(trained, "cpu").forward(np.zeros((1, 1, 32, 32, 32), dtype=np.float32))
    assert output.logits.shape == (1, len(LABELS), 32, 32, 32)
    assert np.isfinite(output.logits).all()


def test_the_window_is_fixed_and_its_mean_is_that_of_the_clipped_foreground(trained):
    manifest = read_manifest(Path(trained.manifest_path))
    assert (manifest.hu_low, manifest.hu_high) == (-1000, 400)
    # of 40 slabs of foreground in both cases 2 are tumour (clipped to 400), 38 lung (clipped to -1000)
    assert manifest.hu_mean == pytest.approx((2 * 400 - 38 * 1000) / 40, abs=0.05)


def test_the_manifest_says_how_far_the_training_came(trained):
    training = read_manifest(Path(trained.manifest_path)).training
    assert (training["iterations"], training["iterations_done"]) == (2, 2)
    assert (training["cases"], training["tumours"]) == (2, 1)


def test_the_manifest_lists_every_image_that_was_seen(trained):
    (fold,) = read_manifest(Path(trained.manifest_path)).folds
    assert fold.weights_sha256 == file_sha256(Path(trained.weights_path))
    assert set(fold.saw) == {image_key(case().ct), image_key(case(tumour=False).ct)}


def test_no_image_that_it_saw_is_segmented_by_it(trained):
    with pytest.raises(RefusedError, match="trained on this image"):
        unseen_member(trained, case().ct)


def test_a_model_also_saw_what_its_start_saw(trained, tmp_path):
    start = Path(trained.manifest_path)
    further = train_demo_model([case()], tmp_path, "further", "blocks", TINY, start)
    saw = read_manifest(Path(further.manifest_path)).folds[0].saw
    assert set(saw) == set(read_manifest(start).folds[0].saw)


def test_the_same_training_gives_the_same_model(trained, tmp_path):
    again = train_demo_model([case(), case(tumour=False)], tmp_path, "tiny", "blocks", TINY)
    assert again.sha256 == trained.sha256
    other = train_demo_model([case(), case(tumour=False)], tmp_path, "tiny", "blocks", replace(TINY, seed=1))
    assert other.sha256 != trained.sha256


def test_a_tumour_is_painted_over_the_lung():
    labels = prepare(case(), 3.0).labels
    assert set(np.unique(labels[block(20, 22)])) == {LABELS.index("tumour")}
    assert set(np.unique(labels[block(22, 28)])) == {LABELS.index("lung_left")}
    assert set(np.unique(labels[block(4, 14)])) == {LABELS.index("lung_right")}


def test_without_a_tumour_there_is_no_training(tmp_path):
    with pytest.raises(ValueError, match="at least one tumour"):
        train_demo_model([case(tumour=False)], tmp_path, "tiny", "blocks", TINY)


def test_a_training_goes_on_from_the_weights_of_another(trained, tmp_path):
    start = Path(trained.manifest_path)
    still = replace(TINY, learning_rate=1e-12, tumour_bias=0.0)
    model = train_demo_model([case(), case(tumour=False)], tmp_path, "tiny", "blocks", still, start)
    manifest, before = read_manifest(Path(model.manifest_path)), read_manifest(start)
    assert manifest.training["start_weights_sha256"] == before.weights_sha256
    assert (manifest.hu_mean, manifest.hu_sd) == (before.hu_mean, before.hu_sd)
    taken, given = (load_model(m, "cpu").network.state_dict() for m in (model, trained))
    assert all(np.allclose(taken[name], given[name], atol=1e-6) for name in given)  # steps of nothing


def test_the_bias_is_taken_from_the_tumours_logit_alone(trained, tmp_path):
    plain = replace(TINY, tumour_bias=0.0)
    without = train_demo_model([case(), case(tumour=False)], tmp_path, "tiny", "blocks", plain)
    tile = np.random.default_rng(0).standard_normal((1, 1, 32, 32, 32), dtype=np.float32)
    shifted, given = (load_model(model, "cpu").forward(tile).logits[0] for model in (trained, without))
    wanted = given[LABELS.index("tumour")] - TINY.tumour_bias
    half = 2.0**-8  # a processor with bfloat16 computes in it: 8 bits, so a result is off by at most this share
    assert np.allclose(shifted[LABELS.index("tumour")], wanted, rtol=half, atol=half * np.abs(wanted).max())
    assert np.array_equal(shifted[:3], given[:3])


def test_the_demo_model_was_made_by_the_recipe_from_the_shipped_start():
    demo, start = (read_manifest(Path(path)) for path in (find_model("demo").manifest_path, DEMO_START))
    recipe = {k: v if isinstance(v, int | float) else str(v) for k, v in asdict(DEMO_RECIPE).items()}
    assert recipe.items() <= demo.training.items()
    assert demo.training["iterations_done"] == DEMO_RECIPE.iterations
    assert demo.training["start_weights_sha256"] == start.weights_sha256
    assert file_sha256(DEMO_START.with_suffix(".pt")) == start.weights_sha256


def test_small_tumours_are_drawn_more_often_than_large_ones():
    """Of two cases with 8 and 512 voxels of tumour, by volume to the minus 0.2, the small one in 0.70 of draws."""
    small, large = (prepared_block(side) for side in (2, 8))
    recipe = replace(TINY, tumour_patch_share=1.0, small_tumour_power=0.2, batch=1)
    manifest = read_manifest(Path(find_model("demo").manifest_path))
    rng = np.random.default_rng(0)
    drawn = [draw_batch([small, large], manifest, recipe, rng)[1] for _ in range(400)]
    share = np.mean([(labels == LABELS.index("tumour")).sum() == 8 for labels in drawn])
    assert share == pytest.approx(64**0.2 / (1 + 64**0.2), abs=0.07)


def prepared_block(side: int) -> Prepared:
    labels = np.zeros(GRID.shape_zyx, dtype=np.uint8)
    labels[:side, :side, :side] = LABELS.index("tumour")
    return Prepared(np.zeros(GRID.shape_zyx, dtype=np.int16), labels, np.argwhere(labels), "f" * 64)


def test_the_learning_rate_is_constant_and_then_falls_to_nothing():
    recipe = replace(TINY, iterations=10, falling_iterations=4, learning_rate=2.0)
    assert [recipe.rate(i) for i in (0, 6, 8, 10)] == [2.0, 2.0, 1.0, 0.0]


def test_another_length_keeps_the_share_of_falling_rates():
    assert recipe_of(DEMO_RECIPE.iterations) == DEMO_RECIPE
    assert recipe_of(14).falling_iterations == 10
    with pytest.raises(ValueError, match="at least 1, got 0"):
        recipe_of(0)


def test_the_command_refuses_a_training_of_no_iterations(tmp_path):
    result = CliRunner().invoke(app, ["model", "train-demo", "--to", str(tmp_path), "--iterations", "0"])
    assert result.exit_code == 2
    assert not list(tmp_path.iterdir())
