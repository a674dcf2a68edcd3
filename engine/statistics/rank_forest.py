"""Random forest of classification trees on dense ranks, and recursive feature elimination with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.statistics.checks import Floats, Indices, binary, matrix, weights_or_ones
from engine.statistics.tree_kernel import TrainingRows, TreeNodes, grow_forest, read_forest

MAX_ROWS = 65535
SEED_LIMIT = 2**64


@dataclass(frozen=True, slots=True)
class Forest:
    """Grown trees and the importances (p,) of their columns.

    Importance is the mean decrease in Gini impurity, normalised in each tree; they sum to 1, or are all 0. In the
    nodes (trees, nodes) column -1 marks a leaf; a row goes left when its raw value <= threshold.
    """

    nodes: TreeNodes
    importances: Floats


@dataclass(frozen=True, slots=True)
class RfeResult:
    """Columns kept (sorted) and the rank (p,) of every column: 1 = kept, 2 = removed last, and so on."""

    kept: Indices
    ranking: Indices


def fit_forest(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None, trees: int, seed: int) -> Forest:
    """Return a random forest grown out on bootstrap samples, with floor(sqrt(p)) columns tried at each split.

    `x` (n, p) finite, `y` (n,) 0/1, `weights` (n,) multiplicities or case weights: each tree draws round(sum of
    weights) rows with probability proportional to weight, so integer weights equal copied rows. Splits are exact
    (thresholds midway between neighbouring values in the node), impurity is Gini, leaves are pure or cannot be split.
    The same `seed` gives the same forest. ValueError beyond 65,535 rows. Source: Breiman 2001; the definition is that
    of scikit-learn's RandomForestClassifier.
    """
    _check_numbers(trees, seed)
    rows = _training_rows(x, y, weights)
    p, n = rows.ranks.shape
    nodes = _blank_nodes(trees, 2 * n)
    importances = grow_forest(rows, np.arange(p, dtype=np.int32), trees, np.uint64(seed), nodes)
    return Forest(nodes, importances)


def predict(forest: Forest, x: ArrayLike) -> Floats:
    """Return the mean over trees of the event share in the leaf of every row of `x` (n, p): (n,) in [0, 1]."""
    values = np.ascontiguousarray(matrix("x", x))
    if values.shape[1] != forest.importances.size:
        raise ValueError(f"x must have {forest.importances.size} columns, got {values.shape[1]}")
    return np.asarray(read_forest(values, forest.nodes), dtype=np.float64)


def rfe(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None, keep: int, trees: int, seed: int) -> RfeResult:
    """Return the `keep` columns left when the least important column of a new forest is removed, again and again.

    Arguments as in `fit_forest`; 1 <= keep <= p. Of columns equally unimportant the first is removed (scikit-learn's
    RFE, step 1). Source: Guyon et al. 2002.
    """
    _check_numbers(trees, seed)
    rows = _training_rows(x, y, weights)
    p, n = rows.ranks.shape
    if not 1 <= keep <= p:
        raise ValueError(f"keep must lie between 1 and {p}, got {keep}")
    seeds = np.random.SeedSequence(seed).generate_state(p, np.uint64)
    ranking = np.ones(p, dtype=np.intp)
    active = np.arange(p, dtype=np.int32)
    scratch = _blank_nodes(1, 2 * n)
    while active.size > keep:
        importances = grow_forest(rows, active, trees, np.uint64(seeds[active.size - 1]), scratch)
        least = int(np.argmin(importances[active]))
        ranking[active[least]] = active.size - keep + 1
        active = np.delete(active, least)
    return RfeResult(active.astype(np.intp), ranking)


def _check_numbers(trees: int, seed: int) -> None:
    """A forest needs a tree and a seed that fits."""
    if trees < 1:
        raise ValueError(f"trees must be at least 1, got {trees}")
    if not 0 <= seed < SEED_LIMIT:
        raise ValueError(f"seed must lie between 0 and 2^64 - 1, got {seed}")


def _blank_nodes(trees: int, nodes: int) -> TreeNodes:
    """Room for the nodes of `trees` trees."""
    shape = (trees, nodes)
    column = np.full(shape, -1, dtype=np.int32)
    left, right = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int32)
    return TreeNodes(column, left, right, np.zeros(shape), np.zeros(shape))


def _training_rows(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None) -> TrainingRows:
    """Check, drop rows without weight and rank every column densely."""
    values = matrix("x", x)
    labels = binary("y", y, values.shape[0])
    scale = weights_or_ones(weights, values.shape[0])
    kept = scale > 0
    values, labels, scale = values[kept], labels[kept], scale[kept]
    if values.shape[0] > MAX_ROWS or values.shape[1] == 0:
        raise ValueError(f"x must have at most {MAX_ROWS} rows and a column or more, got shape {values.shape}")
    ranks = np.empty((values.shape[1], values.shape[0]), dtype=np.uint16)
    distinct = np.zeros((values.shape[1], values.shape[0]))
    for column, row in enumerate(values.T):
        found, ranks[column] = np.unique(row, return_inverse=True)
        distinct[column, : found.size] = found
    cumulative = np.cumsum(scale)
    return TrainingRows(ranks, distinct, labels.astype(np.uint8), cumulative, max(1, round(float(cumulative[-1]))))
