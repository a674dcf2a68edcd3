"""Whether risks can be believed and used: ROC curves over resamples, calibration, decision curve, subgroups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.analyse.predictions import MeanPredictions
from engine.statistics.decision_curve import decision_curve
from engine.statistics.flexible_calibration import flexible_calibration
from engine.statistics.roc import roc_curve, weighted_auc
from store.matrices import MISSING_LEVEL, DesignTable
from store.records import (
    MODELS,
    CalibrationPoint,
    DecisionPoint,
    DeclinedError,
    OutOfBag,
    Resamples,
    RocPoint,
    Subgroup,
)

Floats = NDArray[np.float64]
GRID = np.linspace(0, 1, 101).round(2)
THRESHOLDS = np.arange(0.02, 0.81, 0.02)
TREAT_ALL = "treat all"
SPREAD = (2.5, 97.5)
FEWEST_OF_A_CLASS = 5
FEWEST_RESAMPLES = 10


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """The determined patients that one resample left out: labels, an arm's risks and censoring weights (n,)."""

    labels: NDArray[np.bool_]
    risk: Floats
    weights: Floats


def left_out(means: MeanPredictions, out_of_bag: Resamples[OutOfBag]) -> dict[str, list[LeftOut]]:
    """Of every arm what each resample left out, where that holds both classes; arms in their fixed order."""
    place = {case: row for row, case in enumerate(means.case_ids)}
    found: dict[str, dict[int, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for number, row in out_of_bag:
        found[row.model][number].append((place[row.case_id], row.probability))
    parts = {
        model: [_part(means, found[model][number]) for number in sorted(found[model])]
        for model in MODELS
        if model in found
    }
    return {
        model: [part for part in some if part.labels.any() and not part.labels.all()] for model, some in parts.items()
    }


def _part(means: MeanPredictions, pairs: list[tuple[int, float]]) -> LeftOut:
    rows, risk = (np.array(column) for column in zip(*pairs, strict=True))
    kept = means.determined[rows] & (means.weights[rows] > 0)
    return LeftOut(means.label[rows][kept] == 1, risk[kept], means.weights[rows][kept])


def roc_points(model: str, parts: Sequence[LeftOut]) -> tuple[RocPoint, ...]:
    """Mean over resamples of the sensitivity at 101 false positive rates, and the middle 95 % of it.

    The area under the mean is the mean of the resamples' areas, the AUC that is reported; a curve of risks averaged
    over resamples is another one, and below it where nothing predicts. The band is a spread, no confidence band.
    """
    if not parts:
        return ()
    curves = (roc_curve(part.labels, part.risk, part.weights) for part in parts)
    heights = np.array([np.interp(GRID, curve.false_positive_rate, curve.true_positive_rate) for curve in curves])
    heights[:, 0] = 0.0  # a curve begins in the corner, whatever it holds at no false positive
    rows = (GRID, heights.mean(axis=0), *np.percentile(heights, SPREAD, axis=0))
    return tuple(RocPoint(model, *row) for row in zip(*(row.tolist() for row in rows), strict=True))


def calibration_curve(means: MeanPredictions, model: str) -> tuple[CalibrationPoint, ...]:
    """Observed risk as a smooth function of the mean out-of-bag risk; empty where no curve can be drawn."""
    known = means.measured(model)
    try:
        found = flexible_calibration(means.label[known] == 1, means.probability[model][known], means.weights[known])
    except DeclinedError:
        return ()
    columns = (found.predicted, found.observed, found.lower, found.upper)
    return tuple(CalibrationPoint(model, *row) for row in zip(*(column.tolist() for column in columns), strict=True))


def decision_points(parts: dict[str, list[LeftOut]]) -> tuple[DecisionPoint, ...]:
    """Mean over resamples of the net benefit of each arm, and of treating all, by threshold; treating none is 0."""
    points: list[DecisionPoint] = []
    for model, some in parts.items():
        curves = [decision_curve(part.labels, part.risk, THRESHOLDS, part.weights) for part in some]
        if not curves:
            continue
        lines = [(model, np.mean([curve.model for curve in curves], axis=0))]
        if not points:
            lines.append((TREAT_ALL, np.mean([curve.treat_all for curve in curves], axis=0)))
        for name, benefit in lines:
            points += [DecisionPoint(name, *row) for row in zip(THRESHOLDS.tolist(), benefit.tolist(), strict=True)]
    return tuple(points)


def subgroups(
    table: DesignTable, means: MeanPredictions, out_of_bag: Resamples[OutOfBag], base: str, extended: str
) -> tuple[Subgroup, ...]:
    """Weighted AUC of two arms in every group that a covariate or the batch makes, resample by resample.

    Each resample ranks the patients of the group that it left out; mean and spread are over the resamples in which
    these are of both classes. Risks averaged over resamples would rank an event below the others of its group, because
    the models that predict it were fitted without it. Numbers are split at their median. Groups with fewer than five
    events or five free of it are counted, their AUC is None. No test is made: too many groups, too few patients.
    """
    risks = _risks_by_resample(means, out_of_bag, (base, extended))
    return tuple(
        _subgroup(means, risks, Subgroup(grouping, level, base, extended, *(None,) * 5, 0, 0, 0, 0.0), rows)
        for grouping, level, rows in _groups(table)
    )


def _risks_by_resample(means: MeanPredictions, out_of_bag: Resamples[OutOfBag], arms: tuple[str, str]) -> Floats:
    """Out-of-bag risk of two arms, (arms, resamples, n); NaN where a patient was drawn or is undetermined."""
    place = {case: row for row, case in enumerate(means.case_ids)}
    rows = [(number, row) for number, row in out_of_bag if row.model in arms]
    order = {number: line for line, number in enumerate(sorted({number for number, _ in rows}))}
    risks = np.full((len(arms), len(order), len(place)), np.nan)
    for number, row in rows:
        risks[arms.index(row.model), order[number], place[row.case_id]] = row.probability
    risks[:, :, ~means.determined | (means.weights <= 0)] = np.nan
    return risks


def _groups(table: DesignTable) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    for column, (name, kind) in enumerate(zip(table.clinical_names, table.clinical_kinds, strict=True)):
        if kind == "number":
            numbers = table.clinical_numbers[:, column]
            known = np.isfinite(numbers)
            if known.any():
                middle = float(np.median(numbers[known]))
                if (numbers[known] > middle).any():
                    yield name, f"up to {middle:g}", known & (numbers <= middle)
                    yield name, f"above {middle:g}", known & (numbers > middle)
                elif (numbers[known] < middle).any():
                    yield name, f"below {middle:g}", known & (numbers < middle)
                    yield name, f"{middle:g}", known & (numbers >= middle)
        else:
            codes = table.clinical_codes[:, column]
            for code in sorted(set(codes.tolist()) - {MISSING_LEVEL}):
                yield name, table.clinical_levels[code], codes == code
    if table.batches:
        batches = np.array(table.batches)
        for level in sorted(set(table.batches)):
            yield "batch", level, batches == level


def _subgroup(means: MeanPredictions, risks: Floats, group: Subgroup, rows: NDArray[np.bool_]) -> Subgroup:
    judged = rows & np.isfinite(risks).all(axis=0).any(axis=0)
    labels, weights = means.label[judged], means.weights[judged]
    events, free = int((labels == 1).sum()), int((labels == 0).sum())
    counted = replace(
        group,
        n=int(judged.sum()),
        events=events,
        effective_n=float(weights.sum() ** 2 / (weights**2).sum()) if weights.any() else 0.0,
    )
    if min(events, free) < FEWEST_OF_A_CLASS:
        return counted
    pairs = []
    for base, extended in zip(risks[0][:, judged], risks[1][:, judged], strict=True):
        left_out = np.isfinite(base) & np.isfinite(extended)
        if {0, 1} <= set(labels[left_out].tolist()):
            each = (weighted_auc(labels[left_out], arm[left_out], weights[left_out]) for arm in (base, extended))
            pairs.append(tuple(each))
    if len(pairs) < FEWEST_RESAMPLES:
        return counted
    aucs = np.array(pairs)
    gain = aucs[:, 1] - aucs[:, 0]
    lo, hi = np.percentile(gain, SPREAD)
    return replace(
        counted,
        base_auc=float(aucs[:, 0].mean()),
        extended_auc=float(aucs[:, 1].mean()),
        difference=float(gain.mean()),
        difference_lo=float(lo),
        difference_hi=float(hi),
        resamples=len(pairs),
    )
