"""Matrices of the whole cohort as array records: the design table of the prognosis, and features somebody else made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.volumes import ArrayRecord

UNDETERMINED = -1
MISSING_LEVEL = -1


def _check_length(name: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise ValueError(f"{name} needs {wanted} entries, got {found}")


@dataclass(frozen=True, slots=True, eq=False)
class ImportedTable(ArrayRecord):
    """Features of one CSV, rows as they stand there: one row a patient, or several where the table has raters.

    values is rows x features (NaN where the cell is empty or not a number); rois, image_types, feature_classes and
    features name its columns (roi `intratumoural` where the column name carries none); raters is "" for one row a
    patient; dropped lists "column: reason" of what was left out, unmatched counts rows without a case of the study.
    """

    case_ids: tuple[str, ...]
    raters: tuple[str, ...]
    rois: tuple[str, ...]
    image_types: tuple[str, ...]
    feature_classes: tuple[str, ...]
    features: tuple[str, ...]
    values: NDArray[np.float64]
    dropped: tuple[str, ...]
    unmatched: int

    def __post_init__(self) -> None:
        if self.values.ndim != 2:
            raise ValueError(f"values must be rows x features, got {self.values.ndim} dimensions")
        _check_length("case_ids", len(self.case_ids), self.values.shape[0])
        _check_length("raters", len(self.raters), self.values.shape[0])
        for name in ("rois", "image_types", "feature_classes", "features"):
            _check_length(name, len(getattr(self, name)), self.values.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class DesignTable(ArrayRecord):
    """Everything the prognosis may use, one row a patient; nothing in it is fitted, coded, scaled or filled in.

    Columns p: rois, image_types, feature_classes, features. values n x p is NaN where statuses (index into STATUSES)
    gives none. Clinical columns c keep numbers n x c (NaN: missing or a category) and codes n x c (index into
    clinical_levels, -1: missing or a number). days and event are of the endpoint (NaN and -1: unknown; event 2: a
    competing death), label is 1 event by the horizon, 0 free of it, -1 undetermined. perturbed_values m x k x p holds
    base and perturbed features of the row numbers perturbed_rows (NaN where a ROI was not tested); perturbed_families
    names the k places: base, random or fixed. Without perturbations m = k = 0. deep_values n x d are embeddings of the
    regions deep_rois under deep_names, never NaN; None where not every patient has them in one region at least.
    """

    case_ids: tuple[str, ...]
    rois: tuple[str, ...]
    image_types: tuple[str, ...]
    feature_classes: tuple[str, ...]
    features: tuple[str, ...]
    values: NDArray[np.float64]
    statuses: NDArray[np.uint8]
    clinical_names: tuple[str, ...]
    clinical_kinds: tuple[str, ...]
    clinical_levels: tuple[str, ...]
    clinical_numbers: NDArray[np.float64]
    clinical_codes: NDArray[np.int32]
    days: NDArray[np.float64]
    event: NDArray[np.int8]
    label: NDArray[np.int8]
    horizon_days: int
    volume_ml: NDArray[np.float64]
    perturbed_rows: NDArray[np.int32]
    perturbed_families: tuple[str, ...]
    perturbed_values: NDArray[np.float64]
    batches: tuple[str, ...] = ()  # level of the protocol's batch variable of each row; empty: not known
    censoring_groups: tuple[str, ...] = ()  # of each row, where follow-up is lost at rates of their own; empty: one
    deep_rois: tuple[str, ...] = ()
    deep_names: tuple[str, ...] = ()
    deep_values: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        n, p, c = len(self.case_ids), len(self.features), len(self.clinical_names)
        if len(set(self.case_ids)) != n:
            raise ValueError(f"the design table holds each patient once, got {n - len(set(self.case_ids))} repeated")
        shapes = {
            "values": (n, p),
            "statuses": (n, p),
            "clinical_numbers": (n, c),
            "clinical_codes": (n, c),
            "days": (n,),
            "event": (n,),
            "label": (n,),
            "volume_ml": (n,),
            "perturbed_values": (len(self.perturbed_rows), len(self.perturbed_families), p),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {getattr(self, name).shape}")
        for name in ("rois", "image_types", "feature_classes"):
            _check_length(name, len(getattr(self, name)), p)
        _check_length("clinical_kinds", len(self.clinical_kinds), c)
        if self.censoring_groups:
            _check_length("censoring_groups", len(self.censoring_groups), n)
        if self.batches:
            _check_length("batches", len(self.batches), n)
        if self.deep_values is not None:
            _check_length("deep_values", len(self.deep_values), n)
            _check_length("deep_rois", len(self.deep_rois), self.deep_values.shape[1])
            _check_length("deep_names", len(self.deep_names), self.deep_values.shape[1])
