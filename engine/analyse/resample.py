"""One bootstrap of the whole procedure: draw patients, select and fit on them, predict those not drawn."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.analyse.arms import FittedArms, arms_fitter
from engine.analyse.guard import Censoring, Guard, censoring_of, censoring_weights, rows_of
from engine.analyse.harmonise import harmonised
from engine.protocol import Batch, Reproducibility, SelectionProtocol
from engine.statistics.combat import FEWEST_IN_A_BATCH
from engine.statistics.roc import weighted_auc
from store.matrices import UNDETERMINED, DesignTable
from store.records import DeclinedError, OutOfBag, Performance, Selection, SelectionSize
from store.sources import ResampleNumber

MOST_DRAWS = 100


@dataclass(frozen=True, slots=True)
class Resampled:
    """Output of one bootstrap."""

    selections: tuple[Selection, ...]
    out_of_bag: tuple[OutOfBag, ...]
    performance: tuple[Performance, ...]


def resample(
    table: DesignTable,
    sizes: tuple[SelectionSize, ...],
    choices: SelectionProtocol,
    rules: Reproducibility,
    batch: Batch,
    number: ResampleNumber,
    rng: np.random.Generator,
) -> Resampled:
    """Draw patients with replacement within event, free and undetermined; fit on the drawn, predict the others.

    A pure function of the table and the generator's seed. Everything fitted (ComBat where the protocol asks for it,
    censoring weights, filters, scaling, selection, coding, models, risk cut) sees drawn patients only. AUCs are
    weighted by the training part's censoring curve, on out-of-bag patients whose label is determined.
    """
    drawn = draw_patients(table, rng, batch.combat)
    outside = np.setdiff1d(np.arange(len(table.case_ids)), drawn)
    train_ids = [table.case_ids[row] for row in drawn]
    table = harmonised(table, train_ids, [table.case_ids[row] for row in outside], batch)
    test = rows_of(table, outside)
    fitted = Guard(table, test.case_ids).fit(train_ids, arms_fitter(sizes[0], choices, rules, rng))
    rows, draws = np.unique(drawn, return_counts=True)
    curve = censoring_of(rows_of(table, rows), draws)
    return Resampled(
        selections=_selections(table, fitted, number.value),
        out_of_bag=_out_of_bag(test, fitted, number.value),
        performance=_performance(table, test, fitted, curve, number.value),
    )


def draw_patients(table: DesignTable, rng: np.random.Generator, by_batch: bool = False) -> NDArray[np.intp]:
    """Row numbers (n,) drawn with replacement within each label; drawn anew until a case of each label is left out.

    `by_batch`: and until two patients of every batch are drawn, without whom ComBat could not be fitted.
    """
    strata = [np.flatnonzero(table.label == label) for label in (1, 0, UNDETERMINED)]
    for _ in range(MOST_DRAWS):
        drawn = [rng.choice(stratum, stratum.size) for stratum in strata if stratum.size]
        left_out = np.setdiff1d(np.arange(table.label.size), np.concatenate(drawn))
        enough = not by_batch or _smallest_batch(table, np.unique(np.concatenate(drawn))) >= FEWEST_IN_A_BATCH
        if enough and {0, 1} <= set(table.label[left_out].tolist()):
            return np.sort(np.concatenate(drawn))
    batches = ", with two patients of every batch," if by_batch else ""
    raise DeclinedError(f"no bootstrap{batches} left an event and a non-event out in {MOST_DRAWS} draws")


def _smallest_batch(table: DesignTable, rows: NDArray[np.intp]) -> int:
    """Patients of the rarest batch of the table among some rows."""
    drawn = Counter(table.batches[row] for row in rows)
    return min(drawn[level] for level in set(table.batches))


def _selections(table: DesignTable, fitted: FittedArms, number: int) -> tuple[Selection, ...]:
    kept = set(fitted.selected.kept.tolist())
    taken = zip(fitted.selected.ranked.tolist(), fitted.selected.places.tolist(), strict=True)
    return tuple(
        Selection(
            resample=number,
            roi=table.rois[column],
            image_type=table.image_types[column],
            feature_class=table.feature_classes[column],
            feature=table.features[column],
            mrmr_rank=rank,
            kept=column in kept,
            rfe_rank=place,
        )
        for rank, (column, place) in enumerate(taken, start=1)
    )


def _out_of_bag(test: DesignTable, fitted: FittedArms, number: int) -> tuple[OutOfBag, ...]:
    rows: list[OutOfBag] = []
    for arm in fitted.arms:
        risk = arm.predict(test)
        rows += [
            OutOfBag(case, arm.model, number, float(p), bool(p > arm.median))
            for case, p in zip(test.case_ids, risk, strict=True)
        ]
    return tuple(rows)


def _performance(
    table: DesignTable, test: DesignTable, fitted: FittedArms, curve: Censoring | None, number: int
) -> tuple[Performance, ...]:
    weights, everybody = censoring_weights(test, curve), censoring_weights(table, censoring_of(table))
    known = test.label != UNDETERMINED
    return tuple(
        Performance(
            model=arm.model,
            resample=number,
            auc=weighted_auc(test.label[known], arm.predict(test)[known], weights[known]),
            features=arm.columns.selected,
            candidates=fitted.selected.admitted,
            icc_filtered=fitted.selected.icc_filtered,
            train_sha256=fitted.train_sha256,
            scheme=fitted.selected.scheme,
            training_auc=arm.training_auc,
            whole_auc=arm.auc_everywhere(table, everybody),
        )
        for arm in fitted.arms
    )
