"""Features that somebody else extracted: a CSV with PyRadiomics-like column names, as a matrix."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.acquire.csv_table import Table, check_ids, check_no_dates, few_lines, float_in, is_missing, read_table
from engine.protocol import ImportedFeatures
from store.matrices import ImportedTable
from store.records import ROIS, ColumnState, Flag, RefusedError
from store.sources import FeatureTableSource

DEFAULT_ROI = "intratumoural"
UNKNOWN_PART = "imported"
FEATURE_NAME = re.compile(
    r"(?:(?P<prefix>.+?)_)?"
    r"(?P<image>original|wavelet\d*-[A-Za-z]{2,3}|log-sigma-[\w.-]+?|square|squareroot|logarithm|exponential|gradient"
    r"|lbp-[23]D(?:-\w+)?)_"
    r"(?P<cls>firstorder|shape|shape2D|glcm|glrlm|glszm|gldzm|gldm|ngldm|ngtdm)_(?P<feature>[A-Za-z0-9]+)"
)
ROI_WORDS = {
    "peritumoural": ("peritumoural", "peritumoral", "ring", "peri"),
    "whole_lung": ("whole_lung", "wholelung", "lung"),
    "intratumoural": ("intratumoural", "intratumoral", "tumour", "tumor", "gtv", "intra"),
}
FEATURE, LEFT_OUT = "feature", "left out"
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
    """Output of the stage: the features of the study's cases, what became of every column, what was noticed."""

    features: ImportedTable
    columns: tuple[ColumnState, ...]
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

    Values are float64, NaN where a cell is missing. A value beyond float32 (or infinite) follows the declared policy:
    its column is left out, or the value is missing. Constant columns, copies of another column, columns without a value
    and columns that are no features are left out. Every column of the table is reported. RefusedError, with column and
    line, for a missing column, a decimal comma, text, dates as numbers, and two rows of one patient and rater.
    """
    table = read_table(Path(source.file.path), source.file.role)
    cases = dict(source.cases)
    ids = table.column(choices.id)
    raters = table.column(choices.rater) if choices.rater else ("",) * len(ids)
    _check_rows(table, ids, raters)
    rows = [place for place, patient in enumerate(ids) if patient in cases]
    columns, others = _columns(table, choices)
    for column in columns:
        if column.feature_class == UNKNOWN_PART:
            check_no_dates(column.column, dict(zip(table.lines, table.column(column.column), strict=True)), table.role)
    values = _values(table, rows, columns)
    states = _states(columns, values, choices)
    kept = [place for place, state in enumerate(states) if state.state == FEATURE]
    chosen = [columns[place] for place in kept]
    _check_unique(chosen, table.role)
    usable = values[:, kept]
    imported = ImportedTable(
        case_ids=tuple(cases[ids[place]] for place in rows),
        raters=tuple(raters[place] for place in rows),
        rois=tuple(c.roi for c in chosen),
        image_types=tuple(c.image_type for c in chosen),
        feature_classes=tuple(c.feature_class for c in chosen),
        features=tuple(c.feature for c in chosen),
        values=np.where(np.abs(usable) <= LARGEST_VALUE, usable, np.nan),
        dropped=tuple(f"{s.column}: {s.reason}" for s in (*others, *states) if s.state == LEFT_OUT),
        unmatched=len(ids) - len(rows),
    )
    return Imported(imported, (*states, *others), _flags(imported, states))


def _roi_of(prefix: str) -> str:
    words = prefix.lower()
    found = [roi for roi in ROIS if any(word in re.split(r"[-_ ]", words) or word == words for word in ROI_WORDS[roi])]
    return found[0] if len(found) == 1 else DEFAULT_ROI


def _check_rows(table: Table, ids: Sequence[str], raters: Sequence[str]) -> None:
    """RefusedError for an id that is missing or untidy, or that has two rows of one rater."""
    check_ids(table, ids)
    seen: set[tuple[str, str]] = set()
    repeated = []
    for line, pair in zip(table.lines, zip(ids, raters, strict=True), strict=True):
        if pair in seen:
            repeated.append(line)
        seen.add(pair)
    if repeated:
        text = f"a patient has two rows of one rater, again at lines {few_lines(repeated)}."
        raise RefusedError("duplicate_patient", table.role, text, "Keep one row a patient and rater.")


def _columns(table: Table, choices: ImportedFeatures) -> tuple[list[FeatureColumn], list[ColumnState]]:
    others = [c for c in table.columns if c not in (choices.id, choices.rater)]
    if choices.columns:
        for column in choices.columns:
            table.place(column)
        named = [
            feature_column(c) or FeatureColumn(c, DEFAULT_ROI, UNKNOWN_PART, UNKNOWN_PART, c) for c in choices.columns
        ]
        return named, [_left_out(c, "not declared a feature", table) for c in others if c not in choices.columns]
    parsed = [(c, feature_column(c)) for c in others]
    return [p for _, p in parsed if p is not None], [
        _left_out(c, "not named like a feature", table) for c, p in parsed if p is None
    ]


def _left_out(column: str, reason: str, table: Table) -> ColumnState:
    cells = table.column(column)
    return ColumnState(column, LEFT_OUT, reason, len(cells), sum(map(is_missing, cells)), 0)


def _values(table: Table, rows: list[int], columns: Sequence[FeatureColumn]) -> NDArray[np.float64]:
    """Values (rows, columns) as they stand, infinite ones among them; NaN where a cell is missing."""
    values = np.full((len(rows), len(columns)), np.nan)
    for place, column in enumerate(columns):
        cells = table.column(column.column)
        for at, row in enumerate(rows):
            number = float_in(cells[row], table, row, column.column)
            values[at, place] = np.nan if number is None else number
    return values


def _states(
    columns: Sequence[FeatureColumn], values: NDArray[np.float64], choices: ImportedFeatures
) -> list[ColumnState]:
    """What becomes of every declared column, by its values in the study's cases."""
    first: dict[bytes, str] = {}
    states = []
    for place, column in enumerate(columns):
        own = values[:, place]
        overflowed = np.abs(own) > LARGEST_VALUE
        known = own[np.isfinite(own) & ~overflowed]
        twin = first.setdefault(own.tobytes(), column.column)
        reason = ""
        if overflowed.any() and choices.overflow == "drop":
            reason = "a value beyond float32"
        elif not known.size:
            reason = "no value"
        elif known.size > 1 and known.min() == known.max():
            reason = "constant"
        elif twin != column.column:
            reason = f"the same values as {twin}"
        counts = own.size, int(np.isnan(own).sum()), int(overflowed.sum())
        states.append(ColumnState(column.column, LEFT_OUT if reason else FEATURE, reason, *counts))
    return states


def _check_unique(columns: Sequence[FeatureColumn], role: str) -> None:
    names = [(c.roi, c.image_type, c.feature_class, c.feature) for c in columns]
    if len(set(names)) < len(names):
        text = "two columns name the same feature of the same region."
        raise RefusedError("duplicate_feature", role, text, "Declare one of them in features_table.columns.")


def _flags(table: ImportedTable, states: Sequence[ColumnState]) -> tuple[Flag, ...]:
    flags = []
    missing = int((~np.isfinite(table.values)).sum())
    if missing:
        text = (
            f"{missing} feature values are missing, {sum(s.overflowed for s in states if s.state == FEATURE)} of them"
        )
        text += " because they lie beyond float32."
        flags.append(
            Flag("imported", "missing_values", text, "The protocol's selection.missing says what becomes of them.")
        )
    beyond = [s.column for s in states if s.state == LEFT_OUT and s.overflowed]
    if beyond:
        text = f"{len(beyond)} columns hold values beyond float32 and are left out."
        flags.append(Flag("imported", "overflow", text, "features_table.overflow = missing keeps their other values."))
    return tuple(flags)
