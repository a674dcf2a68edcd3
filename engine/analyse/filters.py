"""Which features may enter a training part: present in all, rarely degenerate, varying, reproducible."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.analyse.guard import Training
from engine.analyse.reproducibility import lower_bounds
from engine.analyse.stack import DEGENERATE, FEWEST_PATIENTS, declared_families, family_places
from engine.protocol import Reproducibility, SelectionProtocol
from store.matrices import DesignTable

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Admitted:
    """Columns of the design table that passed, sorted; icc_filtered says whether reproducibility was asked."""

    columns: NDArray[np.intp]
    icc_filtered: bool


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """Median, centre and spread of the admitted columns, from training patients; a missing value takes the median."""

    columns: NDArray[np.intp]
    median: Floats
    mean: Floats
    spread: Floats

    def apply(self, values: Floats) -> Floats:
        """Standardised columns (n, q) of values (n, p) of the whole design table's width; never NaN."""
        own = values[:, self.columns]
        return np.asarray((np.where(np.isfinite(own), own, self.median) - self.mean) / self.spread)


def admit(training: Training, choices: SelectionProtocol, rules: Reproducibility) -> Admitted:
    """Features that are known, degenerate in few enough, not constant and reproducible in training.

    Only those of the signature, if there is one. Missing values follow the protocol: none is allowed, or few are and
    take the training median. The ICC filter needs three perturbed patients in the training part (each counts once,
    however often drawn) and keeps a feature when its lower 95 % bound reaches the threshold in every declared family;
    a feature that was not tested is not reproducible. With fewer perturbed patients, none in the study, or no declared
    family among them, it is off and the result says so.
    """
    table = training.table
    missing = ~np.isfinite(table.values)
    allowed = choices.missing_share if choices.missing == "median" else 0.0
    known = np.average(missing, axis=0, weights=training.draws) <= allowed
    rarely = (table.statuses == DEGENERATE).mean(axis=0) <= choices.degenerate_share
    highest = np.where(missing, -np.inf, table.values).max(axis=0)
    varying = highest > np.where(missing, np.inf, table.values).min(axis=0)
    kept = known & rarely & varying & in_signature(table, choices.signature)
    declared = declared_families(table.perturbed_families, rules)
    asked = choices.icc_filter and table.perturbed_rows.size >= FEWEST_PATIENTS and bool(declared)
    if asked:
        kept &= reproducible(table.perturbed_values, table.perturbed_families, table.rois, rules, kept)
    return Admitted(np.flatnonzero(kept), asked)


def in_signature(table: DesignTable, signature: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which columns (p,) a signature names, all without one; ValueError for a name that the table lacks."""
    if not signature:
        return np.ones(len(table.features), dtype=np.bool_)
    names = column_names(table)
    absent = sorted(set(signature) - set(names))
    if absent:
        raise ValueError(f"selection.signature must name features of the study, got {', '.join(absent[:5])}")
    return np.array([name in signature for name in names], dtype=np.bool_)


def column_names(table: DesignTable) -> tuple[str, ...]:
    """region_image_class_feature of every column."""
    parts = zip(table.rois, table.image_types, table.feature_classes, table.features, strict=True)
    return tuple("_".join(part) for part in parts)


def reproducible(
    values: Floats,
    families: tuple[str, ...],
    rois: tuple[str, ...],
    rules: Reproducibility,
    asked: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Whether each feature (p,) of values (patients, measurements, p) passes in every declared family.

    A region has perturbations of its own (a ring has widths, the lung a second method): measurements that no feature of
    its region has are not asked of it. A declared family without any measurement of the region is failed. Features
    that are not `asked`, or failed in one family, cost nothing in the next; the former do not pass.
    """
    declared, passed = declared_families(families, rules), np.zeros(values.shape[2], dtype=np.bool_)
    for roi in dict.fromkeys(rois):
        columns = np.array([name == roi for name in rois])
        part = values[:, :, columns]
        alive = np.flatnonzero(columns if asked is None else columns & asked)
        measured = np.asarray(np.isfinite(part).any(axis=(0, 2)))
        places = [[p for p in family_places(families, family) if measured[p]] for family in declared]
        if all(len(kept) > 1 for kept in places):
            for kept, family in zip(places, declared, strict=True):
                own = values[:, kept][:, :, alive]
                alive = alive[lower_bounds(own, family) >= rules.threshold]
            passed[alive] = True
    return passed


def fit_scaling(training: Training, columns: NDArray[np.intp]) -> Scaling:
    """Median, mean and standard deviation of these columns over the training draws, gaps filled."""
    values = known_values(training, columns)
    median = np.array([_median(training, place) for place in columns.tolist()])
    mean = np.average(values, axis=0, weights=training.draws)
    spread = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=training.draws))
    return Scaling(columns, median, mean, np.where(spread > 0, spread, 1.0))


def known_values(training: Training, columns: NDArray[np.intp]) -> Floats:
    """Values (n, q) of these columns in the training part, gaps filled with the median of the training draws.

    The place for whatever else is fitted on feature values before they are selected: harmonisation of batches.
    """
    values = training.table.values[:, columns]
    for place in np.flatnonzero(~np.isfinite(values).all(axis=0)).tolist():
        own = values[:, place]
        own[~np.isfinite(own)] = _median(training, int(columns[place]))
    return values


def _median(training: Training, column: int) -> float:
    values = training.table.values[:, column]
    known = np.isfinite(values)
    return float(np.median(np.repeat(values[known], training.draws[known])))
