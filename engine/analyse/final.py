"""The procedure run once on all patients: the models that may be carried elsewhere. They have no AUC of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.analyse.arms import FittedArms, arms_fitter
from engine.analyse.guard import Guard
from engine.analyse.harmonise import harmonised
from engine.analyse.portable import portable_arm, recipe_text, training_patients
from engine.portable_model import PortableModel, Setting
from engine.protocol import (
    Batch,
    Clinical,
    Covariates,
    FeatureGrid,
    Features,
    Outcome,
    Reproducibility,
    Rois,
    SelectionProtocol,
)
from store.matrices import DesignTable
from store.records import FinalFeature, FinalModel, SelectionSize

NOT_CARRIED = ("shuffled",)
LARGEST_KEY = 2**63


@dataclass(frozen=True, slots=True)
class Finals:
    """Output of the final stage: every arm with its apparent AUC and its part of the model file."""

    models: tuple[FinalModel, ...]
    features: tuple[FinalFeature, ...]


def run_on_all(  # noqa: PLR0913 - a stage's signature is its declaration
    table: DesignTable,
    sizes: tuple[SelectionSize, ...],
    choices: SelectionProtocol,
    rules: Reproducibility,
    batch: Batch,
    outcome: Outcome,
    clinical: Clinical,
    covariates: Covariates,
    features: Features,
    grid: FeatureGrid,
    rois: Rois,
    rng: np.random.Generator,
) -> Finals:
    """Select and fit on all patients. The apparent AUC serves .632+ and optimism only.

    A model harmonised by ComBat is not carried: no other study's batches are among those it was fitted on. Nor is
    one of embeddings: another network's have other meanings.
    """
    whole = harmonised(table, table.case_ids, (), batch)
    fitted = Guard(whole, ()).fit(whole.case_ids, arms_fitter(sizes[0], choices, rules, rng))
    setting = Setting(
        study="",
        endpoint=outcome.endpoint,
        definition=outcome.definition,
        horizon_days=outcome.horizon_days,
        time_zero=clinical.time_zero,
        treatment=clinical.treatment,
        moment_of_prediction=covariates.moment_of_prediction,
        recipe=recipe_text(table, features, grid, rois),
    )
    training = training_patients(table, sizes[0].events, fitted.train_sha256, int(rng.integers(LARGEST_KEY)))
    models = []
    for arm in fitted.arms:
        if arm.model in NOT_CARRIED:
            continue
        text = ""
        if not batch.combat and arm.columns.deep is None:
            own = PortableModel(setting=setting, training=training, arms=(portable_arm(arm, whole, None),))
            text = own.model_dump_json()
        models.append(FinalModel(arm.model, arm.training_auc, arm.columns.selected, text))
    return Finals(tuple(models), _features(fitted, whole))


def _features(fitted: FittedArms, table: DesignTable) -> tuple[FinalFeature, ...]:
    """The final signature: what the procedure kept on all patients."""
    return tuple(
        FinalFeature(table.rois[c], table.image_types[c], table.feature_classes[c], table.features[c])
        for c in fitted.selected.kept.tolist()
    )
