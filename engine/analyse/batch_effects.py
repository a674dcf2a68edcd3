"""Whether scans of one kind were segmented worse than others: aliased variables, differences against a margin."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from engine.analyse.difficulty_table import UNKNOWN, DifficultyTable
from engine.protocol import Agreement
from engine.statistics.association import Equivalence, cramers_v, equivalence
from store.records import AcquisitionPair, BatchDifference

Floats = NDArray[np.float64]
Texts = NDArray[np.str_]
FEWEST_IN_GROUP = 2
BATCH_LEVEL = 0.90


def acquisition_pairs(table: DifficultyTable, rules: Agreement) -> tuple[AcquisitionPair, ...]:
    """Every two acquisition variables with their cross-table; aliased from the protocol's Cramer's V on.

    V is taken over patients with both known, the table over all.
    """
    return tuple(
        _pair(first, second, table.acquisition[first], table.acquisition[second], rules.aliased_from)
        for first, second in combinations(table.acquisition, 2)
    )


def _pair(first: str, second: str, rows: Texts, columns: Texts, aliased_from: float) -> AcquisitionPair:
    counts: dict[str, dict[str, int]] = {}
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        counts.setdefault(row, {})[column] = counts.get(row, {}).get(column, 0) + 1
    known = (rows != UNKNOWN) & (columns != UNKNOWN)
    association = cramers_v(rows[known], columns[known]) if known.any() else None
    aliased = association is not None and association >= aliased_from
    return AcquisitionPair(first, second, int(known.sum()), association, aliased, json.dumps(counts, sort_keys=True))


def aliases_of(variable: str, pairs: tuple[AcquisitionPair, ...]) -> str:
    """The acquisition variables that one cannot be told from, joined by commas."""
    others = [
        p.second if p.first == variable else p.first for p in pairs if p.aliased and variable in (p.first, p.second)
    ]
    return ", ".join(others)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One score (n,) of the patients of one subset (all, detected)."""

    outcome: str
    subset: str
    values: Floats


def batch_differences(
    scored: Scored, variable: str, labels: Texts, margin: float, aliased: str
) -> list[BatchDifference]:
    """Every two known groups of two or more scans: difference of mean scores with its 90 % interval.

    A pair is equivalent when the interval lies within the margin, different when it does not and excludes 0, else
    inconclusive.
    """
    groups = [(str(level), scored.values[labels == level]) for level in np.unique(labels) if level != UNKNOWN]
    large = [(level, values) for level, values in groups if values.size >= FEWEST_IN_GROUP]
    rows = []
    for (first, one), (second, other) in combinations(large, 2):
        found = equivalence(one, other, margin, BATCH_LEVEL)
        rows.append(
            BatchDifference(
                outcome=scored.outcome,
                subset=scored.subset,
                variable=variable,
                first=first,
                second=second,
                n_first=one.size,
                n_second=other.size,
                difference=found.difference,
                lo=found.lower,
                hi=found.upper,
                margin=margin,
                verdict=_verdict(found),
                aliased_with=aliased,
            )
        )
    return rows


def _verdict(found: Equivalence) -> str:
    if found.equivalent:
        return "equivalent"
    return "different" if found.lower > 0 or found.upper < 0 else "inconclusive"


def overall_verdict(rows: list[BatchDifference]) -> str:
    """One word for a variable: equivalent only when every pair is, different when one pair is; empty without pairs."""
    verdicts = {row.verdict for row in rows}
    if not verdicts:
        return ""
    if verdicts == {"equivalent"}:
        return "equivalent"
    return "different" if "different" in verdicts else "inconclusive"
