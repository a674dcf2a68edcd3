"""The self-test: the whole procedure on outcomes dealt anew among the patients, where nothing can be predicted."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from engine.analyse.filters import admit
from engine.analyse.guard import Guard, Training
from engine.analyse.inner_choice import inner_scores
from engine.analyse.resample import draw_patients, resample
from engine.protocol import Batch, Reproducibility, SelectionProtocol, SelfTest
from store.matrices import DesignTable
from store.records import PermutedAuc, SelectionSize
from store.sources import ResampleNumber

CROSS_VALIDATED_SHARE = 5  # of the bootstraps one in so many is cross-validated inside too, which costs as many folds


@dataclass(frozen=True, slots=True)
class Permuted:
    """Output of one permutation."""

    performance: tuple[PermutedAuc, ...]


def permute_outcomes(  # noqa: PLR0913 - a stage's signature is its declaration
    table: DesignTable,
    sizes: tuple[SelectionSize, ...],
    choices: SelectionProtocol,
    rules: Reproducibility,
    wanted: SelfTest,
    batch: Batch,
    number: ResampleNumber,
    rng: np.random.Generator,
) -> Permuted:
    """Deal outcomes (days, event, label together) anew and run the study's own bootstraps; mean AUC of every model.

    Beside the out-of-bag AUC that of the cross-validation inside a bootstrap, which chooses among mRMR schemes: its
    rows are copies of patients, the place where copies on both sides would show.
    """
    permuted = with_outcomes_of(table, rng.permutation(len(table.case_ids)))
    seeds = rng.integers(2**63, size=wanted.resamples).tolist()
    done = [
        resample(permuted, sizes, choices, rules, batch, ResampleNumber(b), np.random.default_rng(seed))
        for b, seed in enumerate(seeds)
    ]
    models = [row.model for row in done[0].performance]
    rows = [
        PermutedAuc(
            number.value,
            model,
            "out-of-bag",
            float(np.mean([row.auc for one in done for row in one.performance if row.model == model])),
            wanted.resamples,
        )
        for model in models
    ]
    inner = [
        _cross_validated(permuted, sizes[0], choices, rules, np.random.default_rng(seed))
        for seed in seeds[: max(1, wanted.resamples // CROSS_VALIDATED_SHARE)]
    ]
    rows.append(PermutedAuc(number.value, "radiomic", "cross-validation", float(np.mean(inner)), len(inner)))
    return Permuted(tuple(rows))


def with_outcomes_of(table: DesignTable, order: np.ndarray) -> DesignTable:
    """The table with the outcome of patient order[i] given to patient i; features and covariates stay."""
    groups = tuple(table.censoring_groups[row] for row in order.tolist()) if table.censoring_groups else ()
    outcome = {"days": table.days[order], "event": table.event[order], "label": table.label[order]}
    return dataclasses.replace(table, **outcome, censoring_groups=groups)


def _cross_validated(
    table: DesignTable,
    size: SelectionSize,
    choices: SelectionProtocol,
    rules: Reproducibility,
    rng: np.random.Generator,
) -> float:
    """Mean AUC of the inner folds over all schemes, in one bootstrap of the table."""

    def fit(training: Training) -> float:
        scores = inner_scores(training, admit(training, choices, rules), size.kept, choices, rng)
        return float(np.mean([auc for found in scores.values() for auc in found]))

    drawn = draw_patients(table, rng)
    outside = [table.case_ids[row] for row in np.setdiff1d(np.arange(len(table.case_ids)), drawn)]
    return Guard(table, outside).fit([table.case_ids[row] for row in drawn], fit)
