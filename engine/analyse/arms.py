"""The arms of the comparison: one learner, one training part; only the columns differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.analyse.clinical_coding import ClinicalCoding, fit_clinical
from engine.analyse.filters import Admitted, Scaling, admit, fit_scaling
from engine.analyse.guard import Training
from engine.protocol import Reproducibility, SelectionProtocol
from engine.statistics.logistic import LogisticFit, fit_logistic, predict_logistic
from engine.statistics.mrmr import mrmr_fcq
from engine.statistics.rank_forest import rfe
from store.matrices import DesignTable
from store.records import SelectionSize

Floats = NDArray[np.float64]
RIDGE = 1.0  # penalty on the squared slopes of standardised columns, the same in every arm: nothing is tuned
LARGEST_SEED = 2**31


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """What mRMR and RF-RFE took in one training part, as columns of the design table; admitted: how many candidates."""

    ranked: NDArray[np.intp]  # in the order of mRMR
    kept: NDArray[np.intp]
    admitted: int
    icc_filtered: bool


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
    """A fitted model: its columns, its logistic fit, and the training median that splits low from high risk."""

    model: str
    columns: Columns
    fit: LogisticFit | None  # None: no column was left, everybody has the training risk
    base_risk: float
    median: float

    def predict(self, table: DesignTable) -> Floats:
        """Probability of the event by the horizon (n,)."""
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
        selected = select(training, admitted, size, choices, rng)
        control = select(permuted, admitted, size, choices, rng)
        clinical, volume = fit_clinical(training), _fit_volume(training)
        radiomic = fit_scaling(training, selected.kept)
        arms = [
            fit_arm("clinical", training, Columns(clinical, None, None)),
            fit_arm("combined", training, Columns(clinical, None, radiomic)),
            fit_arm("radiomic", training, Columns(None, None, radiomic)),
            fit_arm("shuffled", permuted, Columns(clinical, None, fit_scaling(permuted, control.kept))),
        ]
        if volume is not None:
            arms.append(fit_arm("clinical_volume", training, Columns(clinical, volume, None)))
            arms.append(fit_arm("volume", training, Columns(None, volume, None)))
        return FittedArms(tuple(arms), selected, training.sha256)

    return fit_arms


def select(
    training: Training,
    admitted: Admitted,
    size: SelectionSize,
    choices: SelectionProtocol,
    rng: np.random.Generator,
) -> Selected:
    """Scale, mRMR FCQ and RF-RFE of the admitted columns, on determined training patients with their weights."""
    columns = admitted.columns
    seed = int(rng.integers(LARGEST_SEED))
    if columns.size == 0:
        return Selected(columns, columns, 0, admitted.icc_filtered)
    rows = training.determined
    values = fit_scaling(training, columns).apply(training.table.values)[rows]
    label, weights = training.table.label[rows], training.weights[rows]
    ranked = mrmr_fcq(values, label, choices.mrmr_features, weights)
    kept = ranked
    if size.kept < ranked.size:
        kept = ranked[rfe(values[:, ranked], label, weights, size.kept, choices.trees, seed).kept]
    return Selected(columns[ranked], columns[kept], columns.size, admitted.icc_filtered)


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


def fit_arm(model: str, training: Training, columns: Columns) -> Arm:
    """Ridge-penalised logistic regression on the determined training patients, weighted by draws and censoring."""
    rows = training.determined
    x = columns.apply(training.table)
    label, weights = training.table.label[rows].astype(np.float64), training.weights[rows]
    base = float(np.average(label, weights=weights))
    if x.shape[1] == 0:
        return Arm(model, columns, None, base, base)
    fit = fit_logistic(x[rows], label, weights, RIDGE)
    own = predict_logistic(fit, x)
    return Arm(model, columns, fit, base, float(np.median(np.repeat(own, training.draws))))
