"""Gains planted in a cohort: how often the comparison would have said so, with these patients and outcomes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from engine.analyse.arms import headline_fitter
from engine.analyse.comparison import sentence as sentence_of
from engine.analyse.comparison import spread_of
from engine.analyse.guard import Guard, censoring_of, censoring_weights, rows_of
from engine.analyse.resample import draw_patients
from engine.protocol import Detection, Reproducibility, SelectionProtocol
from engine.statistics.roc import weighted_auc
from store.matrices import UNDETERMINED, DesignTable
from store.records import PlantedClaim, SelectionSize
from store.sources import PlantingNumber

Floats = NDArray[np.float64]
CHANCE, HIGHEST_BASE = 0.5, 0.99


@dataclass(frozen=True, slots=True)
class Planted:
    """Output of one planting: every gain once."""

    claims: tuple[PlantedClaim, ...]


@dataclass(frozen=True, slots=True)
class Gains:
    """AUC differences of the two headline arms over bootstraps (b,), and the mean AUC of the base."""

    differences: Floats
    base_auc: float


def plant_gains(
    table: DesignTable,
    sizes: tuple[SelectionSize, ...],
    choices: SelectionProtocol,
    rules: Reproducibility,
    wanted: Detection,
    number: PlantingNumber,
    rng: np.random.Generator,
) -> Planted:
    """Plant no gain and each gain of the protocol in this cohort and compare as the study does.

    The features keep their correlations and lose their outcome: their rows are dealt anew among the patients. One of
    them then gets a signal that would lift a perfect model by the gain above clinical + volume. Patients, outcomes and
    covariates stay. Without ComBat: dealt features belong to no scanner.
    """
    none = headline_gains(without_signal(table, rng), sizes[0], choices, rules, wanted.resamples, rng)
    claims = [claim_of(number.value, 0.0, none)]
    for gain in wanted.gains:
        planted = with_signal(without_signal(table, rng), gain, none.base_auc, rng)
        found = headline_gains(planted, sizes[0], choices, rules, wanted.resamples, rng)
        claims.append(claim_of(number.value, gain, found))
    return Planted(tuple(claims))


def without_signal(table: DesignTable, rng: np.random.Generator) -> DesignTable:
    """The table with whole rows of features (and their repeats' patients) dealt anew among the patients."""
    order = rng.permutation(len(table.case_ids))
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    rows = place[table.perturbed_rows].astype(np.int32)
    sorted_rows = np.argsort(rows)
    return replace(
        table,
        values=table.values[order],
        statuses=table.statuses[order],
        perturbed_rows=rows[sorted_rows],
        perturbed_values=table.perturbed_values[sorted_rows],
    )


def shift_of(gain: float, base_auc: float) -> float:
    """Distance in standard deviations between events and others of a normal marker that lifts base_auc by gain.

    For a marker independent of the base given the outcome, both normal: AUC = Phi(sqrt(sum of squares of the shifts)
    / sqrt 2). The base counts as 0.5 at least; a gain beyond 0.99 is cut there.
    """
    base = min(max(base_auc, CHANCE), HIGHEST_BASE)
    reached = norm.ppf(min(base + gain, HIGHEST_BASE)) ** 2 - norm.ppf(base) ** 2
    return float(np.sqrt(2 * max(reached, 0.0)))


def with_signal(table: DesignTable, gain: float, base_auc: float, rng: np.random.Generator) -> DesignTable:
    """The table with the signal of `shift_of` in one complete column, drawn; undetermined labels are drawn too."""
    complete = np.flatnonzero(np.isfinite(table.values).all(axis=0) & (np.ptp(table.values, axis=0) > 0))
    column = int(rng.choice(complete))
    known = table.label != UNDETERMINED
    share = float((table.label[known] == 1).mean())
    event = np.where(known, table.label == 1, rng.random(known.size) < share)
    marker = rng.normal(size=known.size) + shift_of(gain, base_auc) * event
    values, repeats = table.values.copy(), table.perturbed_values.copy()
    old = table.values[:, column]
    values[:, column] = old.mean() + old.std() * (marker - marker.mean()) / marker.std()
    moved = (values[:, column] - old)[table.perturbed_rows]
    repeats[:, :, column] += moved[:, None]
    return replace(table, values=values, perturbed_values=repeats)


def headline_gains(
    table: DesignTable,
    size: SelectionSize,
    choices: SelectionProtocol,
    rules: Reproducibility,
    resamples: int,
    rng: np.random.Generator,
) -> Gains:
    """AUC of combined less that of clinical + volume (clinical without volume) over bootstraps, out of bag."""
    pairs = [_one_pair(table, size, choices, rules, rng) for _ in range(resamples)]
    base, extended = (np.array(column) for column in zip(*pairs, strict=True))
    return Gains(extended - base, float(base.mean()))


def _one_pair(
    table: DesignTable,
    size: SelectionSize,
    choices: SelectionProtocol,
    rules: Reproducibility,
    rng: np.random.Generator,
) -> tuple[float, float]:
    drawn = draw_patients(table, rng)
    outside = np.setdiff1d(np.arange(len(table.case_ids)), drawn)
    test = rows_of(table, outside)
    ids = [table.case_ids[row] for row in drawn]
    fitted = Guard(table, test.case_ids).fit(ids, headline_fitter(size, choices, rules, rng))
    rows, draws = np.unique(drawn, return_counts=True)
    weights = censoring_weights(test, censoring_of(rows_of(table, rows), draws))
    known = test.label != UNDETERMINED
    base, extended = (weighted_auc(test.label[known], arm.predict(test)[known], weights[known]) for arm in fitted.arms)
    return base, extended


def claim_of(repeat: int, gain: float, found: Gains) -> PlantedClaim:
    """What would have been said."""
    lo, hi = spread_of(found.differences)
    return PlantedClaim(
        repeat=repeat,
        gain=gain,
        base_auc=found.base_auc,
        difference=float(found.differences.mean()),
        spread_lo=lo,
        spread_hi=hi,
        sentence=sentence_of(lo, hi),
        adds=lo > 0,
        resamples=int(found.differences.size),
    )
