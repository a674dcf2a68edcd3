"""Models that a study trained, made known to `segment.model`: every fold with what each fold saw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.segment.model import Manifest, SegmentationModel, manifest_sha256, models_home
from engine.segment.scoring import place_model
from store.artifacts import read_value
from store.layout import StudyFolder
from store.ledger import Ledger
from store.sources import TrainingUnit
from store.volumes import TrainedWeights

WEIGHTS_KIND, WEIGHTS_STAGE = "training.weights", "training"


@dataclass(frozen=True, slots=True, eq=False)
class _Fold:
    unit: TrainingUnit
    weights: TrainedWeights
    manifest: Manifest


def register_trained(study: Path, strategy: str, seed: int) -> tuple[SegmentationModel, ...]:
    """Write the folds of one training into models_home, named by their sha256; ValueError when there is none.

    Each manifest lists the weights of all folds and the images that each saw: `segment` then takes, for a case that
    was trained on, the fold that left it out.
    """
    folds = _folds(StudyFolder(study.resolve()), strategy, seed)
    if not folds:
        raise ValueError(f"no finished training of {strategy} with seed {seed}: `train` first")
    seen = tuple(record for fold in folds for record in fold.manifest.folds)
    home = models_home()
    home.mkdir(parents=True, exist_ok=True)
    registered = []
    for fold in folds:
        manifest = fold.manifest.model_copy(update={"folds": seen})
        registered.append(place_model(fold.weights, manifest, home, manifest_sha256(manifest)))
    return tuple(registered)


def _folds(folder: StudyFolder, strategy: str, seed: int) -> tuple[_Fold, ...]:
    """The finished folds of a training in the latest run that trained, in order."""
    found = []
    with Ledger(folder) as ledger:
        for text, key in ledger.latest_done(WEIGHTS_STAGE):
            unit = TrainingUnit.parse(text)
            if (unit.strategy, unit.seed) == (strategy, seed):
                stored = read_value(folder.artifact(WEIGHTS_KIND, key, ".npz"), TrainedWeights)
                if isinstance(stored, TrainedWeights):
                    found.append(_Fold(unit, stored, Manifest.model_validate_json(stored.manifest_json)))
    return tuple(sorted(found, key=lambda fold: fold.unit.fold))
