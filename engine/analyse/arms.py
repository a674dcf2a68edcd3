"""The arms of the comparison: one learner, one training part; only the columns differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.analyse.clinical_coding import ClinicalCoding, fit_clinical
from engine.analyse.filters import Scaling, admit, fit_scaling
from engine.analyse.guard import Training, refuse_test_patients
from engine.analyse.inner_choice import choose_scheme
from engine.analyse.select import Selected, select
from engine.protocol import Reproducibility, SelectionProtocol
from engine.statistics.logistic import LogisticFit, fit_logistic, predict_logistic
from store.matrices import DesignTable
from store.records import SelectionSize

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """How to make an arm's columns from a design table: clinical coding, volume, and standardised features."""

    clinical: ClinicalCoding | None
    volume: tuple[float, float] | None  # mean and spread of the cube root of volume in training
    features: Scaling | None

    def apply(self, table: DesignTable) -> Floats:
        """The arm's columns (n, q); q may be 0."""
        blocks = [np.zeros((len(table.case_ids), 0))]
        if self.clinical is not None:
            blocks.append(self.clinical.apply(table))
        if self.volume is not None:
            mean, spread = self.volume
            size = (np.cbrt(table.volume_ml) - mean) / spread
            blocks.append(np.where(np.isfinite(size), size, 0.0)[:, None])
        if self.features is not None:
            blocks.append(self.features.apply(table.values))
        return np.concatenate(blocks, axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """A fitted model: its columns, its logistic fit, and the training median that splits low from high risk.

    seen are the patients it was fitted on; it predicts nobody of them, so an apparent performance cannot be had.
    """

    model: str
    columns: Columns
    fit: LogisticFit | None  # None: no column was left, everybody has the training risk
    base_risk: float
    median: float
    seen: frozenset[str]

    def predict(self, table: DesignTable) -> Floats:
        """Probability of the event by the horizon (n,); LeakError when the model was fitted on one of the patients."""
        refuse_test_patients(f"{self.model} model", table.case_ids, self.seen)
        if self.fit is None:
            return np.full(len(table.case_ids), self.base_risk)
        return predict_logistic(self.fit, self.columns.apply(table))


@dataclass(frozen=True, slots=True, eq=False)
class FittedArms:
    """Everything one training part gave."""

    arms: tuple[Arm, ...]
    selected: Selected
    train_sha256: str


def arms_fitter(
    size: SelectionSize, choices: SelectionProtocol, rules: Reproducibility, rng: np.random.Generator
) -> Callable[[Training], FittedArms]:
    """The fitted step of the comparison, to be handed to `Guard.fit`: selection and all arms on one training part."""

    def fit_arms(training: Training) -> FittedArms:
        admitted = admit(training, choices, rules)
        permuted = shuffled(training, rng)
        scheme = choose_scheme(training, admitted, size.kept, choices, rng)
        selected = select(training, admitted, size.kept, choices, scheme, rng)
        control = select(permuted, admitted, size.kept, choices, scheme, rng)
        clinical, volume = fit_clinical(training), _fit_volume(training)
        radiomic = fit_scaling(training, selected.kept)
        arms = [
            fit_arm("clinical", training, Columns(clinical, None, None), choices.ridge),
            fit_arm("combined", training, Columns(clinical, None, radiomic), choices.ridge),
            fit_arm("radiomic", training, Columns(None, None, radiomic), choices.ridge),
            fit_arm("shuffled", permuted, Columns(clinical, None, fit_scaling(permuted, control.kept)), choices.ridge),
        ]
        if volume is not None:
            arms.append(fit_arm("clinical_volume", training, Columns(clinical, volume, None), choices.ridge))
            arms.append(fit_arm("volume", training, Columns(None, volume, None), choices.ridge))
        return FittedArms(tuple(arms), selected, training.sha256)

    return fit_arms


def shuffled(training: Training, rng: np.random.Generator) -> Training:
    """The training part with outcomes (label, censoring weight) dealt anew among its determined patients."""
    rows = training.determined
    order = rng.permutation(rows)
    label, weights = training.table.label.copy(), training.weights.copy()
    label[rows] = training.table.label[order]
    weights[rows] = training.weights[order] / training.draws[order] * training.draws[rows]
    return replace(training, table=replace(training.table, label=label), weights=weights)


def _fit_volume(training: Training) -> tuple[float, float] | None:
    """Mean and spread of the cube root of volume; None where no volume is known or none varies."""
    size = np.cbrt(training.table.volume_ml)
    known = np.isfinite(size)
    if not known.any() or np.ptp(size[known]) == 0:
        return None
    return float(size[known].mean()), float(size[known].std())


def fit_arm(model: str, training: Training, columns: Columns, ridge: float) -> Arm:
    """Ridge-penalised logistic regression on the determined training patients, weighted by draws and censoring."""
    rows = training.determined
    x = columns.apply(training.table)
    label, weights = training.table.label[rows].astype(np.float64), training.weights[rows]
    base = float(np.average(label, weights=weights))
    if x.shape[1] == 0:
        return Arm(model, columns, None, base, base, frozenset(training.table.case_ids))
    fit = fit_logistic(x[rows], label, weights, ridge)
    own = predict_logistic(fit, x)
    median = float(np.median(np.repeat(own, training.draws)))
    return Arm(model, columns, fit, base, median, frozenset(training.table.case_ids))
