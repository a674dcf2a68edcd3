"""What the resamples agreed on: how often each feature was taken and how stable the sets are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from engine.analyse.co_selection import co_selection
from engine.protocol import StabilityProtocol
from engine.statistics.stability import nogueira
from store.matrices import DesignTable
from store.records import (
    CoSelection,
    FeatureGroup,
    Performance,
    Resamples,
    Selection,
    SelectionFrequency,
    SizeStability,
    Stability,
)

Name = tuple[str, str, str, str]
FEWEST_FOR_CORRELATION = 4
SIZES = (1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 400, 500)
NEVER = 1 << 30


@dataclass(frozen=True, slots=True)
class SelectionSummary:
    """Output of the selection stage."""

    frequencies: tuple[SelectionFrequency, ...]
    stability: tuple[Stability, ...]
    sizes: tuple[SizeStability, ...]
    groups: tuple[FeatureGroup, ...]
    pairs: tuple[CoSelection, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Indicators:
    """Per resample and feature (resamples, features): taken and kept or not, and the smallest set that held it."""

    taken: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    places: dict[str, NDArray[np.int64]]  # by step


def summarise_selection(
    table: DesignTable,
    selections: Resamples[Selection],
    performance: Resamples[Performance],
    choices: StabilityProtocol,
) -> SelectionSummary:
    """Frequencies of the features that any resample took, most often kept first, and Nogueira's stability.

    Every resample that was done counts, also one that took nothing. The correlation with tumour volume is Spearman's
    over the patients who have both. Stability is left out with fewer than two resamples or when it is not defined.
    Beside it: stability of the sets of other sizes, and groups of features that stand for each other.
    """
    done = sorted({number for number, _ in performance})
    names = list(zip(table.rois, table.image_types, table.feature_classes, table.features, strict=True))
    place = {name: column for column, name in enumerate(names)}
    found = _indicators(selections, done, place)
    taken, kept = found.taken, found.kept
    frequencies = [
        _frequency(table, column, (int(taken[:, column].sum()), int(kept[:, column].sum()), len(done)))
        for column in np.flatnonzero(taken.any(axis=0)).tolist()
    ]
    frequencies.sort(key=lambda f: (-f.kept_count, -f.mrmr_count, f.roi, f.image_type, f.feature_class, f.feature))
    often = [place[f.roi, f.image_type, f.feature_class, f.feature] for f in frequencies if f.kept_count]
    groups, pairs = co_selection(
        table, kept, taken, np.array(often[: choices.cluster_features], dtype=np.intp), choices
    )
    return SelectionSummary(
        frequencies=tuple(frequencies),
        stability=(*_stability("mrmr", taken), *_stability("rfe", kept)),
        sizes=tuple(row for step, places in found.places.items() for row in _by_size(step, places)),
        groups=groups,
        pairs=pairs,
    )


def _indicators(selections: Resamples[Selection], done: list[int], place: dict[Name, int]) -> Indicators:
    shape = len(done), len(place)
    taken, kept = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    places = {step: np.full(shape, NEVER, dtype=np.int64) for step in ("mrmr", "rfe")}
    row_of = {number: row for row, number in enumerate(done)}
    for number, s in selections:
        cell = row_of[number], place[s.roi, s.image_type, s.feature_class, s.feature]
        taken[cell], kept[cell] = True, s.kept
        places["mrmr"][cell], places["rfe"][cell] = s.mrmr_rank, s.rfe_rank
    return Indicators(taken, kept, places)


def _by_size(step: str, places: NDArray[np.int64]) -> tuple[SizeStability, ...]:
    """Stability of the sets of every size of SIZES that some resample reached."""
    largest = int(np.where(places < NEVER, places, 0).max(initial=0))
    rows = [(size, _stability(step, places <= size)) for size in SIZES if size <= largest]
    return tuple(
        SizeStability(step, size, own.stability, own.lo, own.hi, own.resamples) for size, found in rows for own in found
    )


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
