"""A model file that another study wrote, taken in for a test on this study's patients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.portable_model import read_model
from store.records import CarriedModel
from store.sources import ModelFile


@dataclass(frozen=True, slots=True)
class Carried:
    """Output of the stage: the model as it was read."""

    models: tuple[CarriedModel, ...]


def read_carried(file: ModelFile) -> Carried:
    """The model file that the protocol names; RefusedError for a file that `export-model` did not write."""
    model = read_model(Path(file.file.path))
    made, arms = model.training, ", ".join(arm.model for arm in model.arms)
    return Carried((CarriedModel(model.setting.study, made.n, made.events, arms, model.model_dump_json()),))
