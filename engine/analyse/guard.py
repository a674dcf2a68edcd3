"""One door to everything fitted: a fitted step gets training patients, and raises when one is a test patient."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.statistics.censoring import CensoringCurve, fit_censoring, ipcw_weights
from store.matrices import UNDETERMINED, DesignTable
from store.records import DeclinedError

Floats = NDArray[np.float64]
Fitted = TypeVar("Fitted")


FEWEST_IN_A_GROUP = 10


@dataclass(frozen=True, slots=True, eq=False)
class Censoring:
    """The censoring curve of all, and of each group that the study says is lost to follow-up at a rate of its own."""

    pooled: CensoringCurve
    by_group: dict[str, CensoringCurve]


class LeakError(RuntimeError):
    """A fitted step was handed a patient of the test part."""


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """All that a fitted step may see: training patients once each, how often each was drawn, and the weights.

    weights (n,) is draws times the inverse probability of censoring, 0 where the label is undetermined. Building one
    with a test patient in it raises LeakError, so no fitted step can hold test data.
    """

    table: DesignTable
    draws: NDArray[np.int64]
    weights: Floats
    test_ids: frozenset[str]

    def __post_init__(self) -> None:
        refuse_test_patients("training part", self.table.case_ids, self.test_ids)

    @property
    def determined(self) -> NDArray[np.intp]:
        """Rows whose label is known: only they teach a model."""
        return np.flatnonzero(self.table.label != UNDETERMINED)

    @property
    def sha256(self) -> str:
        """Hash of the training ids with their draws: a stored fit can be traced to its patients."""
        return training_sha256(self.table.case_ids, self.draws.tolist())


def training_sha256(case_ids: Sequence[str], draws: Sequence[int]) -> str:
    """Hash of training ids with their draws, in the order of the design table."""
    text = "\n".join(f"{case} {n}" for case, n in zip(case_ids, draws, strict=True))
    return hashlib.sha256(text.encode()).hexdigest()


class Guard:
    """Holds the design table and the test ids of one resample; `fit` is the only way to training data."""

    def __init__(self, table: DesignTable, test_ids: Sequence[str]) -> None:
        self._table = table
        self._test_ids = frozenset(test_ids)

    def fit(self, train_ids: Sequence[str], step: Callable[[Training], Fitted]) -> Fitted:
        """Run a fitted step on these training patients (an id given twice counts twice).

        LeakError when one of them is a test patient; ValueError when one is not in the table. Censoring weights are
        estimated here, on the training patients alone.
        """
        refuse_test_patients(getattr(step, "__name__", "step"), train_ids, self._test_ids)
        place = {case: row for row, case in enumerate(self._table.case_ids)}
        unknown = sum(case not in place for case in train_ids)
        if unknown:
            raise ValueError(f"train_ids must be patients of the design table, got {unknown} others")
        rows, draws = np.unique([place[case] for case in train_ids], return_counts=True)
        table = rows_of(self._table, rows)
        weights = draws * censoring_weights(table, censoring_of(table, draws))
        return step(Training(table, draws.astype(np.int64), weights, self._test_ids))


def refuse_test_patients(step: str, ids: Sequence[str], test_ids: frozenset[str]) -> None:
    """LeakError naming the step and how many test patients it was handed."""
    leaked = len(test_ids.intersection(ids))
    if leaked:
        raise LeakError(f"fitted step {step!r} was handed {leaked} patients of the test part")


def rows_of(table: DesignTable, rows: NDArray[np.intp]) -> DesignTable:
    """The design table of some rows (each once), with the repeated measurements of exactly these patients."""
    new_place = {int(old): new for new, old in enumerate(rows)}
    kept = [i for i, old in enumerate(table.perturbed_rows) if int(old) in new_place]
    return replace(
        table,
        case_ids=tuple(table.case_ids[row] for row in rows),
        values=table.values[rows],
        statuses=table.statuses[rows],
        clinical_numbers=table.clinical_numbers[rows],
        clinical_codes=table.clinical_codes[rows],
        days=table.days[rows],
        event=table.event[rows],
        label=table.label[rows],
        volume_ml=table.volume_ml[rows],
        perturbed_rows=np.array([new_place[int(table.perturbed_rows[i])] for i in kept], dtype=np.int32),
        perturbed_values=table.perturbed_values[kept],
        batches=tuple(table.batches[row] for row in rows) if table.batches else (),
        censoring_groups=tuple(table.censoring_groups[row] for row in rows) if table.censoring_groups else (),
        deep_values=None if table.deep_values is None else table.deep_values[rows],
    )


def censoring_of(table: DesignTable, draws: NDArray[np.int64] | None = None) -> Censoring | None:
    """Censoring of these rows, undetermined ones included; None when no times are known (a 0/1 outcome).

    A competing death ends follow-up as the event does: it is no censoring. A group of fewer than ten rows has no curve
    of its own.
    """
    timed = _timed(table)
    if not timed.any():
        return None
    groups = np.array(table.censoring_groups)
    parts = {str(name): timed & (groups == name) for name in np.unique(groups)} if groups.size else {}
    kept = {name: rows for name, rows in parts.items() if rows.sum() >= FEWEST_IN_A_GROUP}
    return Censoring(_curve(table, timed, draws), {name: _curve(table, rows, draws) for name, rows in kept.items()})


def _curve(table: DesignTable, rows: NDArray[np.bool_], draws: NDArray[np.int64] | None) -> CensoringCurve:
    return fit_censoring(table.days[rows], table.event[rows] != 0, None if draws is None else draws[rows])


def censoring_weights(table: DesignTable, censoring: Censoring | None) -> Floats:
    """Inverse probability of censoring of every row (n,) by curves fitted elsewhere; 0 where undetermined.

    Rows with a label but no time weigh 1; a group whose curve ends too early takes the curve of all. ValueError when a
    label is known although the times say it cannot be.
    """
    weights: Floats = (table.label != UNDETERMINED).astype(np.float64)
    timed = _timed(table)
    if censoring is None or not timed.any():
        return weights
    own = _inverse(table, censoring.pooled, timed)
    groups = np.array(table.censoring_groups)
    for name, curve in censoring.by_group.items() if groups.size else ():
        rows = timed & (groups == name)
        try:
            own[rows[timed]] = _inverse(table, curve, rows)
        except DeclinedError:
            continue
    contradicted = int(((own == 0) & (weights[timed] == 1)).sum())
    if contradicted:
        raise ValueError(f"label must follow from days and event, got {contradicted} labels of censored patients")
    weights[timed] *= own
    return weights


def _inverse(table: DesignTable, curve: CensoringCurve, rows: NDArray[np.bool_]) -> Floats:
    return ipcw_weights(curve, table.days[rows], table.event[rows] != 0, float(table.horizon_days))


def _timed(table: DesignTable) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(table.days) & (table.event != UNDETERMINED), dtype=np.bool_)
