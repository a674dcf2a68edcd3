"""Which model may segment which case: never one that saw it, for planning, pretraining, training or monitoring."""

from __future__ import annotations

from pathlib import Path

from engine.segment.image_key import known_keys
from engine.segment.model import Manifest, SegmentationModel, list_models, read_manifest
from store.records import RefusedError
from store.volumes import CtSeries


def unseen_member(model: SegmentationModel, ct: CtSeries) -> SegmentationModel:
    """The model itself if it never saw this CT, else the fold of its family that did not.

    The manifest of a trained model lists what every fold of its training saw, by its image key, and the hash of
    each fold's weights. Of an averaged model every fold must have left the image out. RefusedError(seen_by_model) when
    every fold that is registered saw the image.
    """
    manifest = read_manifest(Path(model.manifest_path))
    if not manifest.folds:
        return model
    names = known_keys(ct)
    allowed = [fold.weights_sha256 for fold in manifest.folds if names.isdisjoint(fold.saw)]
    if all(sha256 in allowed for sha256 in (manifest.weights_sha256, *manifest.ensemble_sha256)):
        return model
    for other in list_models():
        theirs = read_manifest(Path(other.manifest_path))
        if all(sha256 in allowed for sha256 in (theirs.weights_sha256, *theirs.ensemble_sha256)):
            return other
    raise RefusedError(
        "seen_by_model",
        "CT image",
        "the model was trained on this image, and no fold that left it out is registered.",
        "Name another model, or train with folds so that one left it out.",
    )


def refuse_seen(manifest: Manifest, ct: CtSeries) -> None:
    """ValueError when the model of a manifest saw this image."""
    own = next((fold for fold in manifest.folds if fold.weights_sha256 == manifest.weights_sha256), None)
    if own is None:
        raise ValueError("folds of the manifest must list its own weights and what they saw, got none")
    if not known_keys(ct).isdisjoint(own.saw):
        raise ValueError("ct must be an image that the model never saw, got one that it lists")
