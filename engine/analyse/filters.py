"""Which features may enter a training part: present in all, rarely degenerate, varying, reproducible."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.analyse.guard import Training
from engine.analyse.reproducibility import lower_bounds
from engine.analyse.stack import DEGENERATE, FEWEST_PATIENTS, declared_families, family_places
from engine.protocol import Reproducibility, SelectionProtocol

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Admitted:
    """Columns of the design table that passed, sorted; icc_filtered says whether reproducibility was asked."""

    columns: NDArray[np.intp]
    icc_filtered: bool


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """Centre and spread of the admitted columns, from training patients; a later missing value takes the centre."""

    columns: NDArray[np.intp]
    mean: Floats
    spread: Floats

    def apply(self, values: Floats) -> Floats:
        """Standardised columns (n, q) of values (n, p) of the whole design table's width; never NaN."""
        scaled = (values[:, self.columns] - self.mean) / self.spread
        return np.where(np.isfinite(scaled), scaled, 0.0)


def admit(training: Training, choices: SelectionProtocol, rules: Reproducibility) -> Admitted:
    """Features without a missing value, degenerate in few enough, not constant, and reproducible in training.

    The ICC filter needs three perturbed patients in the training part (each counts once, however often drawn) and
    keeps a feature when its lower 95 % bound reaches the threshold in every declared family; a feature that was not
    tested is not reproducible. With fewer perturbed patients, or none in the study, it is off and the result says so.
    """
    table = training.table
    present = np.isfinite(table.values).all(axis=0)
    rarely = (table.statuses == DEGENERATE).mean(axis=0) <= choices.degenerate_share
    varying = np.zeros(present.size, dtype=np.bool_)
    varying[present] = np.ptp(table.values[:, present], axis=0) > 0
    kept = present & rarely & varying
    declared = declared_families(table.perturbed_families, rules)
    asked = choices.icc_filter and table.perturbed_rows.size >= FEWEST_PATIENTS and bool(declared)
    if asked:
        kept &= reproducible(table.perturbed_values, table.perturbed_families, rules)
    return Admitted(np.flatnonzero(kept), asked)


def reproducible(values: Floats, families: tuple[str, ...], rules: Reproducibility) -> NDArray[np.bool_]:
    """Whether each feature (p,) of values (patients, measurements, p) passes in every declared family."""
    passed = [
        lower_bounds(values[:, family_places(families, family)], family) >= rules.threshold
        for family in declared_families(families, rules)
    ]
    return np.asarray(np.all(passed, axis=0), dtype=np.bool_)


def fit_scaling(training: Training, columns: NDArray[np.intp]) -> Scaling:
    """Mean and standard deviation of these columns over the training draws."""
    values = training.table.values[:, columns]
    mean = np.average(values, axis=0, weights=training.draws)
    spread = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=training.draws))
    return Scaling(columns, mean, np.where(spread > 0, spread, 1.0))
