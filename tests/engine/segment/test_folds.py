"""Folds become one model; what is no fold of the same training does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.segment.folds import join_folds
from engine.segment.model import SeenByFold, describe_model, file_sha256, find_model, read_manifest, write_manifest
from engine.segment.nnunet import build_network, load_model, save_slim


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("COHORTSCOPE_HOME", str(tmp_path / "home"))
    return tmp_path


def fold(folder: Path, seed: int, **changes):
    torch.manual_seed(seed)
    manifest = read_manifest(Path(find_model("demo").manifest_path))
    path = folder / f"fold{seed}.pt"
    save_slim(build_network(manifest.architecture, len(manifest.labels)).state_dict(), path)
    changes = {"folds": ()} | changes | {"name": f"fold{seed}", "weights_sha256": file_sha256(path)}
    write_manifest(path.with_suffix(".json"), manifest.model_copy(update=changes))
    return describe_model(path.with_suffix(".json"))


def test_joined_folds_are_one_model_with_all_their_networks(home):
    one, two = fold(home, 1), fold(home, 2)
    joined = join_folds("both", (one, two))
    assert find_model("both") == joined
    loaded = load_model(joined, "cpu")
    assert len(loaded.networks) == 2
    for network, model in zip(loaded.networks, (one, two), strict=True):
        alone = load_model(model, "cpu").network.state_dict()
        assert all(torch.equal(tensor, alone[name]) for name, tensor in network.state_dict().items())
    assert len(load_model(joined, "cpu", folds=1).networks) == 1


def test_models_of_another_spacing_are_no_folds(home):
    with pytest.raises(ValueError, match="spacing_mm"):
        join_folds("both", (fold(home, 1), fold(home, 2, spacing_mm=(2.0, 2.0, 2.0))))


def saw(path: Path, *images: str):
    """A fold's manifest with the images that its training saw."""
    manifest = read_manifest(path)
    seen = (SeenByFold(weights_sha256=manifest.weights_sha256, saw=images),)
    write_manifest(path, manifest.model_copy(update={"folds": seen}))
    return describe_model(path)


def test_joined_folds_saw_what_any_of_them_saw(home):
    models = [saw(Path(fold(home, n).manifest_path), image) for n, image in ((1, "a" * 64), (2, "b" * 64))]
    joined = read_manifest(Path(join_folds("both", tuple(models)).manifest_path))
    assert {image for one in joined.folds for image in one.saw} == {"a" * 64, "b" * 64}


def test_a_fold_of_unknown_history_is_not_joined_to_one_that_lists_its_images(home):
    with pytest.raises(ValueError, match="list the images"):
        join_folds("both", (saw(Path(fold(home, 1).manifest_path), "a" * 64), fold(home, 2)))


def test_one_model_is_no_ensemble(home):
    with pytest.raises(ValueError, match="at least two"):
        join_folds("alone", (fold(home, 1),))
