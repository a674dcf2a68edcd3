"""The best of several mRMR schemes, chosen inside one training part by cross-validation over its patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.analyse.filters import Admitted, fit_scaling
from engine.analyse.guard import Guard, Training, censoring_of, censoring_weights, rows_of
from engine.analyse.select import LARGEST_SEED, select
from engine.protocol import SelectionProtocol
from engine.statistics.logistic import fit_logistic, predict_logistic
from engine.statistics.roc import weighted_auc
from store.matrices import UNDETERMINED, DesignTable

Floats = NDArray[np.float64]
CHANCE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """A part of a training part, and the patients left out of it with their weights (draws times censoring)."""

    inner: Training
    outside: DesignTable
    weights: Floats


def choose_scheme(
    training: Training, admitted: Admitted, keep: int, choices: SelectionProtocol, rng: np.random.Generator
) -> str:
    """The scheme of the protocol with the highest mean AUC over the inner folds; the first one where they tie.

    With one scheme nothing is tried. A patient lies in one fold with all his draws, so no copy of him is on both sides;
    a fold whose test or training part lacks a class is left out.
    """
    if len(choices.schemes) == 1:
        return choices.schemes[0]
    scores = inner_scores(training, admitted, keep, choices, rng)
    return max(choices.schemes, key=lambda scheme: float(np.mean(scores[scheme])))


def inner_scores(
    training: Training, admitted: Admitted, keep: int, choices: SelectionProtocol, rng: np.random.Generator
) -> dict[str, list[float]]:
    """AUC of the radiomic model in every inner fold by scheme; all schemes see the same folds and seeds."""
    folds = patient_folds(training, choices.inner_folds, rng)
    parts = [part for number in range(choices.inner_folds) if (part := _split(training, folds == number)) is not None]
    seeds = rng.integers(LARGEST_SEED, size=len(parts)).tolist()
    return {
        scheme: [
            _score(part, admitted, keep, choices, scheme, np.random.default_rng(seed))
            for part, seed in zip(parts, seeds, strict=True)
        ]
        or [CHANCE]
        for scheme in choices.schemes
    }


def patient_folds(training: Training, folds: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """A fold (n,) for every training patient, dealt evenly within each label."""
    found = np.zeros(training.table.label.size, dtype=np.intp)
    for label in np.unique(training.table.label):
        rows = rng.permutation(np.flatnonzero(training.table.label == label))
        found[rows] = np.arange(rows.size) % folds
    return found


def _split(training: Training, outside: NDArray[np.bool_]) -> Fold | None:
    """The patients inside and outside a fold; None where one of the two lacks a class."""
    table = training.table
    if any({0, 1} - set(table.label[rows].tolist()) for rows in (outside, ~outside)):
        return None
    test_ids = [table.case_ids[row] for row in np.flatnonzero(outside)]
    ids = [table.case_ids[row] for row in np.flatnonzero(~outside) for _ in range(training.draws[row])]
    inner = Guard(table, test_ids).fit(ids, lambda part: part)
    rest = rows_of(table, np.flatnonzero(outside))
    weights = training.draws[outside] * censoring_weights(rest, censoring_of(inner.table, inner.draws))
    return Fold(inner, rest, weights)


def _score(
    fold: Fold, admitted: Admitted, keep: int, choices: SelectionProtocol, scheme: str, rng: np.random.Generator
) -> float:
    """AUC of the radiomic model on the patients outside; 0.5 where no feature was taken."""
    found = select(fold.inner, admitted, keep, choices, scheme, rng)
    if found.kept.size == 0:
        return CHANCE
    scaling, rows = fit_scaling(fold.inner, found.kept), fold.inner.determined
    x, label = scaling.apply(fold.inner.table.values)[rows], fold.inner.table.label[rows] == 1
    fit = fit_logistic(x, label, fold.inner.weights[rows], choices.ridge)
    known = np.flatnonzero(fold.outside.label != UNDETERMINED)
    risk = predict_logistic(fit, scaling.apply(fold.outside.values)[known])
    return weighted_auc(fold.outside.label[known], risk, fold.weights[known])
