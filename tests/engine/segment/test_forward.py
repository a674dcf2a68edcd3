"""Our forward pass against the plain network; folds and mirrors inside a tile."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.segment.forward import run_network
from engine.segment.model import find_model
from engine.segment.nnunet import EMBEDDED_STAGE, LoadedModel, build_network, load_model

LEFT, RIGHT = 1, 2  # labels of the demo model


@pytest.fixture(scope="module")
def demo() -> LoadedModel:
    return load_model(find_model("demo"), "cpu", "float32")


@pytest.fixture(scope="module")
def tile() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((1, 1, 32, 48, 64), dtype=np.float32)


def test_the_layers_one_by_one_are_the_network(demo, tile):
    with torch.inference_mode():
        expected = demo.networks[0](torch.from_numpy(tile))
    logits, skips = run_network(demo.networks[0], torch.from_numpy(tile), "float32")
    assert torch.allclose(logits, expected, atol=1e-3)
    assert len(skips) == len(demo.manifest.architecture.strides)


def test_bfloat16_is_the_same_network_less_precisely(demo, tile):
    small = torch.from_numpy(np.ascontiguousarray(tile[..., :32, :32]))
    expected, _ = run_network(demo.networks[0], small, "float32")
    found, _ = run_network(demo.networks[0], small, "bfloat16")
    assert found.dtype == torch.bfloat16
    assert 0 < (found - expected).abs().mean() < 0.05 * expected.abs().mean()


def test_tiles_of_a_batch_do_not_see_each_other(demo, tile):
    both = np.concatenate([tile, 2 * tile])
    assert np.allclose(demo.forward(both).logits[1], demo.forward(2 * tile).logits[0], atol=1e-4)


def test_a_mirror_is_the_mean_of_the_plain_and_the_turned_back_tile(demo, tile):
    plain, turned = demo.forward(tile), demo.forward(tile[..., ::-1, :])
    both = demo.forward(tile, ("y",))
    assert np.allclose(both.logits, (plain.logits + turned.logits[..., ::-1, :]) / 2, atol=1e-4)
    assert np.array_equal(both.features, plain.features)
    assert demo.members(("z", "y", "x")) == 8


def test_a_mirrored_x_exchanges_left_and_right(demo, tile):
    found = demo.forward(tile, ("x",)).logits
    mirrored = demo.forward(tile[..., ::-1], ("x",)).logits[..., ::-1]
    assert np.allclose(found[:, LEFT], mirrored[:, RIGHT], atol=1e-4)
    assert np.allclose(found[:, 3], mirrored[:, 3], atol=1e-4)


def test_folds_are_averaged_and_their_disagreement_kept(demo, tile):
    torch.manual_seed(0)
    other = build_network(demo.manifest.architecture, 4).eval()
    folds = replace(demo, networks=(demo.networks[0], other))
    one, two = demo.forward(tile), replace(demo, networks=(other,)).forward(tile)
    both = folds.forward(tile)
    assert np.allclose(both.logits, (one.logits + two.logits) / 2, atol=1e-4)
    mean = (one.tumour[:, 0] + two.tumour[:, 0]) / 2
    spread = np.sqrt(np.maximum(0, both.tumour[:, 1] - both.tumour[:, 0] ** 2))
    assert np.allclose(both.tumour[:, 0], mean, atol=1e-5)
    assert np.allclose(spread, np.abs(one.tumour[:, 0] - two.tumour[:, 0]) / 2, atol=2e-3)
    assert np.allclose(both.features, one.features)


def test_features_are_those_of_the_embedded_stage(demo, tile):
    channels = demo.manifest.architecture.features_per_stage[EMBEDDED_STAGE]
    assert demo.forward(tile).features.shape == (1, channels, 8, 12, 16)
