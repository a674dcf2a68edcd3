"""The clinical columns of the design table, uncoded: numbers as numbers, categories as codes of their levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.protocol import Covariates
from store.matrices import MISSING_LEVEL
from store.records import Covariate

MOMENTS = ("preoperative", "at surgery", "postoperative")


@dataclass(frozen=True, slots=True, eq=False)
class ClinicalBlock:
    """numbers (n, c), NaN where missing or a category; codes (n, c) into levels, -1 where missing or a number."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    levels: tuple[str, ...]
    numbers: NDArray[np.float64]
    codes: NDArray[np.int32]


def clinical_block(case_ids: tuple[str, ...], covariates: tuple[Covariate, ...], choices: Covariates) -> ClinicalBlock:
    """The declared clinical predictors of these cases, in the declared order.

    ValueError names the column when one becomes known after the study's moment of prediction, in the protocol or in
    the data. Nothing is filled in and no category is coded beyond its number: that happens in training parts only.
    """
    _refuse_later(covariates, choices)
    names = tuple(column.column for column in choices.columns)
    place = {case: row for row, case in enumerate(case_ids)}
    wanted = [c for c in covariates if c.name in names and c.case_id in place]
    levels = tuple(sorted({c.category for c in wanted if c.category is not None}))
    numbers = np.full((len(case_ids), len(names)), np.nan)
    codes = np.full((len(case_ids), len(names)), MISSING_LEVEL, dtype=np.int32)
    for value in wanted:
        cell = place[value.case_id], names.index(value.name)
        if value.number is not None and value.kind == "number":
            numbers[cell] = value.number
        if value.category is not None:
            codes[cell] = levels.index(value.category)
    return ClinicalBlock(names, tuple(column.kind for column in choices.columns), levels, numbers, codes)


def _refuse_later(covariates: tuple[Covariate, ...], choices: Covariates) -> None:
    latest = MOMENTS.index(choices.moment_of_prediction)
    declared = {column.column: column.when_known for column in choices.columns}
    known = [*declared.items(), *((c.name, c.when_known) for c in covariates if c.name in declared)]
    for name, moment in known:
        if MOMENTS.index(moment) > latest:
            raise ValueError(
                f"covariate {name!r} is known {moment}, later than the moment of prediction"
                f" ({choices.moment_of_prediction}): it cannot be a predictor"
            )


def groups_of(block: ClinicalBlock, name: str) -> tuple[str, ...]:
    """The level of a declared category for every row, "" where missing; empty without a name.

    ValueError for a name that is no declared category.
    """
    if not name:
        return ()
    if name not in block.names or block.kinds[block.names.index(name)] == "number":
        raise ValueError(f"outcome.censored_by must name a category or stage of [covariates], got {name!r}")
    codes = block.codes[:, block.names.index(name)].tolist()
    return tuple("" if code == MISSING_LEVEL else block.levels[code] for code in codes)
