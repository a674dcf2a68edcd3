"""The design table of a table-only study: features somebody else extracted, no images, no perturbed masks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.analyse.clinical_block import clinical_block
from engine.analyse.definitions import endpoint_counts
from engine.analyse.design import (
    FeatureBlock,
    Patients,
    Repeats,
    declared_plan,
    design_table,
    no_repeats,
)
from engine.analyse.endpoint import endpoint
from engine.analyse.flow import Inclusion, admission, inclusion_flow, outcome_flow
from engine.protocol import Covariates, Eligibility, ImportedFeatures, Outcome, Plan
from store import records
from store.matrices import DesignTable, ImportedTable
from store.records import STATUSES, AnalysisPlan, Covariate, DeclinedError, EndpointCount, Flag, FlowStep, Treatment

VOLUME_NAMES = ("MeshVolume", "VoxelVolume", "Volume")
CUBIC_MM_PER_ML = 1000.0
STAGE = "table"
REPEAT_FAMILIES = {"test-retest": "random", "readers": "readers", "software": "fixed"}


@dataclass(frozen=True, slots=True)
class TabulatedImport:
    """Output of the table stage of a table-only study."""

    table: DesignTable
    flow: tuple[FlowStep, ...]
    definitions: tuple[EndpointCount, ...]
    plan: tuple[AnalysisPlan, ...]
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """An imported table by patient and rater: values (patients, raters, features), NaN where a rater has no row."""

    case_ids: tuple[str, ...]
    raters: tuple[str, ...]
    values: NDArray[np.float64]


def tabulate_import(  # noqa: PLR0913 - a stage's signature is its declaration
    features: ImportedTable,
    covariates: tuple[Covariate, ...],
    outcomes: tuple[records.Outcome, ...],
    treatments: tuple[Treatment, ...],
    choices: Covariates,
    outcome: Outcome,
    eligibility: Eligibility,
    plan: Plan,
    table_choices: ImportedFeatures,
) -> TabulatedImport:
    """One row per eligible patient with at least one feature and an outcome, with the first rater's values.

    Further raters are repeated measurements for the ICC filter, of the family that the protocol names; without
    them the filter is off, which a flag says. DeclinedError without an outcome or features; ValueError when a patient
    has two rows of one rater.
    """
    measured = by_rater(features)
    admitted = admission(outcomes, treatments, outcome, eligibility)
    with_features = tuple(measured.case_ids[row] for row in np.flatnonzero(has_value(measured.values)[:, 0]))
    rows = tuple(case for case in with_features if admitted.admits(case))
    if not rows:
        raise DeclinedError(f"prognosis needs patients with features and an outcome, got {len(with_features)} and none")
    chosen = [measured.case_ids.index(case) for case in rows]
    block = _feature_block(features, measured.values[chosen, 0])
    patients = Patients(
        rows,
        clinical_block(rows, covariates, choices),
        endpoint(rows, admitted.endpoints.every),
        outcome.horizon_days,
        imported_volume(features, block.values),
        outcome.censored_by,
    )
    repeats = _repeats(measured.values[chosen], len(measured.raters), REPEAT_FAMILIES[table_choices.repeats])
    inclusion = Inclusion(measured.case_ids, (), with_features, rows, (), ())
    flow = inclusion_flow(inclusion, admitted) + outcome_flow(rows, admitted.endpoints, outcome.horizon_days)
    table = design_table(patients, block, repeats)
    counts = endpoint_counts([case for case in with_features if admitted.eligible(case)], outcomes, outcome)
    return TabulatedImport(table, flow, counts, declared_plan(plan, outcome), _flags(features, measured.raters, table))


def by_rater(features: ImportedTable) -> Measured:
    """Rows of an imported table arranged by patient and rater, both in sorted order."""
    counts = Counter(zip(features.case_ids, features.raters, strict=True))
    repeated = sum(count > 1 for count in counts.values())
    if repeated:
        raise ValueError(f"the feature table needs one row per patient and rater, got {repeated} with more")
    case_ids, raters = tuple(sorted(set(features.case_ids))), tuple(sorted(set(features.raters)))
    values = np.full((len(case_ids), len(raters), features.values.shape[1]), np.nan)
    case_place = {case: place for place, case in enumerate(case_ids)}
    for row, (case, rater) in enumerate(zip(features.case_ids, features.raters, strict=True)):
        values[case_place[case], raters.index(rater)] = features.values[row]
    return Measured(case_ids, raters, values)


def has_value(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether a patient has at least one value by a rater: (patients, raters) of (patients, raters, features)."""
    return np.asarray(np.isfinite(values).any(axis=2), dtype=np.bool_)


def _feature_block(features: ImportedTable, values: NDArray[np.float64]) -> FeatureBlock:
    missing = STATUSES.index("not_finite")
    statuses = np.where(np.isfinite(values), STATUSES.index("ok"), missing).astype(np.uint8)
    return FeatureBlock(
        features.rois, features.image_types, features.feature_classes, features.features, values, statuses
    )


def imported_volume(features: ImportedTable, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tumour volume (n,) from a shape feature in mm3, as ml; a standardised column keeps its order; NaN without one."""
    for name in VOLUME_NAMES:
        for place, (kind, feature) in enumerate(zip(features.feature_classes, features.features, strict=True)):
            if kind.startswith("shape") and feature == name:
                return np.asarray(values[:, place] / CUBIC_MM_PER_ML, dtype=np.float64)
    return np.full(values.shape[0], np.nan)


def _repeats(values: NDArray[np.float64], raters: int, family: str) -> Repeats:
    complete = np.flatnonzero(has_value(values).all(axis=1))
    if raters < 2 or complete.size == 0:
        return no_repeats(values.shape[2])
    return Repeats(complete.astype(np.int32), ("base", *(family,) * (raters - 1)), values[complete])


def _flags(features: ImportedTable, raters: tuple[str, ...], table: DesignTable) -> tuple[Flag, ...]:
    flags = []
    if len(raters) < 2:
        flags.append(
            Flag(
                STAGE,
                "no_repeats",
                "The feature table has one row a patient: reproducibility cannot be estimated, the ICC filter is off.",
                "Give a table with a rater or scan column to filter by reproducibility.",
            )
        )
    if features.dropped:
        text = f"{len(features.dropped)} columns of the feature table were left out: " + "; ".join(
            features.dropped[:20]
        )
        flags.append(Flag(STAGE, "columns_left_out", text, "Name the feature columns in [features_table] columns."))
    if features.unmatched:
        text = f"{features.unmatched} rows of the feature table belong to no patient of the study."
        flags.append(Flag(STAGE, "unmatched_rows", text, "Check the id column of the feature table."))
    if not np.isfinite(table.volume_ml).any():
        text = "No tumour volume was recognised among the features: the arms that use volume are left out."
        flags.append(Flag(STAGE, "no_volume", text, "Keep MeshVolume or VoxelVolume of the shape class in the table."))
    return tuple(flags)
