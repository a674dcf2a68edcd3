"""First part of the two-part model of difficulty: what makes a tumour missed. The second is in adjusted.py."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.analyse.difficulty_table import DifficultyTable
from engine.protocol import Agreement
from engine.statistics.association import mann_whitney_exact
from engine.statistics.firth import fit_firth
from store.records import Association, DeclinedError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
VARIABLES = ("maximum_3d_diameter_mm", "sphericity", "costal_contact_share")  # in the order in which they enter
EFFECT = "log odds ratio per SD"


def missed_rows(table: DifficultyTable, rules: Agreement) -> list[Association]:
    """What goes with a miss, per standard deviation over the patients with a value; nothing without a miss or a find.

    Firth logistic regression with one variable for every `misses_per_parameter` misses (of the rarer kind), in the
    order of VARIABLES; with enough for one only, each in a model of its own; with fewer, the exact Mann-Whitney test.
    """
    columns = {name: table.numbers[name] for name in VARIABLES if np.isfinite(table.numbers[name]).any()}
    if not columns:
        return []
    known = np.isfinite(np.column_stack(list(columns.values()))).all(axis=1)
    missed = table.missed[known]
    values = {name: column[known] for name, column in columns.items() if len(set(column[known])) > 1}
    fewer = int(min(missed.sum(), (~missed).sum()))
    if fewer == 0 or not values:
        return []
    allowed = fewer // rules.misses_per_parameter
    if allowed == 0:
        return [_exact(name, column, missed) for name, column in values.items()]
    if allowed == 1:
        return [row for name in values for row in _firth({name: values[name]}, missed, "firth, one at a time")]
    return _firth(dict(list(values.items())[:allowed]), missed, "firth, jointly")


def _firth(columns: dict[str, Floats], missed: Flags, test: str) -> list[Association]:
    x = np.column_stack([(column - column.mean()) / column.std() for column in columns.values()])
    try:
        fit = fit_firth(x, missed)
    except DeclinedError:
        return []
    numbers = zip(fit.coefficients[1:], fit.lower[1:], fit.upper[1:], fit.p_values[1:], strict=True)
    return [
        _row(name, test, missed.size, EFFECT, tuple(float(v) if np.isfinite(v) else None for v in own))
        for name, own in zip(columns, numbers, strict=True)
    ]


def _exact(name: str, values: Floats, missed: Flags) -> Association:
    found = mann_whitney_exact(values[missed], values[~missed])
    effect = "rank-biserial correlation (missed above detected)"
    test = "mann-whitney, exact: too few misses for a model"
    return _row(name, test, missed.size, effect, (found.rank_biserial, None, None, found.p_value))


def _row(name: str, test: str, n: int, effect_name: str, numbers: tuple[float | None, ...]) -> Association:
    effect, lo, hi, p = numbers
    return Association("missed", name, test, "all", n, effect_name, effect, lo, hi, p, None, "", "")
