"""Features that somebody else extracted: a CSV with PyRadiomics-like column names, as a matrix."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.acquire.csv_table import Table, is_missing, number_in, read_table
from engine.protocol import ImportedFeatures
from store.matrices import ImportedTable
from store.records import ROIS, Flag, RefusedError
from store.sources import FeatureTableSource

DEFAULT_ROI = "intratumoural"
UNKNOWN_PART = "imported"
FEATURE_NAME = re.compile(
    r"(?:(?P<prefix>.+?)_)?"
    r"(?P<image>original|wavelet\d*-[A-Za-z]{2,3}|log-sigma-[\w.-]+?|square|squareroot|logarithm|exponential|gradient"
    r"|lbp-[23]D(?:-\w+)?)_"
    r"(?P<cls>firstorder|shape|shape2D|glcm|glrlm|glszm|gldm|ngtdm)_(?P<feature>[A-Za-z0-9]+)"
)
ROI_WORDS = {
    "peritumoural": ("peritumoural", "peritumoral", "ring", "peri"),
    "whole_lung": ("whole_lung", "wholelung", "lung"),
    "intratumoural": ("intratumoural", "intratumoral", "tumour", "tumor", "gtv", "intra"),
}
LARGEST_VALUE = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class FeatureColumn:
    """One feature column: the ROI, image type, class and feature its name says."""

    column: str
    roi: str
    image_type: str
    feature_class: str
    feature: str


@dataclass(frozen=True, slots=True, eq=False)
class Imported:
    """Output of the stage: the features of the study's cases, and what was noticed."""

    features: ImportedTable
    flags: tuple[Flag, ...]


def feature_column(name: str) -> FeatureColumn | None:
    """A column name `[prefix_]image_class_feature` in its parts, None where it is not spelled so.

    The prefix names the ROI where it says one (peritumoural, whole_lung, ...); otherwise the ROI is intratumoural.
    """
    match = FEATURE_NAME.fullmatch(name.strip())
    if match is None:
        return None
    return FeatureColumn(name, _roi_of(match["prefix"] or ""), match["image"], match["cls"], match["feature"])


def read_feature_table(source: FeatureTableSource, choices: ImportedFeatures) -> Imported:
    """The declared feature columns (all that are named like features where none is declared) for the study's cases.

    Values are float64, NaN where a cell is missing. Constant columns, columns with a value beyond float32 and columns
    that are no features are left out and listed. RefusedError for a missing column, a decimal comma and text.
    """
    table = read_table(Path(source.file.path), source.file.role)
    cases = dict(source.cases)
    ids = table.column(choices.id)
    rows = [place for place, patient in enumerate(ids) if patient in cases]
    columns, dropped = _columns(table, choices)
    values = _values(table, rows, columns)
    kept, unusable = _usable(columns, values)
    chosen = [columns[place] for place in kept]
    _check_unique(chosen, table.role)
    raters = table.column(choices.rater) if choices.rater else ("",) * len(ids)
    imported = ImportedTable(
        case_ids=tuple(cases[ids[place]] for place in rows),
        raters=tuple(raters[place] for place in rows),
        rois=tuple(c.roi for c in chosen),
        image_types=tuple(c.image_type for c in chosen),
        feature_classes=tuple(c.feature_class for c in chosen),
        features=tuple(c.feature for c in chosen),
        values=values[:, kept],
        dropped=(*dropped, *unusable),
        unmatched=len(ids) - len(rows),
    )
    return Imported(imported, _flags(imported))


def _roi_of(prefix: str) -> str:
    words = prefix.lower()
    found = [roi for roi in ROIS if any(word in re.split(r"[-_ ]", words) or word == words for word in ROI_WORDS[roi])]
    return found[0] if len(found) == 1 else DEFAULT_ROI


def _columns(table: Table, choices: ImportedFeatures) -> tuple[list[FeatureColumn], list[str]]:
    others = [c for c in table.columns if c not in (choices.id, choices.rater)]
    if choices.columns:
        for column in choices.columns:
            table.place(column)
        named = [
            feature_column(c) or FeatureColumn(c, DEFAULT_ROI, UNKNOWN_PART, UNKNOWN_PART, c) for c in choices.columns
        ]
        return named, [f"{c}: not declared a feature" for c in others if c not in choices.columns]
    parsed = [(c, feature_column(c)) for c in others]
    return [p for _, p in parsed if p is not None], [f"{c}: not named like a feature" for c, p in parsed if p is None]


def _values(table: Table, rows: list[int], columns: Sequence[FeatureColumn]) -> NDArray[np.float64]:
    values = np.full((len(rows), len(columns)), np.nan)
    for place, column in enumerate(columns):
        cells = table.column(column.column)
        for at, row in enumerate(rows):
            number = None if is_missing(cells[row]) else number_in(cells[row], table, row, column.column)
            values[at, place] = np.nan if number is None else number
    return values


def _usable(columns: Sequence[FeatureColumn], values: NDArray[np.float64]) -> tuple[list[int], list[str]]:
    kept, dropped = [], []
    for place, column in enumerate(columns):
        known = values[:, place][np.isfinite(values[:, place])]
        if not len(known):
            dropped.append(f"{column.column}: no value")
        elif np.abs(known).max() > LARGEST_VALUE:
            dropped.append(f"{column.column}: a value beyond float32")
        elif known.min() == known.max() and len(known) > 1:
            dropped.append(f"{column.column}: constant")
        else:
            kept.append(place)
    return kept, dropped


def _check_unique(columns: Sequence[FeatureColumn], role: str) -> None:
    names = [(c.roi, c.image_type, c.feature_class, c.feature) for c in columns]
    if len(set(names)) < len(names):
        text = "two columns name the same feature of the same region."
        raise RefusedError("duplicate_feature", role, text, "Declare one of them in features_table.columns.")


def _flags(table: ImportedTable) -> tuple[Flag, ...]:
    missing = int((~np.isfinite(table.values)).sum())
    if not missing:
        return ()
    return (Flag("imported", "missing_values", f"{missing} feature values are missing.", "Nothing if meant so."),)
