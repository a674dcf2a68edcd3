"""The models that the segmentation bench times: each is read by the gate that every model passes."""

from __future__ import annotations

import pytest

from engine.bench.segmentation import NETWORKS, VARIANTS, manifest_of
from engine.segment.model import describe_model
from engine.segment.nnunet import load_model


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_of_the_bench_can_be_loaded(network, tmp_path):
    for side in ("stock", *(variant.name for variant in VARIANTS)):
        path = manifest_of(side, network, tmp_path)
        loaded = load_model(describe_model(path), "cpu", "float32", 0)
        assert loaded.device == "cpu"
