"""Stage `doubt`: from what the model was unsure of, how good each outline is and whether it misses the tumour.

Learned on the cases of this study that have an independent reference; a case's own prediction comes from a fit that did
not see it. Where nothing was found nothing has to be predicted: such an outline misses whatever tumour there is.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from engine.statistics.association import spearman, spearman_interval
from engine.statistics.delong import auc_logit_interval
from engine.statistics.left_out import (
    left_out_logistic,
    left_out_ridge,
    logistic_probabilities,
    ridge_predictions,
)
from store.records import Cohort, DeclinedError, DoubtEstimate, DoubtQuality, Overlap, Segmentation, Uncertainty

Floats = NDArray[np.float64]
FEWEST_CASES = 20
FEWEST_OF_A_KIND = 3
RIDGE = 5.0  # as much as five cases that say nothing
SUBSETS = ("found", "all")
MEASURES = 7


@dataclass(frozen=True, slots=True)
class Doubted:
    """One estimate a case that was segmented, and how well the estimates did."""

    estimates: tuple[DoubtEstimate, ...]
    quality: tuple[DoubtQuality, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Cases with a predicted tumour: what the model was unsure of (n, p), and DSC and misses where they are known."""

    case_ids: tuple[str, ...]
    measures: Floats
    dsc: Floats  # NaN: no independent reference
    missed: Floats

    @property
    def known(self) -> NDArray[np.bool_]:
        return np.isfinite(self.dsc)


def estimate_doubt(
    uncertainty: Cohort[Uncertainty],
    segmentations: Cohort[Segmentation],
    overlaps: Cohort[Overlap],
    rng: np.random.Generator,
) -> Doubted:
    """Predicted DSC and probability of a miss of every automatic tumour outline; the worst has place 1.

    Whether a tumour was found is a matter of the mask, on the CT's own grid and without crumbs. Ridge and ridge
    logistic regression on volume, pieces, entropy, lead, disagreement and overlooked candidates.
    DeclinedError under 20 cases in which a tumour was predicted and that have an independent reference. The
    probability is None where there are under three misses or hits.
    """
    achieved: dict[str, Overlap] = {}
    for case, row in overlaps:  # the first of a case: reference against the study's own model
        if row.structure == "tumour" and row.comparison == "agreement":
            achieved.setdefault(case, row)
    with_mask = {case for case, row in segmentations if row.tumour_found}
    table = _table([(case, row) for case, row in uncertainty if case in with_mask], achieved)
    known = int(table.known.sum())
    if known < FEWEST_CASES:
        raise DeclinedError(
            f"doubt needs {FEWEST_CASES} cases with a predicted tumour and an independent reference; there are {known}"
        )
    dsc, missed = _predicted_dsc(table), _predicted_misses(table)
    rows = [
        _estimate(case, achieved.get(case), float(dsc[i]), None if missed is None else float(missed[i]))
        for i, case in enumerate(table.case_ids)
    ]
    empty = [case for case, _ in uncertainty if case not in with_mask]
    rows += [_empty(case, achieved.get(case)) for case in empty]
    ordered = _in_order(rows)
    return Doubted(ordered, tuple(_quality(subset, ordered, rng) for subset in SUBSETS))


def measures(row: Uncertainty) -> Floats:
    """What is known of one predicted tumour without a reference, as numbers (7,)."""
    tumour, candidates = np.log1p(row.tumour_ml), np.log1p(row.candidate_ml)
    return np.array(
        [
            tumour,
            min(row.components, 5),
            row.largest_share or 0.0,
            row.mean_entropy or 0.0,
            row.mean_lead or 0.0,
            row.disagreement or 0.0,
            candidates - tumour,
        ],
        dtype=np.float64,
    )


def _table(found: list[tuple[str, Uncertainty]], achieved: dict[str, Overlap]) -> _Table:
    pairs = [achieved.get(case) for case, _ in found]
    return _Table(
        tuple(case for case, _ in found),
        np.array([measures(row) for _, row in found]).reshape(len(found), MEASURES),
        np.array([np.nan if pair is None else pair.dsc for pair in pairs]),
        np.array([np.nan if pair is None else float(pair.missed) for pair in pairs]),
    )


def _predicted_dsc(table: _Table) -> Floats:
    """Left-out predictions where the DSC is known, those of the fit on all of them elsewhere; 0..1."""
    known, x = table.known, table.measures
    result = np.empty(len(table.case_ids))
    result[known] = left_out_ridge(x[known], table.dsc[known], RIDGE)
    if not known.all():
        result[~known] = ridge_predictions(x[known], table.dsc[known], x[~known], RIDGE)
    return np.clip(result, 0.0, 1.0)


def _predicted_misses(table: _Table) -> Floats | None:
    """The same for the probability of a miss; None with too few misses or hits to learn from."""
    known, x = table.known, table.measures
    truth = table.missed[known]
    if min(int(truth.sum()), int((1 - truth).sum())) < FEWEST_OF_A_KIND:
        return None
    result = np.empty(len(table.case_ids))
    result[known] = left_out_logistic(x[known], truth, RIDGE)
    if not known.all():
        result[~known] = logistic_probabilities(x[known], truth, x[~known], RIDGE)
    return result


def _estimate(case: str, pair: Overlap | None, dsc: float, missed: float | None) -> DoubtEstimate:
    basis = "no reference" if pair is None else "left out"
    return DoubtEstimate(case, 0, basis, dsc, missed, *_achieved(pair))


def _empty(case: str, pair: Overlap | None) -> DoubtEstimate:
    return DoubtEstimate(case, 0, "nothing found", 0.0, 1.0, *_achieved(pair))


def _achieved(pair: Overlap | None) -> tuple[float | None, bool | None]:
    return (None, None) if pair is None else (pair.dsc, pair.missed)


def _in_order(rows: list[DoubtEstimate]) -> tuple[DoubtEstimate, ...]:
    """The rows with their place, the lowest predicted DSC first; ties by case id."""
    ordered = sorted(rows, key=lambda row: (row.predicted_dsc, row.case_id))
    values = [{field.name: getattr(row, field.name) for field in fields(row)} for row in ordered]
    return tuple(DoubtEstimate(**{**row, "place": place}) for place, row in enumerate(values, start=1))


def _quality(subset: str, rows: tuple[DoubtEstimate, ...], rng: np.random.Generator) -> DoubtQuality:
    """How well predictions rank and hit what was achieved, over cases with a reference (found: with an outline)."""
    kept = [r for r in rows if r.achieved_dsc is not None and (subset == "all" or r.basis == "left out")]
    predicted = np.array([r.predicted_dsc for r in kept])
    achieved = np.array([r.achieved_dsc for r in kept], dtype=np.float64)
    missed = np.array([bool(r.missed) for r in kept])
    rho = lo = hi = None
    if np.ptp(predicted) > 0 and np.ptp(achieved) > 0:
        rho = spearman(predicted, achieved).rho
        bounds = spearman_interval(predicted, achieved, rng)
        lo, hi = bounds.lower, bounds.upper
    probability = np.array([r.missed_probability for r in kept], dtype=np.float64)
    auc = _auc(missed, probability)
    return DoubtQuality(
        subset=subset,
        n=len(kept),
        missed=int(missed.sum()),
        rho=rho,
        rho_lo=lo,
        rho_hi=hi,
        auc=auc[0],
        auc_lo=auc[1],
        auc_hi=auc[2],
        mean_error=float(np.abs(predicted - achieved).mean()),
        mean_error_of_the_mean=float(np.abs(achieved.mean() - achieved).mean()),
        bias=float(achieved.mean() - predicted.mean()),
        slope=_slope(predicted, achieved),
        expected_missed=float(probability.sum()) if np.isfinite(probability).all() else None,
        ranks=lo is not None and lo > 0,
        detects=auc[1] is not None and auc[1] > 0.5,
    )


def _auc(missed: NDArray[np.bool_], probability: Floats) -> tuple[float | None, float | None, float | None]:
    """Area under the ROC curve for misses with its interval; nothing where it cannot be said."""
    if not np.isfinite(probability).all() or min(int(missed.sum()), int((~missed).sum())) < FEWEST_OF_A_KIND:
        return None, None, None
    found = auc_logit_interval(missed, probability)
    return found.auc, found.lower, found.upper


def _slope(predicted: Floats, achieved: Floats) -> float | None:
    """Of the least-squares line of the achieved on the predicted values; None when these do not vary."""
    centred = predicted - predicted.mean()
    spread = float(centred @ centred)
    return float(centred @ (achieved - achieved.mean())) / spread if spread > 0 else None
