"""Whether risks can be believed and used: bands of the ROC curve, calibration curve, decision curve, subgroups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.analyse.predictions import MeanPredictions
from engine.statistics.decision_curve import decision_curve
from engine.statistics.delong import weighted_auc_difference
from engine.statistics.flexible_calibration import flexible_calibration
from engine.statistics.roc import roc_curve, weighted_auc
from store.matrices import MISSING_LEVEL, DesignTable
from store.records import CalibrationPoint, DecisionPoint, DeclinedError, OutOfBag, Resamples, RocBand, Subgroup

Floats = NDArray[np.float64]
GRID = np.linspace(0, 1, 21)
THRESHOLDS = np.arange(0.02, 0.81, 0.02)
TREAT_ALL = "treat all"
SPREAD = (2.5, 97.5)
FEWEST_OF_A_CLASS = 5


def roc_bands(means: MeanPredictions, out_of_bag: Resamples[OutOfBag]) -> tuple[RocBand, ...]:
    """Middle 95 % over resamples of the sensitivity at 21 false positive rates: a spread, no confidence band."""
    place = {case: row for row, case in enumerate(means.case_ids)}
    found: dict[str, dict[int, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for number, row in out_of_bag:
        found[row.model][number].append((place[row.case_id], row.probability))
    return tuple(band for model, resamples in found.items() for band in _bands(means, model, list(resamples.values())))


def _bands(means: MeanPredictions, model: str, resamples: list[list[tuple[int, float]]]) -> Iterator[RocBand]:
    heights = []
    for pairs in resamples:
        rows, risk = (np.array(column) for column in zip(*pairs, strict=True))
        kept = means.weights[rows] > 0
        label = means.label[rows][kept]
        if {0, 1} <= set(label.tolist()):
            curve = roc_curve(label, risk[kept], means.weights[rows][kept])
            heights.append(np.interp(GRID, curve.false_positive_rate, curve.true_positive_rate))
    if heights:
        lower, upper = np.percentile(heights, SPREAD, axis=0)
        for at, lo, hi in zip(GRID.tolist(), lower.tolist(), upper.tolist(), strict=True):
            yield RocBand(model, at, lo, hi)


def calibration_curve(means: MeanPredictions, model: str) -> tuple[CalibrationPoint, ...]:
    """Observed risk as a smooth function of the mean out-of-bag risk; empty where no curve can be drawn."""
    known = means.measured(model)
    try:
        found = flexible_calibration(means.label[known] == 1, means.probability[model][known], means.weights[known])
    except DeclinedError:
        return ()
    columns = (found.predicted, found.observed, found.lower, found.upper)
    return tuple(CalibrationPoint(model, *row) for row in zip(*(column.tolist() for column in columns), strict=True))


def decision_points(means: MeanPredictions, models: Sequence[str]) -> tuple[DecisionPoint, ...]:
    """Net benefit of each arm and of treating all, by threshold; treating none is 0."""
    points: list[DecisionPoint] = []
    for model in models:
        known = means.measured(model)
        labels, risk = means.label[known] == 1, means.probability[model][known]
        curve = decision_curve(labels, risk, THRESHOLDS, means.weights[known])
        pairs = zip(THRESHOLDS.tolist(), curve.model.tolist(), strict=True)
        points += [DecisionPoint(model, threshold, benefit) for threshold, benefit in pairs]
        if model == models[0]:
            pairs = zip(THRESHOLDS.tolist(), curve.treat_all.tolist(), strict=True)
            points += [DecisionPoint(TREAT_ALL, threshold, benefit) for threshold, benefit in pairs]
    return tuple(points)


def subgroups(table: DesignTable, means: MeanPredictions, base: str, extended: str) -> tuple[Subgroup, ...]:
    """Weighted AUC of two arms, on mean out-of-bag predictions, in every group that a covariate or the batch makes.

    Numbers are split at their median. Groups with fewer than five events or five free of it are counted, their AUC is
    None. No test is made: too many groups, too few patients; the interval of a difference is over the group's patients.
    """
    both = means.measured(base) & means.measured(extended)
    return tuple(
        _subgroup(means, grouping, level, rows & both, (base, extended)) for grouping, level, rows in _groups(table)
    )


def _groups(table: DesignTable) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    for column, (name, kind) in enumerate(zip(table.clinical_names, table.clinical_kinds, strict=True)):
        if kind == "number":
            numbers = table.clinical_numbers[:, column]
            known = np.isfinite(numbers)
            if known.any():
                middle = float(np.median(numbers[known]))
                yield name, f"up to {middle:g}", known & (numbers <= middle)
                yield name, f"above {middle:g}", known & (numbers > middle)
        else:
            codes = table.clinical_codes[:, column]
            for code in sorted(set(codes.tolist()) - {MISSING_LEVEL}):
                yield name, table.clinical_levels[code], codes == code
    if table.batches:
        batches = np.array(table.batches)
        for level in sorted(set(table.batches)):
            yield "batch", level, batches == level


def _subgroup(
    means: MeanPredictions, grouping: str, level: str, rows: NDArray[np.bool_], arms: tuple[str, str]
) -> Subgroup:
    labels, weights = means.label[rows], means.weights[rows]
    events, free = int((labels == 1).sum()), int((labels == 0).sum())
    aucs: tuple[float | None, float | None] = (None, None)
    gain: tuple[float | None, float | None, float | None] = (None, None, None)
    if min(events, free) >= FEWEST_OF_A_CLASS:
        base, extended = (means.probability[arm][rows] for arm in arms)
        aucs = (weighted_auc(labels, base, weights), weighted_auc(labels, extended, weights))
        found = weighted_auc_difference(labels, extended, base, weights)
        gain = (found.difference, found.lower, found.upper)
    return Subgroup(
        grouping=grouping,
        level=level,
        base=arms[0],
        extended=arms[1],
        base_auc=aucs[0],
        extended_auc=aucs[1],
        difference=gain[0],
        difference_lo=gain[1],
        difference_hi=gain[2],
        n=int(rows.sum()),
        events=events,
        effective_n=float(weights.sum() ** 2 / (weights**2).sum()) if weights.any() else 0.0,
    )
