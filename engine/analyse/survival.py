"""Survival without the endpoint, or incidence where deaths compete, by group; the clinical covariates' hazards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.analyse.clinical_coding import ClinicalCoding, NumberCoding, code_clinical
from engine.analyse.predictions import MeanPredictions, risk_group
from engine.statistics.cox import CoxFit, fit_cox, proportional_hazards
from engine.statistics.cumulative_incidence import CumulativeIncidence, cumulative_incidence
from engine.statistics.fine_gray import FineGrayFit, fit_fine_gray
from engine.statistics.kaplan_meier import kaplan_meier
from store.matrices import MISSING_LEVEL, UNDETERMINED, DesignTable
from store.records import CoxTerm, DeclinedError, IncidencePoint, SurvivalPoint

Floats = NDArray[np.float64]
Labels = list[str]
ALL = "all patients"
SMALLEST_GROUP = 5
LARGEST_STANDARD_ERROR = 10.0  # of a log hazard ratio: beyond it the likelihood has no maximum for the term
RISKS = (("clinical", "clinical risk"), ("combined", "combined risk"))
COMPETING = 2
CAUSES = ((1, "event"), (COMPETING, "competing death"))


def timed_rows(table: DesignTable) -> NDArray[np.bool_]:
    """Patients whose time and event are known (n,)."""
    return np.asarray(np.isfinite(table.days) & (table.event != UNDETERMINED))


def competes(table: DesignTable) -> bool:
    """Whether a death without the event stands among the outcomes: Kaplan-Meier would then overstate the event."""
    return bool((table.event == COMPETING).any())


def survival_points(table: DesignTable, means: MeanPredictions) -> tuple[SurvivalPoint, ...]:
    """Kaplan-Meier curves of all, by every stage column and by risk group; none without times or where deaths compete.

    Risk groups were chosen inside the resamples: above the training median in most resamples that left him out.
    """
    if competes(table):
        return ()
    return tuple(point for title, labels in _groupings(table, means) for point in curves(table, title, labels))


def incidence_points(table: DesignTable, means: MeanPredictions) -> tuple[IncidencePoint, ...]:
    """Aalen-Johansen curves of event and competing death in the same groups; none where no death competes."""
    if not competes(table):
        return ()
    found: list[IncidencePoint] = []
    for title, labels in _groupings(table, means):
        for level, rows in _levels(table, labels):
            days, causes = table.days[rows], table.event[rows]
            for cause, name in CAUSES:
                found += _incidence(title, level, name, cumulative_incidence(days, causes, cause), days)
    return tuple(found)


def _incidence(grouping: str, level: str, name: str, curve: CumulativeIncidence, days: Floats) -> list[IncidencePoint]:
    start = IncidencePoint(grouping, level, name, 0.0, 0.0, 0.0, 0.0, int(days.size))
    columns = (curve.times, curve.incidence, curve.lower, curve.upper)
    return [start] + [
        IncidencePoint(grouping, level, name, t, risk, lo, hi, int((days >= t).sum()))
        for t, risk, lo, hi in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _groupings(table: DesignTable, means: MeanPredictions) -> list[tuple[str, Labels]]:
    groupings = [("all", [ALL] * len(table.case_ids)), *_stages(table)]
    return groupings + [
        (title, [risk_group(float(share)) for share in means.high[model]])
        for model, title in RISKS
        if model in means.high
    ]


def _stages(table: DesignTable) -> list[tuple[str, Labels]]:
    columns = [column for column, kind in enumerate(table.clinical_kinds) if kind == "stage"]
    found = []
    for place, column in enumerate(columns):
        codes = table.clinical_codes[:, column].tolist()
        labels = ["" if code == MISSING_LEVEL else table.clinical_levels[code] for code in codes]
        found.append(("stage" if place == 0 else table.clinical_names[column], labels))
    return found


def curves(table: DesignTable, grouping: str, labels: Labels) -> list[SurvivalPoint]:
    """Kaplan-Meier steps of every level, each beginning at day 0; empty labels and levels under 5 are not drawn."""
    points = []
    for level, rows in _levels(table, labels):
        points += _curve(grouping, level, table.days[rows], table.event[rows] == 1)
    return points


def _levels(table: DesignTable, labels: Labels) -> list[tuple[str, NDArray[np.bool_]]]:
    """Every level that is drawn with the rows of its patients (n,)."""
    known, names = timed_rows(table), np.array(labels)
    rows_of = {level: known & (names == level) for level in sorted(set(labels) - {""})}
    return [
        (level, rows)
        for level, rows in rows_of.items()
        if rows.sum() >= SMALLEST_GROUP or (level == ALL and rows.any())
    ]


def _curve(grouping: str, level: str, days: Floats, event: NDArray[np.bool_]) -> list[SurvivalPoint]:
    curve = kaplan_meier(days, event)
    start = SurvivalPoint(grouping, level, 0.0, 1.0, 1.0, 1.0, int(days.size), 0, 0)
    columns = (curve.times, curve.survival, curve.lower, curve.upper, curve.at_risk, curve.events, curve.censored)
    steps = [
        SurvivalPoint(grouping, level, float(t), float(s), float(lo), float(hi), round(n), round(e), round(c))
        for t, s, lo, hi, n, e, c in zip(*(column.tolist() for column in columns), strict=True)
    ]
    return [start, *steps]


def cox_terms(table: DesignTable, locked: bool) -> tuple[CoxTerm, ...]:
    """Cox table of the clinical covariates: hazard ratio per unit or against the most frequent level, PH test beside.

    Missing numbers take the median with an indicator. p is None before the plan is locked; the test of proportional
    hazards is a check of the model and stays. Where deaths compete these are hazards of the cause, and Fine and Gray's
    subdistribution hazards, which speak of the incidence, follow. No terms without times, events or covariates.
    """
    known = np.flatnonzero(timed_rows(table))
    if known.size == 0 or not (table.event[known] == 1).any():
        return ()
    coding = code_clinical(table, timed_rows(table).astype(np.int64))
    x, days, event = _raw_columns(table, coding)[known], table.days[known], table.event[known] == 1
    if x.shape[1] == 0:
        return ()
    try:
        fit = fit_cox(x, days, event)
        ph = proportional_hazards(fit, x, days, event).p_values
    except DeclinedError:
        return ()
    names = coding.terms(table)
    terms = tuple(
        _term(names[i], fit, i, (float(ph[i]), known.size, int(event.sum())), locked) for i in range(len(names))
    )
    return terms + (_subdistribution(x, days, table.event[known], names, locked) if competes(table) else ())


def _subdistribution(
    x: Floats, days: Floats, causes: NDArray[np.int8], names: tuple[str, ...], locked: bool
) -> tuple[CoxTerm, ...]:
    """Terms of Fine and Gray's model, which has no test of proportional hazards of its own here."""
    try:
        fit = fit_fine_gray(x, days, causes.astype(np.intp))
    except DeclinedError:
        return ()
    counts = (float("nan"), int(days.size), int((causes == 1).sum()))
    return tuple(
        replace(_term(name, fit, place, counts, locked), effect="subdistribution hazard")
        for place, name in enumerate(names)
    )


def _term(name: str, fit: CoxFit | FineGrayFit, place: int, tested: tuple[float, int, int], locked: bool) -> CoxTerm:
    ph, n, events = tested
    if not fit.standard_errors[place] < LARGEST_STANDARD_ERROR:
        return CoxTerm(name, None, None, None, None, None, n, events)
    ratio, lo, hi = (float(np.exp(v[place])) for v in (fit.coefficients, fit.lower, fit.upper))
    p = float(fit.p_values[place])
    return CoxTerm(name, ratio, lo, hi, p if locked else None, ph if np.isfinite(ph) else None, n, events)


def _raw_columns(table: DesignTable, coding: ClinicalCoding) -> Floats:
    """Coded clinical columns with numbers in their own unit."""
    blocks = [np.zeros((len(table.case_ids), 0))]
    for part in coding.parts:
        block = part.apply(table)
        if isinstance(part, NumberCoding):
            block = np.column_stack([block[:, :1] * part.spread + part.mean, block[:, 1:]])
        blocks.append(block)
    return np.concatenate(blocks, axis=1)
