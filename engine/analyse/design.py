"""The parts of a design table and their assembly, the same for image and table studies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.analyse.clinical_block import ClinicalBlock, groups_of
from engine.analyse.endpoint import Endpoint
from engine.protocol import Outcome, Plan
from store.matrices import DesignTable
from store.records import AnalysisPlan


@dataclass(frozen=True, slots=True, eq=False)
class Patients:
    """The rows of a design table: who, with which covariates, outcome and tumour volume (ml, NaN: unknown)."""

    case_ids: tuple[str, ...]
    clinical: ClinicalBlock
    endpoint: Endpoint
    horizon_days: int
    volume_ml: NDArray[np.float64]
    censored_by: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureBlock:
    """The columns of a design table: four name parts each (p,), values and statuses (n, p)."""

    rois: tuple[str, ...]
    image_types: tuple[str, ...]
    feature_classes: tuple[str, ...]
    features: tuple[str, ...]
    values: NDArray[np.float64]
    statuses: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """Repeated measurements of some rows: values (m, k, p), the base first; families (k,) name the measurements."""

    rows: NDArray[np.int32]
    families: tuple[str, ...]
    values: NDArray[np.float64]


def no_repeats(features: int) -> Repeats:
    """Repeats of nobody, for tables without perturbed or repeated measurements."""
    return Repeats(np.zeros(0, np.int32), (), np.zeros((0, 0, features)))


def design_table(patients: Patients, block: FeatureBlock, repeats: Repeats) -> DesignTable:
    """Put rows, columns and repeated measurements together; the table checks that shapes agree."""
    clinical, end = patients.clinical, patients.endpoint
    return DesignTable(
        case_ids=patients.case_ids,
        rois=block.rois,
        image_types=block.image_types,
        feature_classes=block.feature_classes,
        features=block.features,
        values=block.values,
        statuses=block.statuses,
        clinical_names=clinical.names,
        clinical_kinds=clinical.kinds,
        clinical_levels=clinical.levels,
        clinical_numbers=clinical.numbers,
        clinical_codes=clinical.codes,
        days=end.days,
        event=end.event,
        label=end.label,
        horizon_days=patients.horizon_days,
        volume_ml=patients.volume_ml,
        censoring_groups=groups_of(clinical, patients.censored_by),
        perturbed_rows=repeats.rows,
        perturbed_families=repeats.families,
        perturbed_values=repeats.values,
    )


def declared_plan(plan: Plan, outcome: Outcome) -> tuple[AnalysisPlan, ...]:
    """One row when the plan is locked, none before; the protocol has checked that the lock fits the choices."""
    if not plan.locked_at:
        return ()
    row = AnalysisPlan(plan.protocol_sha256, plan.locked_at, plan.locked_by, outcome.endpoint, plan.derived_from)
    return (row,)
