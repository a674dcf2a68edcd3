"""Coding of clinical columns, fitted on training patients: median for missing numbers, one column a level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.analyse.guard import Training
from store.matrices import MISSING_LEVEL, DesignTable

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class NumberCoding:
    """A number: missing values take the training median, then standardised; an indicator when training had a gap."""

    column: int
    median: float
    mean: float
    spread: float
    indicator: bool

    def apply(self, table: DesignTable) -> Floats:
        """Columns (n, 1 or 2)."""
        raw = table.clinical_numbers[:, self.column]
        missing = ~np.isfinite(raw)
        scaled = (np.where(missing, self.median, raw) - self.mean) / self.spread
        return np.column_stack([scaled, missing.astype(np.float64)]) if self.indicator else scaled[:, None]

    def terms(self, table: DesignTable) -> tuple[str, ...]:
        """Names of the columns."""
        name = table.clinical_names[self.column]
        return (name, f"{name}: missing") if self.indicator else (name,)


@dataclass(frozen=True, slots=True, eq=False)
class LevelCoding:
    """A category: one 0/1 column per training level but the most frequent; missing is a level; unseen ones are 0."""

    column: int
    levels: tuple[int, ...]

    def apply(self, table: DesignTable) -> Floats:
        """Columns (n, levels - 1)."""
        codes = table.clinical_codes[:, self.column]
        return np.asarray(codes[:, None] == np.array(self.levels)[None, :], dtype=np.float64)

    def terms(self, table: DesignTable) -> tuple[str, ...]:
        """Names of the columns."""
        name = table.clinical_names[self.column]
        return tuple(f"{name}: {'missing' if c == MISSING_LEVEL else table.clinical_levels[c]}" for c in self.levels)


@dataclass(frozen=True, slots=True, eq=False)
class ClinicalCoding:
    """Coding of all clinical columns that vary in training."""

    parts: tuple[NumberCoding | LevelCoding, ...]

    def apply(self, table: DesignTable) -> Floats:
        """Coded clinical block (n, parameters)."""
        blocks = [np.zeros((len(table.case_ids), 0)), *(part.apply(table) for part in self.parts)]
        return np.concatenate(blocks, axis=1)

    def terms(self, table: DesignTable) -> tuple[str, ...]:
        """Names of the coded columns, in order."""
        return tuple(term for part in self.parts for term in part.terms(table))


def fit_clinical(training: Training) -> ClinicalCoding:
    """Fit the coding of every clinical column; a column that never varies in training is left out."""
    return code_clinical(training.table, training.draws)


def code_clinical(table: DesignTable, draws: NDArray[np.int64]) -> ClinicalCoding:
    """As `fit_clinical`, on plain rows with the number of times each counts."""
    parts: list[NumberCoding | LevelCoding | None] = []
    for column, kind in enumerate(table.clinical_kinds):
        if kind == "number":
            parts.append(_number(column, np.repeat(table.clinical_numbers[:, column], draws)))
        else:
            parts.append(_levels(column, np.repeat(table.clinical_codes[:, column], draws)))
    return ClinicalCoding(tuple(part for part in parts if part is not None))


def clinical_parameters(table: DesignTable) -> int:
    """Number of parameters that the clinical block costs, coded on the whole table."""
    return len(code_clinical(table, np.ones(len(table.case_ids), dtype=np.int64)).terms(table))


def _number(column: int, raw: Floats) -> NumberCoding | None:
    known = raw[np.isfinite(raw)]
    if known.size == 0 or np.ptp(known) == 0:
        return None
    median = float(np.median(known))
    filled = np.where(np.isfinite(raw), raw, median)
    return NumberCoding(column, median, float(filled.mean()), float(filled.std()), known.size < raw.size)


def _levels(column: int, codes: NDArray[np.int32]) -> LevelCoding | None:
    levels, counts = np.unique(codes, return_counts=True)
    if levels.size < 2:
        return None
    reference = levels[int(np.argmax(counts))]
    return LevelCoding(column, tuple(int(level) for level in levels if level != reference))
