"""ComBat inside a resample: fitted through the guard on training patients, applied to everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.analyse.guard import Guard, Training
from engine.protocol import Batch
from engine.statistics.combat import Combat, fit_combat
from store.matrices import MISSING_LEVEL, DesignTable

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Harmonisation:
    """ComBat of the columns that all training patients have, with the protected covariates' coding."""

    columns: NDArray[np.intp]
    combat: Combat
    protected: tuple[ProtectedColumn, ...]

    def apply(self, table: DesignTable) -> DesignTable:
        """The table with these columns harmonised, repeated measurements by their patient's batch.

        ValueError for a patient of a batch that no training patient belonged to.
        """
        covariates = protected_columns(table, self.protected)
        values, repeats = table.values.copy(), table.perturbed_values.copy()
        values[:, self.columns] = self.combat.apply(values[:, self.columns], table.batches, covariates)
        if len(table.perturbed_rows):
            rows = table.perturbed_rows
            own = [table.batches[row] for row in rows]
            repeats[:, :, self.columns] = self.combat.apply(repeats[:, :, self.columns], own, covariates[rows])
        return replace(table, values=values, perturbed_values=repeats)


@dataclass(frozen=True, slots=True)
class ProtectedColumn:
    """One column of the protected design: a number about its training mean, or membership of a level."""

    place: int  # of the clinical column
    level: int  # index into clinical_levels; MISSING_LEVEL: a number
    mean: float


def harmonised(table: DesignTable, train_ids: Sequence[str], test_ids: Sequence[str], choices: Batch) -> DesignTable:
    """The table after ComBat fitted on the training patients alone; itself where the protocol asks for none.

    The outcome is never looked at. LeakError when a training patient is a test patient.
    """
    if not choices.combat:
        return table

    def fit_harmonisation(training: Training) -> Harmonisation:
        return fit(training, choices.protect)

    return Guard(table, test_ids).fit(train_ids, fit_harmonisation).apply(table)


def fit(training: Training, protect: tuple[str, ...]) -> Harmonisation:
    """Fit ComBat on a training part, each patient once; ValueError for a protected name that is no covariate."""
    table = training.table
    unknown = sorted(set(protect) - set(table.clinical_names))
    if unknown:
        raise ValueError(f"batch.protect must name columns of [covariates], got {', '.join(unknown)}")
    columns = np.flatnonzero(np.isfinite(table.values).all(axis=0))
    coded = _coded(table, tuple(table.clinical_names.index(name) for name in protect))
    combat = fit_combat(table.values[:, columns], table.batches, protected_columns(table, coded))
    return Harmonisation(columns, combat, coded)


def protected_columns(table: DesignTable, coded: tuple[ProtectedColumn, ...]) -> Floats:
    """Protected covariates as numbers (n, q); a missing one counts as the training mean, an unseen level as none."""
    found = np.zeros((len(table.case_ids), len(coded)))
    for place, column in enumerate(coded):
        if column.level == MISSING_LEVEL:
            numbers = table.clinical_numbers[:, column.place]
            found[:, place] = np.where(np.isfinite(numbers), numbers - column.mean, 0.0)
        else:
            found[:, place] = table.clinical_codes[:, column.place] == column.level
    return found


def _coded(table: DesignTable, places: tuple[int, ...]) -> tuple[ProtectedColumn, ...]:
    """Columns of the protected design: each number once, each level but the commonest."""
    coded: list[ProtectedColumn] = []
    for place in places:
        numbers, codes = table.clinical_numbers[:, place], table.clinical_codes[:, place]
        if np.isfinite(numbers).any():
            known = numbers[np.isfinite(numbers)]
            if np.ptp(known) > 0:
                coded.append(ProtectedColumn(place, MISSING_LEVEL, float(known.mean())))
        else:
            levels, counts = np.unique(codes[codes != MISSING_LEVEL], return_counts=True)
            rest = np.delete(levels, np.argmax(counts)) if levels.size else levels
            coded += [ProtectedColumn(place, int(level), 0.0) for level in rest]
    return tuple(coded)
