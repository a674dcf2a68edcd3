"""Whether the patients of two tables are the same people under other ids, masks and settings."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from store.matrices import DesignTable

Prints = NDArray[np.uint64]
DAYS, OUTCOME = "days of the endpoint", "outcome"
FEWEST_ALIKE, TIMES_CHANCE = 3, 3.0
UNLIKELY = 1e-3
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
    declare other columns; the first that finds any. Chance is how often two patients of one table agree in all of them,
    whatever goes together; three times that and three patients are not exceeded by strangers.
    """
    counts = (_alike(own, theirs, names) for names in _asked(own, theirs))
    return next((count for count in counts if count), 0)


def agreeing(own: Courses, theirs: Courses, pairs: Sequence[tuple[int, int]]) -> int:
    """How many pairs of rows that carry the same id are the same people; 0 where strangers would agree as often.

    Hospitals number patients from 1: an id says nothing where follow-up and clinical columns differ. Where both tables
    tell nothing in common the ids are all there is, and all count.
    """
    names = _asked(own, theirs)[0]
    if not pairs or not names:
        return len(pairs)
    mine, other = _prints(own, names), _prints(theirs, names)
    rows = np.array(pairs)
    alike_pairs = int((mine[rows[:, 0]] == other[rows[:, 1]]).sum())
    chance = _coincidence(mine, other)
    by_chance = float(binom.sf(alike_pairs - 1, len(pairs), chance))
    return alike_pairs if by_chance < UNLIKELY else 0


def _asked(own: Courses, theirs: Courses) -> tuple[tuple[str, ...], ...]:
    """The columns in which two tables are compared: all they share, the clinical ones, follow-up and outcome."""
    shared = tuple(name for name in own.names if name in theirs.names)
    clinical = tuple(name for name in shared if name not in (DAYS, OUTCOME))
    followed = tuple(name for name in shared if name in (DAYS, OUTCOME))
    return (*followed, *clinical), clinical, followed


def _alike(own: Courses, theirs: Courses, names: tuple[str, ...]) -> int:
    if not names:
        return 0
    mine, other = _prints(own, names), _prints(theirs, names)
    found = int(np.isin(mine, other).sum())
    chance = _coincidence(mine, other)
    expected = len(mine) * (1.0 - (1.0 - chance) ** len(other))
    return found if found >= FEWEST_ALIKE + TIMES_CHANCE * expected else 0


def _coincidence(*tables: Prints) -> float:
    """How often two patients of one table have the same print; the upper bound of the few pairs that were seen."""
    counts = [np.unique(prints, return_counts=True)[1] for prints in tables]
    equal = float(sum(np.sum(count * (count - 1)) for count in counts) / 2)
    pairs = sum(len(prints) * (len(prints) - 1) for prints in tables) / 2
    return min(1.0, (equal + 2.0 * float(np.sqrt(equal)) + 3.0) / max(pairs, 1.0))


def _prints(courses: Courses, names: tuple[str, ...]) -> Prints:
    """One print a patient of some columns."""
    return _one_print(courses.prints[:, [courses.names.index(name) for name in names]])


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
