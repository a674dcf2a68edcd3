"""Does radiomics add to what is known before treatment: all arms on the same resamples, and what may be said."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from engine.analyse.comparison import PAIRS, compare
from engine.analyse.predictions import (
    arms_present,
    calibration_bins,
    mean_predictions,
    model_summary,
    prediction_rows,
    roc_points,
)
from engine.analyse.survival import cox_terms, survival_points
from engine.protocol import Plan
from store.matrices import DesignTable
from store.records import (
    CalibrationBin,
    Comparison,
    CoxTerm,
    ModelSummary,
    OutOfBag,
    Performance,
    Prediction,
    Resamples,
    RocPoint,
    SurvivalPoint,
)


@dataclass(frozen=True, slots=True)
class Prognosis:
    """Output of the prognosis stage."""

    predictions: tuple[Prediction, ...]
    summaries: tuple[ModelSummary, ...]
    comparisons: tuple[Comparison, ...]
    roc: tuple[RocPoint, ...]
    calibration: tuple[CalibrationBin, ...]
    survival: tuple[SurvivalPoint, ...]
    cox: tuple[CoxTerm, ...]


def compare_models(
    table: DesignTable, out_of_bag: Resamples[OutOfBag], performance: Resamples[Performance], plan: Plan
) -> Prognosis:
    """Everything that is shown of the arms, on out-of-bag predictions alone; nothing is fitted here but curves.

    Before the plan is locked every comparison is exploratory: estimates and spreads stay, z and p are None.
    """
    means = mean_predictions(table, out_of_bag)
    aucs: dict[str, dict[int, float]] = defaultdict(dict)
    for number, row in performance:
        aucs[row.model][number] = row.auc
    arms = arms_present(means)
    locked = bool(plan.locked_at)
    return Prognosis(
        predictions=tuple(row for arm in arms for row in prediction_rows(means, arm)),
        summaries=tuple(model_summary(means, arm, np.array(list(aucs[arm].values()))) for arm in arms),
        comparisons=tuple(compare(b, e, aucs, means, locked) for b, e in PAIRS if b in arms and e in arms),
        roc=tuple(point for arm in arms for point in roc_points(means, arm)),
        calibration=tuple(row for arm in arms for row in calibration_bins(means, arm)),
        survival=survival_points(table, means),
        cox=cox_terms(table, locked),
    )
