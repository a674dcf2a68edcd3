"""The door: registered models, their hashes, and the networks that manifests describe."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.segment.model import (
    SHIPPED_FOLDER,
    Architecture,
    Manifest,
    describe_model,
    file_sha256,
    find_model,
    list_models,
    read_manifest,
)
from engine.segment.model import write_manifest as write
from engine.segment.nnunet import build_network, load_model, save_slim
from store.records import RefusedError

DEMO = SHIPPED_FOLDER / "demo.json"
LARGEST_SHIPPED_BYTES = 5_000_000


@pytest.fixture
def demo() -> Manifest:
    return read_manifest(DEMO)


def test_importing_the_stage_does_not_import_torch():
    code = "import sys, engine.segment.segmentation; sys.exit('torch' in sys.modules or 'nnunetv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_demo_model_is_small_and_found_by_name_and_by_sha256():
    by_name = find_model("demo")
    assert find_model(by_name.sha256[:12]) == by_name
    assert by_name in list_models()
    assert Path(by_name.weights_path).stat().st_size <= LARGEST_SHIPPED_BYTES


def test_an_unknown_model_is_named_in_the_error():
    with pytest.raises(ValueError, match="'nobody'"):
        find_model("nobody")


def test_weights_other_than_the_manifests_are_refused(tmp_path, demo):
    write(tmp_path / "m.json", demo)
    save_slim(build_network(demo.architecture, len(demo.labels)).state_dict(), tmp_path / "m.pt")
    with pytest.raises(RefusedError) as refused:
        load_model(describe_model(tmp_path / "m.json"))
    assert refused.value.code == "model_hash"


def test_a_manifest_with_an_unknown_field_or_network_is_refused(tmp_path):
    for old, new in (('"PlainConvUNet"', '"os.system"'), ('"name"', '"run": "os.system", "name"')):
        (tmp_path / "m.json").write_text(DEMO.read_text().replace(old, new, 1))
        with pytest.raises(RefusedError) as refused:
            read_manifest(tmp_path / "m.json")
        assert refused.value.code == "model_manifest"


def test_a_residual_network_is_built_and_gives_features_of_its_encoder(tmp_path, demo):
    architecture = demo.architecture.model_copy(update={"network": "ResidualEncoderUNet"})
    manifest = demo.model_copy(update={"architecture": architecture, "folds": ()})
    save_slim(build_network(architecture, len(demo.labels)).state_dict(), tmp_path / "m.pt")
    write(tmp_path / "m.json", manifest.model_copy(update={"weights_sha256": file_sha256(tmp_path / "m.pt")}))
    output = load_model(describe_model(tmp_path / "m.json"), "cpu").forward(np.zeros((1, 1, 32, 32, 32), np.float32))
    assert output.logits.shape == (1, len(demo.labels), 32, 32, 32)
    assert output.features.shape == (1, architecture.features_per_stage[2], 8, 8, 8)


def test_the_weights_of_an_architecture_are_counted_before_it_is_built(demo):
    counted = demo.architecture.weights
    held = sum(t.numel() for t in build_network(demo.architecture, len(demo.labels)).parameters())
    assert counted == pytest.approx(held, rel=0.25)
    fields = demo.architecture.model_dump() | {"features_per_stage": (1024,) * 5, "n_conv_per_stage": (8,) * 5}
    with pytest.raises(ValueError, match="would hold more than"):
        Architecture.model_validate(fields)


def test_a_manifest_with_a_figure_that_is_no_number_is_refused(tmp_path):
    text = DEMO.read_text()
    value = json.loads(text)["hu_mean"]
    (tmp_path / "m.json").write_text(text.replace(f'"hu_mean": {value}', '"hu_mean": NaN'))
    with pytest.raises(RefusedError) as refused:
        read_manifest(tmp_path / "m.json")
    assert refused.value.code == "model_manifest"
