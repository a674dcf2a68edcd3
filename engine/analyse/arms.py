"""The arms of the comparison: one training part, the same resamples and patients; only columns or learner differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.analyse.clinical_coding import ClinicalCoding, fit_clinical
from engine.analyse.deep import deep_scaling
from engine.analyse.filters import Admitted, admit, fit_scaling
from engine.analyse.guard import Training, refuse_test_patients
from engine.analyse.inner_choice import choose_scheme
from engine.analyse.learners import Columns, Constant, Hazard, Learner, Logistic, Offset, Trees, log_odds
from engine.analyse.select import LARGEST_SEED, Selected, select, select_region
from engine.protocol import Reproducibility, SelectionProtocol
from engine.statistics.cox import fit_cox
from engine.statistics.logistic import fit_logistic
from engine.statistics.rank_forest import fit_forest
from engine.statistics.roc import weighted_auc
from store.matrices import UNDETERMINED, DesignTable
from store.records import DEEP_ARMS, REGION_ARMS, DeclinedError, SelectionSize

Floats = NDArray[np.float64]
COMPETING = 2


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """A fitted model, the training median that splits low from high risk, and its AUC on its own training part.

    seen are the patients it was fitted on; it predicts nobody of them. Of an apparent performance there is one number,
    for optimism and .632+; predictions of patients it was fitted on cannot be had, so nothing can be tested on them.
    """

    model: str
    columns: Columns
    learner: Learner
    median: float
    training_auc: float
    seen: frozenset[str]

    def predict(self, table: DesignTable) -> Floats:
        """Probability of the event by the horizon (n,); LeakError when the model was fitted on one of the patients."""
        refuse_test_patients(f"{self.model} model", table.case_ids, self.seen)
        return self.learner.risk(table)

    def auc_everywhere(self, table: DesignTable, weights: Floats) -> float:
        """AUC over all determined patients, those it was fitted on among them: a number for optimism, no prediction."""
        known = table.label != UNDETERMINED
        return weighted_auc(table.label[known], self.learner.risk(table)[known], weights[known])


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
        comparator = Columns(clinical, volume, None)
        combined, alone = Columns(clinical, None, radiomic), Columns(None, None, radiomic)
        base = fit_arm("clinical", training, Columns(clinical, None, None), choices.ridge)
        arms = [
            base,
            fit_arm("combined", training, combined, choices.ridge),
            fit_offset_arm("combined_offset", training, base, alone, choices.ridge),
            fit_arm("radiomic", training, alone, choices.ridge),
            fit_arm("shuffled", permuted, Columns(clinical, None, fit_scaling(permuted, control.kept)), choices.ridge),
        ]
        if volume is not None:
            arms.append(fit_arm("clinical_volume", training, comparator, choices.ridge))
            arms.append(fit_arm("volume", training, Columns(None, volume, None), choices.ridge))
        arms += _regions(training, admitted, size.kept, choices, scheme, rng)
        seeds = rng.integers(LARGEST_SEED, size=2).tolist()
        names = ("clinical" if volume is None else "clinical_volume", "combined")
        for name, columns, seed in zip(names, (comparator, combined), seeds, strict=True):
            arms.append(fit_forest_arm(f"forest_{name}", training, columns, choices.trees, seed))
            arms += fit_cox_arm(f"cox_{name}", training, columns, choices.ridge)
        arms += deep_arms(training, clinical, size.kept, choices, scheme, rng)
        return FittedArms(tuple(arms), selected, training.sha256)

    return fit_arms


def headline_fitter(
    size: SelectionSize, choices: SelectionProtocol, rules: Reproducibility, rng: np.random.Generator
) -> Callable[[Training], FittedArms]:
    """As `arms_fitter`, the two arms of the headline alone: clinical + volume (clinical without volume), combined."""

    def fit_headline(training: Training) -> FittedArms:
        admitted = admit(training, choices, rules)
        scheme = choose_scheme(training, admitted, size.kept, choices, rng)
        selected = select(training, admitted, size.kept, choices, scheme, rng)
        clinical = fit_clinical(training)
        base = Columns(clinical, _fit_volume(training), None)
        combined = Columns(clinical, None, fit_scaling(training, selected.kept))
        names = (("clinical_volume", base), ("combined", combined))
        arms = tuple(fit_arm(name, training, columns, choices.ridge) for name, columns in names)
        return FittedArms(arms, selected, training.sha256)

    return fit_headline


def _regions(
    training: Training,
    admitted: Admitted,
    keep: int,
    choices: SelectionProtocol,
    scheme: str,
    rng: np.random.Generator,
) -> list[Arm]:
    """Radiomics of each region alone, where there is more than one."""
    regions = [roi for roi in REGION_ARMS if roi in training.table.rois]
    if len(regions) < 2:
        return []
    return [
        fit_arm(
            roi,
            training,
            Columns(
                None, None, fit_scaling(training, select_region(training, admitted, roi, keep, choices, scheme, rng))
            ),
            choices.ridge,
        )
        for roi in regions
    ]


def deep_arms(
    training: Training,
    clinical: ClinicalCoding,
    keep: int,
    choices: SelectionProtocol,
    scheme: str,
    rng: np.random.Generator,
) -> list[Arm]:
    """Embeddings alone, and beside the clinical block: the same learner and number of columns; none without them."""
    deep = deep_scaling(training, keep, choices, scheme, rng)
    if deep is None:
        return []
    blocks = (Columns(None, None, None, deep), Columns(clinical, None, None, deep))
    return [fit_arm(name, training, columns, choices.ridge) for name, columns in zip(DEEP_ARMS, blocks, strict=True)]


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
    x = columns.apply(training.table)[rows]
    label, weights = training.table.label[rows].astype(np.float64), training.weights[rows]
    if x.shape[1] == 0:
        return _arm(model, training, columns, Constant(float(np.average(label, weights=weights))))
    return _arm(model, training, columns, Logistic(columns, fit_logistic(x, label, weights, ridge)))


def fit_offset_arm(model: str, training: Training, base: Arm, columns: Columns, ridge: float) -> Arm:
    """As `fit_arm`, with the base's log odds as an offset: the columns may add to them and not change them."""
    rows = training.determined
    x = columns.apply(training.table)[rows]
    if x.shape[1] == 0:
        return replace(base, model=model)
    offset = log_odds(base.learner.risk(training.table))[rows]
    label, weights = training.table.label[rows].astype(np.float64), training.weights[rows]
    return _arm(model, training, columns, Offset(base.learner, columns, fit_logistic(x, label, weights, ridge, offset)))


def fit_forest_arm(model: str, training: Training, columns: Columns, trees: int, seed: int) -> Arm:
    """A random forest on the determined training patients, weighted by draws and censoring."""
    rows = training.determined
    x = columns.apply(training.table)[rows]
    label, weights = training.table.label[rows].astype(np.float64), training.weights[rows]
    if x.shape[1] == 0:
        return _arm(model, training, columns, Constant(float(np.average(label, weights=weights))))
    return _arm(model, training, columns, Trees(columns, fit_forest(x, label, weights, trees, seed)))


def fit_cox_arm(model: str, training: Training, columns: Columns, ridge: float) -> list[Arm]:
    """A ridge-penalised Cox model of all training patients with a time, draws as weights, read at the horizon.

    None without times, where deaths compete (one hazard is no risk then), and where nothing varies or happens.
    """
    table = training.table
    rows = np.flatnonzero(np.isfinite(table.days) & (table.event != UNDETERMINED))
    x = columns.apply(table)[rows]
    varying = np.flatnonzero(np.ptp(x, axis=0) > 0) if rows.size else np.zeros(0, dtype=np.intp)
    if varying.size == 0 or (table.event[rows] == COMPETING).any():
        return []
    try:
        fit = fit_cox(x[:, varying], table.days[rows], table.event[rows], training.draws[rows], ridge)
    except DeclinedError:
        return []
    return [_arm(model, training, columns, Hazard(columns, varying, fit, table.horizon_days))]


def _arm(model: str, training: Training, columns: Columns, learner: Learner) -> Arm:
    """The arm with its training median and AUC."""
    own, rows = learner.risk(training.table), training.determined
    auc = weighted_auc(training.table.label[rows], own[rows], training.weights[rows])
    median = float(np.median(np.repeat(own, training.draws)))
    return Arm(model, columns, learner, median, auc, frozenset(training.table.case_ids))
