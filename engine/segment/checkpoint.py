"""Import of a foreign nnU-Net model: loaded without running it, kept as weights and a plain manifest."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from engine.segment.model import (
    Axes,
    Manifest,
    SegmentationModel,
    describe_model,
    file_sha256,
    manifest_sha256,
    models_home,
    write_manifest,
)
from engine.segment.nnunet import check_fits, load_safely, save_slim, tensors_of
from engine.segment.plans import manifest_of, mapping, refused_plan
from engine.segment.results_archive import CHECKPOINT_FILE, Results, open_results
from store.records import RefusedError

UNTITLED = "checkpoint"


def import_model(path: Path, fold: str | None = None, axes: Axes | None = None) -> SegmentationModel:
    """Register an nnU-Net v2 model in models_home; returns its record.

    path: a checkpoint (.pth), a results folder (plans.json, dataset.json, fold_X/checkpoint_final.pth) or a zip of
    one; `fold` chooses among its folds; `axes`: where x, y, z of its training images ran to (plans.py). Accepted: one
    CT channel, PlainConvUNet or ResidualEncoderUNet, CTNormalization, plain labels with a background and a tumour.
    RefusedError otherwise, before anything is written: model_unsafe, model_weights, model_plan, model_archive.
    Mirroring is not carried over.
    """
    if path.is_dir() or _is_results_zip(path):
        with open_results(path, fold) as results:
            content = load_safely(results.checkpoint)
            name = _name(f"{path.stem}-fold-{results.fold}")
            return _register(_tensors(content), _agreed(content, results, name, axes))
    if not path.is_file():
        raise _refused("model_weights", "there is no such file.")
    content = load_safely(path)
    plans = mapping(content.get("init_args"), "init_args")
    return _register(_tensors(content), manifest_of(plans, _name(path.stem), axes))


def _is_results_zip(path: Path) -> bool:
    """Whether a file is a zip with plans in it; torch's own files are zips without."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _refused("model_weights", "it is not a readable file.") from error
    return path.suffix == ".zip" or any(name.rsplit("/", 1)[-1] == "plans.json" for name in names)


def _agreed(content: Mapping[str, object], results: Results, name: str, axes: Axes | None) -> Manifest:
    """The manifest of the plans beside a checkpoint; RefusedError where the checkpoint's own ones are others."""
    own = mapping(content.get("init_args"), "init_args")
    beside = {**own, "plans": results.plans, "dataset_json": results.dataset}
    manifest = manifest_of(beside, name, axes)
    if manifest_of(own, name, axes) != manifest:
        raise refused_plan(f"the plans beside {CHECKPOINT_FILE} are not those that it was trained with.")
    return manifest


def _tensors(content: Mapping[str, object]) -> Mapping[str, object]:
    return mapping(content.get("network_weights"), "network_weights")


def _register(weights: Mapping[str, object], manifest: Manifest) -> SegmentationModel:
    """Write manifest and slim weights under the model's sha256, the weights first."""
    tensors = tensors_of(weights)
    check_fits(manifest, tensors)
    home = models_home()
    home.mkdir(parents=True, exist_ok=True)
    scratch = home / f".{os.getpid()}.pt"
    save_slim(tensors, scratch)
    manifest = manifest.model_copy(update={"weights_sha256": file_sha256(scratch)})
    path = home / f"{manifest_sha256(manifest)}.json"
    scratch.replace(path.with_suffix(".pt"))
    write_manifest(path, manifest)
    return describe_model(path)


def _name(stem: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem)[:100] or UNTITLED


def _refused(code: str, message: str) -> RefusedError:
    return RefusedError(code, "checkpoint", message, "Import the checkpoint_final.pth of an nnU-Net v2 training.")
