"""Plain CSV tables for statistics without a study: numbers with an outcome, or a 0/1 table of resamples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.acquire.csv_table import number_in, read_rows, read_table
from store.records import RefusedError

ROLE = "table"
MOST_LISTED = 5


@dataclass(frozen=True, slots=True, eq=False)
class Predictors:
    """Names and values (n, p) of the columns, and the outcome (n,) as codes of its sorted values."""

    names: tuple[str, ...]
    values: NDArray[np.float64]
    outcome: NDArray[np.int64]


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
    values = np.empty((len(table.rows), len(names)))
    for place, name in enumerate(names):
        for row, cell in enumerate(table.column(name)):
            number = number_in(cell, table, row, name)
            if number is None:
                text = f"column {name!r}, line {table.lines[row]} has no value."
                raise RefusedError(
                    "missing_value", ROLE, text, "Complete it, or leave the column out with --leave-out."
                )
            values[row, place] = number
    return Predictors(names, values, codes.astype(np.int64))


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
