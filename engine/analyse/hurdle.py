"""The two-part model of difficulty: what makes a tumour missed, and what lowers the DSC of one that was found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.analyse.difficulty_table import DifficultyTable
from engine.statistics.association import mann_whitney
from engine.statistics.firth import fit_firth
from engine.statistics.fractional_logit import fit_fractional
from store.records import Association, DeclinedError

Floats = NDArray[np.float64]
VARIABLES = ("sphericity", "maximum_3d_diameter_mm")
MISSES_PER_PARAMETER = 5
PATIENTS_PER_PARAMETER = 10
EFFECT = "log odds ratio per SD"


def hurdle_rows(table: DifficultyTable) -> list[Association]:
    """Rows of both parts, for sphericity and diameter, per standard deviation over the patients of that part.

    Missed: Firth logistic regression, both variables jointly from ten misses, one at a time from five, below that the
    rank-biserial correlation of Mann-Whitney; nothing without a miss or a find. Detected: fractional logit of DSC
    on both jointly from 20 patients. Patients without a reference shape are left out.
    """
    values = np.column_stack([table.numbers[name] for name in VARIABLES])
    known = np.isfinite(values).all(axis=1)
    values, missed = values[known], table.missed[known]
    detected = _detected_rows(values[~missed], table.scores["dsc"][known][~missed])
    return [*_missed_rows(values, missed), *detected]


def _missed_rows(values: Floats, missed: NDArray[np.bool_]) -> list[Association]:
    fewer = int(min(missed.sum(), (~missed).sum()))
    varying = values.size > 0 and bool((np.ptp(values, axis=0) > 0).all())
    if fewer == 0 or not varying:
        return []
    if fewer < MISSES_PER_PARAMETER:
        return [_ranked(name, values[:, i], missed) for i, name in enumerate(VARIABLES)]
    scaled = _standardised(values)
    if fewer >= MISSES_PER_PARAMETER * len(VARIABLES):
        return _firth(VARIABLES, scaled, missed, "firth, jointly")
    return [
        row
        for i, name in enumerate(VARIABLES)
        for row in _firth((name,), scaled[:, [i]], missed, "firth, one at a time")
    ]


def _firth(names: tuple[str, ...], x: Floats, missed: NDArray[np.bool_], test: str) -> list[Association]:
    try:
        fit = fit_firth(x, missed)
    except DeclinedError:
        return []
    return [
        _row("missed", name, test, missed.size, (fit.coefficients[i], fit.lower[i], fit.upper[i], fit.p_values[i]))
        for i, name in enumerate(names, start=1)
    ]


def _ranked(name: str, values: Floats, missed: NDArray[np.bool_]) -> Association:
    found = mann_whitney(values[missed], values[~missed])
    return Association(
        outcome="missed",
        variable=name,
        test="mann-whitney, too few misses for a model",
        subset="all",
        n=missed.size,
        effect_name="rank-biserial correlation (missed above detected)",
        effect=found.rank_biserial,
        effect_lo=None,
        effect_hi=None,
        p=found.p_value,
        q=None,
        verdict="",
        groups="",
    )


def _detected_rows(values: Floats, dsc: Floats) -> list[Association]:
    enough = dsc.size >= PATIENTS_PER_PARAMETER * len(VARIABLES)
    if not enough or not (np.ptp(values, axis=0) > 0).all() or np.ptp(dsc) == 0:
        return []
    try:
        fit = fit_fractional(_standardised(values), dsc)
    except DeclinedError:
        return []
    return [
        _row(
            "dsc",
            name,
            "fractional logit, jointly",
            dsc.size,
            (fit.coefficients[i], fit.lower[i], fit.upper[i], fit.p_values[i]),
        )
        for i, name in enumerate(VARIABLES, start=1)
    ]


def _standardised(values: Floats) -> Floats:
    return np.asarray((values - values.mean(axis=0)) / values.std(axis=0), dtype=np.float64)


def _row(outcome: str, name: str, test: str, n: int, numbers: tuple[float, ...]) -> Association:
    effect, lo, hi, p = (float(number) if np.isfinite(number) else None for number in numbers)
    subset = "all" if outcome == "missed" else "detected"
    return Association(outcome, name, test, subset, n, EFFECT, effect, lo, hi, p, None, "", "")
