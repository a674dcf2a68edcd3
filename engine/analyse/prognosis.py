"""Does radiomics add to what is known before treatment: all arms on the same resamples, and what may be said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.analyse.comparison import HEADLINE, PAIRS, WITHOUT_VOLUME, compare
from engine.analyse.predictions import (
    ResampledAucs,
    arms_present,
    calibration_bins,
    mean_predictions,
    model_summary,
    prediction_rows,
)
from engine.analyse.risk_quality import calibration_curve, decision_points, left_out, roc_points, subgroups
from engine.analyse.sample_needs import block_tests, sample_needs
from engine.analyse.survival import cox_terms, incidence_points, survival_points
from engine.protocol import Plan, SelectionProtocol
from store.matrices import DesignTable
from store.records import (
    DEEP_ARMS,
    BlockTest,
    CalibrationBin,
    CalibrationPoint,
    Comparison,
    CoxTerm,
    DecisionPoint,
    FinalModel,
    IncidencePoint,
    ModelSummary,
    OutOfBag,
    Performance,
    Prediction,
    Resamples,
    RocPoint,
    SampleSizeNeed,
    SelectionSize,
    Subgroup,
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
    curves: tuple[CalibrationPoint, ...]
    decisions: tuple[DecisionPoint, ...]
    subgroups: tuple[Subgroup, ...]
    needs: tuple[SampleSizeNeed, ...]
    blocks: tuple[BlockTest, ...]
    survival: tuple[SurvivalPoint, ...]
    incidence: tuple[IncidencePoint, ...]
    cox: tuple[CoxTerm, ...]


def compare_models(
    table: DesignTable,
    out_of_bag: Resamples[OutOfBag],
    performance: Resamples[Performance],
    finals: tuple[FinalModel, ...],
    sizes: tuple[SelectionSize, ...],
    choices: SelectionProtocol,
    plan: Plan,
) -> Prognosis:
    """Everything that is shown of the arms, on out-of-bag predictions alone; nothing is fitted here but curves.

    Before the plan is locked every comparison is exploratory: estimates and spreads stay, z and p are None. Those of
    embeddings are exploratory always: the plan has no word for which network made them.
    """
    means = mean_predictions(table, out_of_bag)
    parts = left_out(means, out_of_bag)
    aucs: dict[str, dict[int, float]] = defaultdict(dict)
    for number, row in performance:
        aucs[row.model][number] = row.auc
    arms, locked = arms_present(means), bool(plan.locked_at)
    base, extended = HEADLINE if set(HEADLINE) <= set(arms) else WITHOUT_VOLUME
    return Prognosis(
        predictions=tuple(row for arm in arms for row in prediction_rows(means, arm)),
        summaries=tuple(model_summary(means, arm, _aucs(arm, performance, finals)) for arm in arms),
        comparisons=tuple(
            compare(b, e, aucs, means, locked and e not in DEEP_ARMS) for b, e in PAIRS if b in arms and e in arms
        ),
        roc=tuple(point for arm, some in parts.items() for point in roc_points(arm, some)),
        calibration=tuple(row for arm in arms for row in calibration_bins(means, arm)),
        curves=tuple(row for arm in arms for row in calibration_curve(means, arm)),
        decisions=decision_points(parts),
        subgroups=subgroups(table, means, out_of_bag, base, extended),
        needs=tuple(need for size in sizes for need in sample_needs(size, choices) if need.model in arms),
        blocks=block_tests(table, choices, locked),
        survival=survival_points(table, means),
        incidence=incidence_points(table, means),
        cox=cox_terms(table, locked),
    )


def _aucs(arm: str, performance: Resamples[Performance], finals: Sequence[FinalModel]) -> ResampledAucs:
    """The AUCs of one arm over resamples, and its apparent one where it was fitted on all."""
    rows = [row for _, row in performance if row.model == arm]
    kept = [row for row in rows if row.training_auc is not None and row.whole_auc is not None]
    apparent = next((final.apparent_auc for final in finals if final.model == arm), None)
    columns = (
        np.array([row.auc for row in rows]),
        np.array([row.training_auc for row in kept], dtype=np.float64),
        np.array([row.whole_auc for row in kept], dtype=np.float64),
    )
    return ResampledAucs(*columns, apparent)
