"""Features that stand for each other, and how often two of them were kept together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from engine.protocol import StabilityProtocol
from store.matrices import DesignTable
from store.records import CoSelection, FeatureGroup

Floats = NDArray[np.float64]
Kept = NDArray[np.bool_]


def spearman_matrix(values: Floats) -> Floats:
    """Spearman's rho (p, p) of the columns of values (n, p) over the rows where both are known; NaN where undefined."""
    found = np.full((values.shape[1], values.shape[1]), np.nan)
    known = np.isfinite(values)
    for a in range(values.shape[1]):
        for b in range(a, values.shape[1]):
            rows = known[:, a] & known[:, b]
            x, y = rankdata(values[rows, a]), rankdata(values[rows, b])
            if rows.sum() > 2 and np.ptp(x) > 0 and np.ptp(y) > 0:
                found[a, b] = found[b, a] = np.corrcoef(x, y)[0, 1]
    return found


def grouped(correlation: Floats, threshold: float) -> NDArray[np.intp]:
    """Group numbers (p,) by average linkage on 1 - |rho|, cut where |rho| falls below the threshold.

    An undefined correlation counts as none.
    """
    if correlation.shape[0] < 2:
        return np.zeros(correlation.shape[0], np.intp)
    distance = 1 - np.abs(np.where(np.isfinite(correlation), correlation, 0.0))
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(np.maximum(distance, 0.0), checks=False), "average")
    return np.asarray(fcluster(tree, 1 - threshold, "distance"), dtype=np.intp)


def co_selection(
    table: DesignTable, kept: Kept, taken: Kept, columns: NDArray[np.intp], choices: StabilityProtocol
) -> tuple[tuple[FeatureGroup, ...], tuple[CoSelection, ...]]:
    """Groups of the given columns by their correlation over all patients, and every pair in the order of the groups.

    kept and taken (by mRMR), both (resamples, features) over the whole design table; pairs are counted among the taken,
    of the kept there may be one only. A group counts a resample once, however many of its members
    were kept: where features stand for each other the group is steadier than any of them. Outcomes are not used here.
    """
    correlation = spearman_matrix(table.values[:, columns])
    numbers = grouped(correlation, choices.cluster_correlation)
    chosen = kept[:, columns]
    counts = {int(g): int(chosen[:, numbers == g].any(axis=1).sum()) for g in np.unique(numbers)}
    steadiest = sorted(counts, key=lambda g: (-counts[g], g))
    order = sorted(range(columns.size), key=lambda c: (steadiest.index(int(numbers[c])), c))
    groups = tuple(
        FeatureGroup(
            group=steadiest.index(int(numbers[c])) + 1,
            roi=table.rois[columns[c]],
            image_type=table.image_types[columns[c]],
            feature_class=table.feature_classes[columns[c]],
            feature=table.features[columns[c]],
            kept_count=int(chosen[:, c].sum()),
            group_count=counts[int(numbers[c])],
            resamples=kept.shape[0],
        )
        for c in order
    )
    return groups, _pairs(table, taken[:, columns], columns, order, correlation)


def _pairs(
    table: DesignTable, chosen: Kept, columns: NDArray[np.intp], order: list[int], correlation: Floats
) -> tuple[CoSelection, ...]:
    own = chosen.astype(np.int64)
    together, counts = own.T @ own, own.sum(axis=0)
    names = [" ".join((table.image_types[c], table.feature_classes[c], table.features[c])) for c in columns.tolist()]
    return tuple(
        CoSelection(
            first=i,
            second=j,
            first_name=names[order[i]],
            second_name=names[order[j]],
            together=int(together[order[i], order[j]]),
            expected=float(counts[order[i]] * counts[order[j]] / max(1, chosen.shape[0])),
            correlation=float(rho) if np.isfinite(rho := correlation[order[i], order[j]]) else None,
            resamples=chosen.shape[0],
        )
        for i in range(len(order))
        for j in range(i + 1, len(order))
    )
