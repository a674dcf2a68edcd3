"""What the resamples agreed on: how often each feature was taken and how stable the sets are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from engine.statistics.stability import nogueira
from store.matrices import DesignTable
from store.records import Performance, Resamples, Selection, SelectionFrequency, Stability

Name = tuple[str, str, str, str]
FEWEST_FOR_CORRELATION = 4


@dataclass(frozen=True, slots=True)
class SelectionSummary:
    """Output of the selection stage."""

    frequencies: tuple[SelectionFrequency, ...]
    stability: tuple[Stability, ...]


def summarise_selection(
    table: DesignTable, selections: Resamples[Selection], performance: Resamples[Performance]
) -> SelectionSummary:
    """Frequencies of the features that any resample took, most often kept first, and Nogueira's stability.

    Every resample that was done counts, also one that took nothing. The correlation with tumour volume is Spearman's
    over the patients who have both. Stability is left out with fewer than two resamples or when it is not defined.
    """
    done = sorted({number for number, _ in performance})
    names = list(zip(table.rois, table.image_types, table.feature_classes, table.features, strict=True))
    place = {name: column for column, name in enumerate(names)}
    taken, kept = _indicators(selections, done, place)
    frequencies = [
        _frequency(table, column, (int(taken[:, column].sum()), int(kept[:, column].sum()), len(done)))
        for column in np.flatnonzero(taken.any(axis=0)).tolist()
    ]
    frequencies.sort(key=lambda f: (-f.kept_count, -f.mrmr_count, f.roi, f.image_type, f.feature_class, f.feature))
    return SelectionSummary(tuple(frequencies), (*_stability("mrmr", taken), *_stability("rfe", kept)))


def _indicators(
    selections: Resamples[Selection], done: list[int], place: dict[Name, int]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Taken by mRMR and kept by RF-RFE, both (resamples, features)."""
    taken = np.zeros((len(done), len(place)), dtype=np.bool_)
    kept = np.zeros_like(taken)
    row_of = {number: row for row, number in enumerate(done)}
    for number, s in selections:
        cell = row_of[number], place[s.roi, s.image_type, s.feature_class, s.feature]
        taken[cell] = True
        kept[cell] = s.kept
    return taken, kept


def _frequency(table: DesignTable, column: int, counts: tuple[int, int, int]) -> SelectionFrequency:
    return SelectionFrequency(
        roi=table.rois[column],
        image_type=table.image_types[column],
        feature_class=table.feature_classes[column],
        feature=table.features[column],
        mrmr_count=counts[0],
        kept_count=counts[1],
        resamples=counts[2],
        volume_correlation=volume_correlation(table.values[:, column], table.volume_ml),
    )


def volume_correlation(values: NDArray[np.float64], volume_ml: NDArray[np.float64]) -> float | None:
    """Spearman's rho of a feature with tumour volume; None with under four patients or when either is constant."""
    both = np.isfinite(values) & np.isfinite(volume_ml)
    if both.sum() < FEWEST_FOR_CORRELATION or np.ptp(values[both]) == 0 or np.ptp(volume_ml[both]) == 0:
        return None
    return float(np.corrcoef(rankdata(values[both]), rankdata(volume_ml[both]))[0, 1])


def _stability(step: str, chosen: NDArray[np.bool_]) -> tuple[Stability, ...]:
    if chosen.shape[0] < 2:
        return ()
    found = nogueira(chosen)
    if not np.isfinite(found.index):
        return ()
    return (
        Stability(
            step=step,
            stability=float(found.index),
            se=float(found.standard_error),
            lo=float(found.lower),
            hi=float(found.upper),
            resamples=chosen.shape[0],
            candidates=chosen.shape[1],
        ),
    )
