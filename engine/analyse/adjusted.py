"""Second part of the two-part model of difficulty: what lowers the DSC of a detected tumour, all else kept as it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.analyse.batch_effects import aliases_of
from engine.analyse.difficulty_table import UNKNOWN, DifficultyTable
from engine.protocol import Agreement
from engine.statistics.fractional_logit import MeanChange, fit_fractional, mean_change
from engine.statistics.spline import knots_of, restricted_cubic
from store.records import AcquisitionPair, Association, DeclinedError

Floats = NDArray[np.float64]
SHAPE = ("sphericity", "maximum_3d_diameter_mm")
SPLINE_PARAMETERS = 4  # two columns for each of SHAPE
QUARTILES = (0.25, 0.75)
FEWEST_OF_A_GROUP = 5
TEST = "fractional logit, adjusted"
STRAIGHT_TEST = "fractional logit, adjusted, straight lines"


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One variable of the model: its columns (n, k), the same with it set low and high, and what low and high are."""

    name: str
    columns: Floats
    low: Floats
    high: Floats
    says: str
    aliased_with: str = ""


def adjusted_rows(table: DifficultyTable, pairs: tuple[AcquisitionPair, ...], rules: Agreement) -> list[Association]:
    """Change of the mean DSC of detected tumours from the lower to the upper quartile, or from one group to another.

    Fractional logit; sphericity and diameter jointly, as restricted cubic splines where there are
    `patients_per_parameter` patients for each of their four columns, else as straight lines; then, while patients
    suffice, costal contact and the acquisition variables with the two largest known groups. Of aliased variables the
    first stands for all. Patients with an unknown value of an entered variable are left out of the whole model; a
    variable unknown in more than a third of the patients does not enter. Nothing with too few patients.
    """
    shape = np.column_stack([table.numbers[name] for name in SHAPE])
    chosen = ~table.missed & np.isfinite(shape).all(axis=1)
    names = _entering(table, chosen, pairs, rules)
    for name in names:
        chosen = chosen & _two_groups(table, name)[1]
    size = int(chosen.sum())
    if size < rules.patients_per_parameter * len(SHAPE) or np.ptp(table.scores["dsc"][chosen]) == 0:
        return []
    bends = size >= rules.patients_per_parameter * SPLINE_PARAMETERS
    try:
        terms = [_number_term(name, table.numbers[name][chosen], bends) for name in SHAPE]
        terms += [_group_term(table, name, chosen, aliases_of(name, pairs)) for name in names]
        return _effects(terms, table.scores["dsc"][chosen], TEST if bends else STRAIGHT_TEST)
    except (DeclinedError, ValueError):
        return []  # constant or collinear columns, fewer than three knots


def _entering(
    table: DifficultyTable, chosen: NDArray[np.bool_], pairs: tuple[AcquisitionPair, ...], rules: Agreement
) -> list[str]:
    """The groups that enter beside shape, in order, while there are patients for another parameter."""
    entering: list[str] = []
    left = chosen
    for name in ("chest_wall_contact", *table.acquisition):
        labels, known = _two_groups(table, name)
        kept = left & known
        aliased = set(aliases_of(name, pairs).split(", ")) & set(entering)
        enough = kept.sum() >= rules.patients_per_parameter * (SPLINE_PARAMETERS + len(entering) + 1)
        common = 3 * kept.sum() >= 2 * left.sum() and _smallest(labels[kept]) >= FEWEST_OF_A_GROUP
        if not aliased and enough and common:
            entering.append(name)
            left = kept
    return entering


def _smallest(labels: NDArray[np.str_]) -> int:
    return int(np.unique(labels, return_counts=True)[1].min(initial=labels.size))


def _two_groups(table: DifficultyTable, name: str) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
    """Labels of a grouping variable, and which patients are in its two largest known groups."""
    labels = table.places[name] if name in table.places else table.acquisition[name]
    levels, counts = np.unique(labels[labels != UNKNOWN], return_counts=True)
    if levels.size < 2:
        return labels, np.zeros(labels.size, dtype=np.bool_)
    return labels, np.isin(labels, levels[np.argsort(-counts, kind="stable")[:2]])


def _number_term(name: str, values: Floats, bends: bool) -> Term:
    low, high = np.quantile(values, QUARTILES)
    if bends:
        knots = knots_of(values)
        columns = restricted_cubic(values, knots)
        ends = [restricted_cubic(np.full(values.size, end), knots) for end in (low, high)]
    else:
        columns, ends = values[:, None], [np.full((values.size, 1), end) for end in (low, high)]
    return Term(name, columns, ends[0], ends[1], f"from {low:.3g} to {high:.3g} (quartiles)")


def _group_term(table: DifficultyTable, name: str, chosen: NDArray[np.bool_], aliased: str) -> Term:
    labels = _two_groups(table, name)[0][chosen]
    base, other = np.unique(labels)
    column = (labels == other).astype(np.float64)[:, None]
    return Term(name, column, np.zeros_like(column), np.ones_like(column), f"{other} less {base}", aliased)


def _effects(terms: list[Term], dsc: Floats, test: str) -> list[Association]:
    design = np.column_stack([term.columns for term in terms])
    scale = design.std(axis=0)
    fit = fit_fractional(design / scale, dsc)
    rows, start = [], 0
    for term in terms:
        places = tuple(range(start, start + term.columns.shape[1]))
        low, high = design.copy(), design.copy()
        low[:, places], high[:, places] = term.low, term.high
        change = mean_change(fit, low / scale, high / scale, places)
        rows.append(_row(term, change, test, dsc.size))
        start += len(places)
    return rows


def _row(term: Term, found: MeanChange, test: str, n: int) -> Association:
    return Association(
        outcome="dsc",
        variable=term.name,
        test=test,
        subset="detected",
        n=n,
        effect_name=f"change of DSC, {term.says}",
        effect=found.change,
        effect_lo=found.lower,
        effect_hi=found.upper,
        p=found.p_value,
        q=None,
        verdict="",
        groups="",
        change=found.change,
        change_lo=found.lower,
        change_hi=found.upper,
        change_per=term.says,
        aliased_with=term.aliased_with,
    )
