"""Whether a list of features was read off the selection of a study, and whether its patients are that study's own."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.analyse.same_patients import Courses, agreeing, alike
from engine.portable_model import ROLE as MODEL_ROLE
from engine.protocol import Plan
from store.records import RefusedError

Floats = NDArray[np.float64]
Prints = NDArray[np.uint64]
NO_PRINT = np.uint64(0)
DIGITS = 5  # after the first: other programs write at least six
LONGEST_LIST = 100
READABLE_SHARE = 0.8  # of a list among the features kept most often
FEWEST_EQUAL = 3
REMEDY = (
    "Evaluate the list on other patients, or give the whole table and let every bootstrap select anew. A list that was"
    " fixed before this selection was made counts when its plan was locked before."
)
TRAINED_REMEDY = "Test it on other patients, and take the model out of [external] in study.toml here."


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """By what patients are known again: keyed hashes of their ids and of their CT files, and their courses.

    ids and courses are in the order of the table; images is empty in a study of a table; courses is None before there
    is an outcome.
    """

    ids: tuple[str, ...]
    images: frozenset[str] = frozenset()
    courses: Courses | None = None

    def shared(self, others: People) -> dict[str, int]:
        """How many are in both, by id, by their CT and by follow-up and clinical table."""
        place = {one: row for row, one in enumerate(others.ids)}
        same = [(row, place[one]) for row, one in enumerate(self.ids) if one in place]
        found = {"their CT": len(self.images & others.images)}
        if self.courses is None or others.courses is None:
            return {"id": len(same)} | found
        by_course = {"their follow-up and clinical table": alike(self.courses, others.courses)}
        return {"id": agreeing(self.courses, others.courses, same)} | found | by_course


@dataclass(frozen=True, slots=True, eq=False)
class KnownSelection:
    """A selection that was made: who was in it, what it kept, commonest first, and which lists were taken from it.

    prints (patients, names) are `fingerprints` of their values; train_sha256 is of models fitted on all of them.
    """

    id: str
    study: str
    recorded_at: str
    candidates: int
    names: tuple[str, ...]
    taken: tuple[tuple[str, ...], ...]
    people: People
    prints: Prints
    train_sha256: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ListedFeatures:
    """What is about to be evaluated: features by name with their values (n, p), and of whom."""

    names: tuple[str, ...]
    values: Floats
    people: People


def fingerprints(values: Floats, key: int) -> Prints:
    """A number for every value (n, p): equal for values equal to six digits, mixed with a 64-bit key.

    0, which matches nothing, for missing values and for those that a column holds twice: they identify nobody.
    """
    known = np.isfinite(values) & (values != 0)
    safe = np.where(known, values, 1.0)
    exponent = np.floor(np.log10(np.abs(safe)))
    mantissa = np.rint(safe / 10.0 ** (exponent - DIGITS)).astype(np.int64)
    mixed = (mantissa * 1009 + exponent.astype(np.int64)).view(np.uint64) ^ np.uint64(key)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = np.where(known, mixed ^ (mixed >> np.uint64(31)), NO_PRINT)
    for column in mixed.T:
        found, counts = np.unique(column, return_counts=True)
        column[np.isin(column, found[counts > 1])] = NO_PRINT
    return np.asarray(mixed, dtype=np.uint64)


def refuse_own_patients(plan: Plan, listed: ListedFeatures, known: tuple[KnownSelection, ...], key: int) -> None:
    """RefusedError when the list was read off a known selection and one of the patients was in it.

    Read off means: the plan says so (derived_from), the list lies within one that was taken from the selection, or it
    is a short list of whose features four in five are among the selection's commonest. Patients are the same by id,
    or by the values of the listed features, whatever columns and patients are called. A derived_from that names no
    known selection is refused too: nobody can tell whose patients these are.
    """
    own = fingerprints(listed.values, key)
    for selection in known:
        if plan.locked_at and plan.locked_at < selection.recorded_at:
            continue
        columns = matched_columns(listed.names, own, selection)
        declared = bool(plan.derived_from) and selection.id.startswith(plan.derived_from)
        if declared or was_taken(columns, selection) or is_readable(columns, selection):
            _refuse_shared(selection, shared_patients(listed, own, columns, selection))
    if plan.derived_from and not any(selection.id.startswith(plan.derived_from) for selection in known):
        text = "plan.derived_from names no selection known here: that its patients are others cannot be shown."
        raise RefusedError("derived_from", "study.toml", text, REMEDY)


def matched_columns(names: tuple[str, ...], own: Prints, selection: KnownSelection) -> tuple[int | None, ...]:
    """The place of each listed feature in the selection's names: by name, else by at least three equal values."""
    place = {name: number for number, name in enumerate(selection.names)}
    columns: dict[int, list[int]] = defaultdict(list)
    if any(name not in place for name in names):
        for number, prints in enumerate(selection.prints.T):
            for value in prints[prints != NO_PRINT].tolist():
                columns[value].append(number)
    found: list[int | None] = []
    for name, prints in zip(names, own.T, strict=True):
        votes = Counter(number for value in prints.tolist() for number in columns.get(value, ()))
        best, count = votes.most_common(1)[0] if votes else (0, 0)
        found.append(place.get(name, best if count >= FEWEST_EQUAL else None))
    return tuple(found)


def was_taken(columns: tuple[int | None, ...], selection: KnownSelection) -> bool:
    """Whether the list lies within one that was taken from the selection."""
    names = {None if column is None else selection.names[column] for column in columns}
    return any(names <= set(taken) for taken in selection.taken)


def is_readable(columns: tuple[int | None, ...], selection: KnownSelection) -> bool:
    """Whether four in five of a short list are among the commonest of the selection, twice as many as the list names.

    Short: 2 to 100 features, fewer than half of what the selection chose from. The commonest are at most a quarter of
    that: a list that was thought up beforehand hardly ever falls there by chance.
    """
    size = len(columns)
    if not 2 <= size <= LONGEST_LIST or size * 2 >= selection.candidates:
        return False
    window = min(max(2 * size, size + 5), selection.candidates // 4)
    return sum(column is not None and column < window for column in columns) >= READABLE_SHARE * size


def shared_patients(
    listed: ListedFeatures, own: Prints, columns: tuple[int | None, ...], selection: KnownSelection
) -> dict[str, int]:
    """How many patients were in the selection, by each of the marks of `People`, and by their feature values.

    By values: half of the listed ones and two or more.
    """
    shared = listed.people.shared(selection.people)
    pairs = [(mine, theirs) for mine, theirs in enumerate(columns) if theirs is not None]
    if not pairs:
        return shared
    mine, theirs = (list(side) for side in zip(*pairs, strict=True))
    equal = own[:, None, mine] == selection.prints[None, :, :][:, :, theirs]
    equal &= own[:, None, mine] != NO_PRINT
    by_value = equal.sum(axis=2).max(axis=1, initial=0) >= max(min(2, len(pairs)), len(pairs) / 2)
    return shared | {"their feature values": int(by_value.sum())}


def refuse_trainers(train_sha256: str, people: People, known: tuple[KnownSelection, ...]) -> None:
    """RefusedError when a model fitted on all patients of a known selection is about to meet some of them again.

    Other masks, settings, ids or pseudonyms do not make them new patients.
    """
    for selection in known:
        if selection.train_sha256 != train_sha256:
            continue
        shared = people.shared(selection.people)
        if any(shared.values()):
            text = (
                f"{max(shared.values())} patients of this study trained the model ({_by_mark(shared)}), though they may"
                " be called or outlined differently here: it would be tested on what it was fitted to."
            )
            raise RefusedError("training_patient", MODEL_ROLE, text, TRAINED_REMEDY)


def _by_mark(shared: dict[str, int]) -> str:
    return ", ".join(f"{count} by {mark}" for mark, count in shared.items() if count)


def _refuse_shared(selection: KnownSelection, shared: dict[str, int]) -> None:
    if not any(shared.values()):
        return
    text = (
        f"the feature list was read off selection {selection.id} of study {selection.study!r}, and"
        f" {max(shared.values())} of these patients were in it ({_by_mark(shared)}):"
        " evaluating it on them is circular, null data look predictive that way."
    )
    raise RefusedError("derived_from", "study.toml", text, REMEDY)
