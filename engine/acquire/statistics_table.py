"""Plain CSV tables for statistics without a study: numbers with an outcome, 0/1 resamples, repeated measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.acquire.csv_table import Table, few_lines, number_in, read_rows, read_table
from store.records import RefusedError

ROLE = "table"
MOST_LISTED = 5


@dataclass(frozen=True, slots=True, eq=False)
class Predictors:
    """Names and values (n, p) of the columns, and the outcome (n,) as codes of its sorted values."""

    names: tuple[str, ...]
    values: NDArray[np.float64]
    outcome: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Ratings:
    """Repeated measurements of one quantity: values (subjects, raters), NaN where a rater gave none."""

    name: str  # the cell of the column that tells quantities apart, empty without one
    values: NDArray[np.float64]

    def of_complete_raters(self) -> NDArray[np.float64]:
        """The columns of raters who gave a value for every subject, as R psych needs them."""
        return self.values[:, np.isfinite(self.values).all(axis=0)]


def read_predictors(path: Path, outcome: str, left_out: Sequence[str] = ()) -> Predictors:
    """Every column but the outcome and those left out, as numbers.

    RefusedError with column and line for text, decimal commas, infinite and missing cells, and for fewer than two
    outcome values.
    """
    table = read_table(path, ROLE)
    names = tuple(name for name in table.columns if name not in (outcome, *left_out))
    for name in left_out:
        table.place(name)
    levels, codes = np.unique(np.array(table.column(outcome)), return_inverse=True)
    if levels.size < 2:
        text = f"column {outcome!r} holds one value only, an outcome needs two."
        raise RefusedError("one_class", ROLE, text, "Name another --outcome.")
    values = _numbers(table, names, "Complete it, or leave the column out with --leave-out.")
    return Predictors(names, values, codes.astype(np.int64))


def read_scores(path: Path, outcome: str, event: str, scores: Sequence[str]) -> Predictors:
    """The named columns as numbers, and the outcome as 1 where the cell is `event` and 0 where it is the other value.

    RefusedError as `read_predictors`, and where the outcome has not two values or none of them is `event`.
    """
    table = read_table(path, ROLE)
    cells = table.column(outcome)
    levels = sorted(set(cells))
    if len(levels) != 2 or event not in levels:
        found = ", ".join(map(repr, levels[:MOST_LISTED])) + (", ..." if len(levels) > MOST_LISTED else "")
        text = f"column {outcome!r} must hold {event!r} and one other value, it holds {found}."
        raise RefusedError("not_two_classes", ROLE, text, "Name the value that is the event with --event.")
    values = _numbers(table, scores, "Leave out the row, or complete it.")
    return Predictors(tuple(scores), values, np.array([cell == event for cell in cells], dtype=np.int64))


def read_indicators(path: Path) -> NDArray[np.bool_]:
    """A table of 0 and 1, rows = resamples, columns = features; a first row of names is skipped.

    RefusedError with lines for any other cell and for rows of different length.
    """
    rows = read_rows(path, ROLE)
    if any(cell not in ("0", "1") for cell in rows[0][1]):
        rows = rows[1:]
    wrong = [line for line, cells in rows if len(cells) != len(rows[0][1]) or any(c not in ("0", "1") for c in cells)]
    if wrong or len(rows) < 2:
        lines = ", ".join(map(str, wrong[:MOST_LISTED]))
        text = (
            f"cells that are neither 0 nor 1, or rows of another length, at lines {lines}."
            if wrong
            else "one row only."
        )
        raise RefusedError("not_indicators", ROLE, text, "Give one row a resample, 1 where it chose the feature.")
    return np.array([[cell == "1" for cell in cells] for _, cells in rows], dtype=np.bool_)


def read_ratings(path: Path, subject: str, rater: str, value: str, by: str = "") -> list[Ratings]:
    """A long table, one measurement a row, as one Ratings a cell of the column `by` in order of appearance.

    A subject or rater belongs to a quantity where it has a row of it. RefusedError with lines for text, decimal commas
    and infinite cells, for subjects or raters without a name, and where one rater measures a subject twice.
    """
    table = read_table(path, ROLE)
    subjects, raters, cells = table.column(subject), table.column(rater), table.column(value)
    names = table.column(by) if by else ("",) * len(table.rows)
    nameless = [table.lines[k] for k, cell in enumerate(zip(subjects, raters, strict=True)) if "" in cell]
    if nameless:
        text = f"no {subject!r} or no {rater!r} at lines {few_lines(nameless)}."
        raise RefusedError("no_name", ROLE, text, "Say who measured whom in every row.")
    found: dict[str, dict[tuple[str, str], float]] = {}
    repeated = []
    for row, key in enumerate(zip(subjects, raters, strict=True)):
        given = found.setdefault(names[row], {})
        if key in given:
            repeated.append(table.lines[row])
        number = number_in(cells[row], table, row, value)
        given[key] = np.nan if number is None else number
    if repeated:
        text = f"a rater measures the same subject again at lines {few_lines(repeated)}."
        raise RefusedError("duplicate_rating", ROLE, text, "Keep one, or name what tells them apart with --by.")
    return [Ratings(name, _pivoted(given)) for name, given in found.items()]


def _numbers(table: Table, names: Sequence[str], remedy: str) -> NDArray[np.float64]:
    """Columns as numbers (rows, columns); RefusedError with column, line and remedy for a cell that is none."""
    values = np.empty((len(table.rows), len(names)))
    for place, name in enumerate(names):
        for row, cell in enumerate(table.column(name)):
            number = number_in(cell, table, row, name)
            if number is None:
                text = f"column {name!r}, line {table.lines[row]} has no value."
                raise RefusedError("missing_value", ROLE, text, remedy)
            values[row, place] = number
    return values


def _pivoted(given: dict[tuple[str, str], float]) -> NDArray[np.float64]:
    rows = {name: place for place, name in enumerate(dict.fromkeys(subject for subject, _ in given))}
    columns = {name: place for place, name in enumerate(dict.fromkeys(rater for _, rater in given))}
    values = np.full((len(rows), len(columns)), np.nan)
    for (subject, rater), number in given.items():
        values[rows[subject], columns[rater]] = number
    return values
