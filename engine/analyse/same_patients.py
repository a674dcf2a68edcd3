"""Whether the patients of two tables are the same people under other ids, masks and settings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from store.matrices import DesignTable

Prints = NDArray[np.uint64]
DAYS, OUTCOME = "days of the endpoint", "outcome"
FEWEST_ALIKE, TIMES_CHANCE = 3, 3.0
MIXER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, eq=False)
class Courses:
    """What does not change when a patient is measured again: columns by name, keyed hashes (patients, columns).

    A missing value is a value like others: it is missing again in the same table.
    """

    names: tuple[str, ...]
    prints: Prints


def courses(table: DesignTable, key: bytes) -> Courses:
    """Follow-up and outcome of the endpoint and every clinical column; numbers are equal when equal to six digits."""
    levels = np.array((*table.clinical_levels, ""))
    outcome = [f"{event} {label}" for event, label in zip(table.event.tolist(), table.label.tolist(), strict=True)]
    columns = {DAYS: _texts(table.days), OUTCOME: outcome}
    for place, name in enumerate(table.clinical_names):
        codes = table.clinical_codes[:, place]
        told = levels[codes] if (codes >= 0).any() else _texts(table.clinical_numbers[:, place])
        columns[name.casefold()] = [str(text) for text in told]
    prints = np.array([[_print(text, key) for text in texts] for texts in columns.values()], dtype=np.uint64)
    return Courses(tuple(columns), prints.T)


def alike(own: Courses, theirs: Courses) -> int:
    """How many own patients agree with one of theirs in all that both tables tell; 0 where chance explains as many.

    Asked of follow-up with the clinical columns and of either alone, for a second study may count another endpoint or
    declare other columns; the first that finds any. Chance is what two of their own patients have in common, column by
    column; three times that and three patients are not exceeded by strangers whose age and stage go together.
    """
    shared = tuple(name for name in own.names if name in theirs.names)
    clinical = tuple(name for name in shared if name not in (DAYS, OUTCOME))
    followed = tuple(name for name in shared if name in (DAYS, OUTCOME))
    counts = (_alike(own, theirs, names) for names in ((*followed, *clinical), clinical, followed))
    return next((count for count in counts if count), 0)


def _alike(own: Courses, theirs: Courses, names: tuple[str, ...]) -> int:
    if not names:
        return 0
    mine, other = (side.prints[:, [side.names.index(name) for name in names]] for side in (own, theirs))
    agreeing = int(np.isin(_one_print(mine), _one_print(other)).sum())
    by_chance = float(np.prod([_coincidence(column) for column in other.T]))
    expected = len(mine) * (1.0 - (1.0 - by_chance) ** len(other))
    return agreeing if agreeing >= FEWEST_ALIKE + TIMES_CHANCE * expected else 0


def _coincidence(values: Prints) -> float:
    """How often two patients of one table have the same value; the upper bound of the few pairs that were seen."""
    counts = np.unique(values, return_counts=True)[1]
    pairs, equal = len(values) * (len(values) - 1) / 2, float(np.sum(counts * (counts - 1)) / 2)
    return min(1.0, (equal + 2.0 * float(np.sqrt(equal)) + 3.0) / max(pairs, 1.0))


def _one_print(columns: Prints) -> Prints:
    mixed = np.zeros(len(columns), dtype=np.uint64)
    for column in columns.T:
        mixed = (mixed ^ column) * MIXER
        mixed ^= mixed >> np.uint64(29)
    return mixed


def _texts(values: NDArray[np.float64]) -> list[str]:
    return [f"{value:.6g}" for value in values.tolist()]


def _print(text: str, key: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8"), key=key, digest_size=8).digest(), "big")
