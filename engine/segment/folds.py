"""Folds of one training as one registered model: their predictions are averaged inside each tile."""

from __future__ import annotations

import shutil
from pathlib import Path

from engine.segment.model import (
    Manifest,
    SegmentationModel,
    describe_model,
    fold_paths,
    manifest_sha256,
    models_home,
    read_manifest,
    write_manifest,
)

FREE = {"name", "weights_sha256", "ensemble_sha256", "training", "trained_on", "folds"}  # what folds may differ in


def join_folds(name: str, models: tuple[SegmentationModel, ...]) -> SegmentationModel:
    """Register two or more models in models_home as one; ValueError unless they see and say the same.

    They must agree in network, spacing, tile, normalisation, labels and resampling. The joined model saw what any of
    them saw; with the history of only some of them known, they are refused.
    """
    if len(models) < 2:
        raise ValueError(f"models must be at least two folds, got {len(models)}")
    manifests = [read_manifest(Path(model.manifest_path)) for model in models]
    for manifest in manifests[1:]:
        differing = [
            field for field in _compared(manifest) if _compared(manifest)[field] != _compared(manifests[0])[field]
        ]
        if differing:
            raise ValueError(f"models must be folds of one training, {manifest.name} differs in {', '.join(differing)}")
    if len({bool(manifest.folds) for manifest in manifests}) > 1:
        raise ValueError("models must all list the images that they saw, or none of them, got some that do")
    seen = tuple({fold.weights_sha256: fold for manifest in manifests for fold in manifest.folds}.values())
    weights = [path for model in models for path in fold_paths(model)]
    known = [sha256 for manifest in manifests for sha256 in (manifest.weights_sha256, *manifest.ensemble_sha256)]
    changes = {"name": name, "weights_sha256": known[0], "ensemble_sha256": tuple(known[1:]), "folds": seen}
    joined = Manifest.model_validate(manifests[0].model_dump() | changes)
    path = models_home() / f"{manifest_sha256(joined)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    for place, source in enumerate(weights):
        shutil.copyfile(source, path.with_suffix(f".{place}.pt" if place else ".pt"))
    write_manifest(path, joined)
    return describe_model(path)


def _compared(manifest: Manifest) -> dict[str, object]:
    return manifest.model_dump(exclude=FREE)
