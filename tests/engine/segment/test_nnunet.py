"""The door: what may be loaded, and that nothing in a refused file ran."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.segment.checkpoint import import_model
from engine.segment.model import SHIPPED_FOLDER, Manifest, describe_model, find_model, list_models, read_manifest
from engine.segment.model import write_manifest as write
from engine.segment.nnunet import build_network, load_model, nnunet_plans, save_slim
from store.records import RefusedError

DEMO = SHIPPED_FOLDER / "demo.json"
LARGEST_SHIPPED_BYTES = 5_000_000


class Crafted:
    """Pickles to a call of os.system that leaves a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        import os

        return os.system, (f"touch {self.trace}",)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("COHORTSCOPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.fixture
def demo() -> Manifest:
    return read_manifest(DEMO)


def checkpoint(demo: Manifest, path: Path) -> dict:
    """What nnU-Net writes at the end of a training, of a network with random weights."""
    torch.manual_seed(0)
    plans = nnunet_plans(demo, 2)
    plans["foreground_intensity_properties_per_channel"] = {
        "0": {
            "percentile_00_5": np.float64(-900),
            "percentile_99_5": np.float64(300),
            "mean": np.float64(-400),
            "std": np.float64(400),
        }
    }
    labels = {"background": 0, "lung_left": 1, "lung_right": 2, "tumor": 3}
    content = {
        "network_weights": build_network(demo.architecture, 4).state_dict(),
        "init_args": {"plans": plans, "configuration": "3d_fullres", "dataset_json": {"labels": labels}},
        "trainer_name": "nnUNetTrainer",
        "logging": {"ema": [np.float64(0.5)]},
    }
    torch.save(content, path)
    return content


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


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_a_crafted_pickle_is_refused_and_nothing_ran(tmp_path, home, writer):
    trace, file = tmp_path / "ran", tmp_path / "evil.pth"
    content = {"network_weights": Crafted(trace)}
    if writer == "torch":
        torch.save(content, file)
    else:
        file.write_bytes(pickle.dumps(content))
    with pytest.raises(RefusedError) as refused:
        import_model(file)
    assert refused.value.code == "model_unsafe"
    assert not trace.exists()
    assert not home.exists()


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, home):
    file = tmp_path / "text.pth"
    file.write_text("nothing of the kind")
    with pytest.raises(RefusedError):
        import_model(file)


@pytest.mark.parametrize("place", ["network", "layer"])
def test_a_plan_that_names_os_system_is_refused(tmp_path, home, demo, place):
    file = tmp_path / "plan.pth"
    content = checkpoint(demo, file)
    architecture = content["init_args"]["plans"]["configurations"]["3d_fullres"]["architecture"]
    if place == "network":
        architecture["network_class_name"] = "os.system"
    else:
        architecture["arch_kwargs"] = architecture["arch_kwargs"] | {"conv_op": "os.system"}
    torch.save(content, file)
    with pytest.raises(RefusedError) as refused:
        import_model(file)
    assert refused.value.code == "model_plan"


def test_a_genuine_checkpoint_becomes_a_registered_model_with_its_weights(tmp_path, home, demo):
    file = tmp_path / "mine.pth"
    content = checkpoint(demo, file)
    model = import_model(file)
    assert find_model("mine") == model
    loaded = load_model(model, "cpu")
    assert loaded.manifest.labels == ("background", "lung_left", "lung_right", "tumour")
    for name, tensor in loaded.network.state_dict().items():
        assert torch.allclose(tensor, content["network_weights"][name], atol=1e-3)


def test_weights_of_another_network_are_refused(tmp_path, home, demo):
    file = tmp_path / "other.pth"
    content = checkpoint(demo, file)
    content["network_weights"].popitem()
    torch.save(content, file)
    with pytest.raises(RefusedError) as refused:
        import_model(file)
    assert refused.value.code == "model_weights"


def test_a_manifest_with_an_unknown_field_or_network_is_refused(tmp_path):
    for old, new in (('"PlainConvUNet"', '"os.system"'), ('"name"', '"run": "os.system", "name"')):
        (tmp_path / "m.json").write_text(DEMO.read_text().replace(old, new, 1))
        with pytest.raises(RefusedError) as refused:
            read_manifest(tmp_path / "m.json")
        assert refused.value.code == "model_manifest"
