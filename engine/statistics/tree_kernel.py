"""Compiled growing and reading of classification trees on dense ranks; used by rank_forest only."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

SMALL_NODE = 16
Function = TypeVar("Function", bound=Callable[..., object])


def _compiled(function: Function) -> Function:
    """Compile without the interpreter lock; the machine code is kept beside the file."""
    return cast(Function, numba.njit(cache=True, nogil=True)(function))


class TrainingRows(NamedTuple):
    """Dense ranks and distinct values (p, n), labels (n,), running sum of drawing weights (n,), rows a tree draws."""

    ranks: NDArray[np.uint16]
    values: NDArray[np.float64]
    labels: NDArray[np.uint8]
    cumulative: NDArray[np.float64]
    draws: int


class TreeNodes(NamedTuple):
    """Nodes of trees, each (trees, nodes); with one row the trees overwrite each other."""

    column: NDArray[np.int32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    threshold: NDArray[np.float64]
    event_share: NDArray[np.float64]


class Scratch(NamedTuple):
    """Working memory of one tree: row order, counts by row, class counts by rank, column order, node stack."""

    order: NDArray[np.int32]
    counts: NDArray[np.float64]
    total_at: NDArray[np.float64]
    events_at: NDArray[np.float64]
    keys: NDArray[np.int64]
    columns: NDArray[np.int32]
    stack: NDArray[np.int32]


class Split(NamedTuple):
    """Best split of a node: column (-1 none), rank that goes left, next rank in the node, score."""

    column: int
    rank: int
    following: int
    score: float


@_compiled
def random_share(state: NDArray[np.uint64]) -> float:
    """Return the next number in [0, 1) of splitmix64 (Steele et al. 2014); `state` (1,) moves on."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    mixed = state[0]
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    return float(mixed >> np.uint64(11)) * 1.1102230246251565e-16


@_compiled
def _draw_rows(rows: TrainingRows, state: NDArray[np.uint64], work: Scratch) -> int:
    """Bootstrap counts by row; returns the number of distinct rows, listed in `order`."""
    n = rows.labels.size
    work.counts[:] = 0.0
    total = rows.cumulative[n - 1]
    for _ in range(rows.draws):
        row = np.searchsorted(rows.cumulative, random_share(state) * total, side="right")
        work.counts[min(row, n - 1)] += 1.0
    size = 0
    for row in range(n):
        if work.counts[row] > 0:
            work.order[size] = row
            size += 1
    return size


@_compiled
def _split_score(left_total: float, left_events: float, total: float, events: float) -> float:
    """Sum over the children of squared class counts over size: largest where Gini impurity falls most."""
    right_total, right_events = total - left_total, events - left_events
    left_others, right_others = left_total - left_events, right_total - right_events
    left = (left_events * left_events + left_others * left_others) / left_total
    right = (right_events * right_events + right_others * right_others) / right_total
    return float(left + right)


@_compiled
def _best_small(rows: TrainingRows, column: int, start: int, end: int, work: Scratch) -> Split:
    """Best split of a small node by insertion sort; column -1 where the column is constant in it."""
    ranks, size = rows.ranks[column], end - start
    total = events = 0.0
    for i in range(size):
        row = int(np.int64(work.order[start + i]))
        key = (np.int64(ranks[row]) << np.int64(32)) | np.int64(row)
        total += work.counts[row]
        events += work.counts[row] * rows.labels[row]
        j = i - 1
        while j >= 0 and work.keys[j] > key:
            work.keys[j + 1] = work.keys[j]
            j -= 1
        work.keys[j + 1] = key
    best = Split(-1, 0, 0, -1.0)
    left_total = left_events = 0.0
    for i in range(size - 1):
        row = int(work.keys[i] & np.int64(0xFFFFFFFF))
        rank, following = int(work.keys[i] >> np.int64(32)), int(work.keys[i + 1] >> np.int64(32))
        left_total += work.counts[row]
        left_events += work.counts[row] * rows.labels[row]
        if rank != following:
            score = _split_score(left_total, left_events, total, events)
            if score > best.score:
                best = Split(column, rank, following, score)
    return best


@_compiled
def _best_large(rows: TrainingRows, column: int, start: int, end: int, work: Scratch) -> Split:
    """Best split of a large node by counting at each rank; column -1 where the column is constant in it."""
    ranks = rows.ranks[column]
    lowest, highest = int(rows.labels.size), 0
    total = events = 0.0
    for i in range(start, end):
        row = work.order[i]
        rank = int(np.int64(ranks[row]))
        count = work.counts[row]
        work.total_at[rank] += count
        work.events_at[rank] += count * rows.labels[row]
        total += count
        events += count * rows.labels[row]
        lowest, highest = min(lowest, rank), max(highest, rank)
    best = Split(-1, 0, 0, -1.0)
    left_total = left_events = 0.0
    previous = lowest
    for rank in range(lowest, highest + 1):
        if work.total_at[rank] == 0.0:
            continue
        if rank > lowest:
            score = _split_score(left_total, left_events, total, events)
            if score > best.score:
                best = Split(column, previous, rank, score)
        left_total += work.total_at[rank]
        left_events += work.events_at[rank]
        work.total_at[rank] = 0.0
        work.events_at[rank] = 0.0
        previous = rank
    return best


@_compiled
def _best_split(rows: TrainingRows, start: int, end: int, state: NDArray[np.uint64], work: Scratch) -> Split:
    """Best split over floor(sqrt(p)) columns drawn at random; more are drawn only while all were constant."""
    open_ = work.columns.size
    wanted = max(1, int(np.sqrt(open_)))
    best = Split(-1, 0, 0, -1.0)
    seen = 0
    while open_ > 0 and (seen < wanted or best.column < 0):
        pick = int(random_share(state) * open_)
        open_ -= 1
        column = int(np.int64(work.columns[pick]))
        work.columns[pick] = work.columns[open_]
        work.columns[open_] = column
        seen += 1
        if end - start <= SMALL_NODE:
            found = _best_small(rows, column, start, end, work)
        else:
            found = _best_large(rows, column, start, end, work)
        if found.column >= 0 and found.score > best.score:
            best = found
    return best


@_compiled
def _partition(rows: TrainingRows, split: Split, start: int, end: int, work: Scratch) -> int:
    """Move the rows that go left to the front; returns where the right ones begin."""
    middle, last = start, end - 1
    while middle <= last:
        row = work.order[middle]
        if rows.ranks[split.column, row] <= split.rank:
            middle += 1
        else:
            work.order[middle] = work.order[last]
            work.order[last] = row
            last -= 1
    return middle


@_compiled
def _grow_tree(
    rows: TrainingRows, nodes: TreeNodes, slot: int, state: NDArray[np.uint64], work: Scratch, gain: NDArray[np.float64]
) -> None:
    """Grow one tree into `slot` and add its decreases in impurity to `gain` (p,)."""
    work.stack[0], work.stack[1], work.stack[2] = 0, 0, _draw_rows(rows, state, work)
    depth, used = 1, 1
    while depth > 0:
        depth -= 1
        node, start, end = work.stack[3 * depth], work.stack[3 * depth + 1], work.stack[3 * depth + 2]
        total = events = 0.0
        for i in range(start, end):
            total += work.counts[work.order[i]]
            events += work.counts[work.order[i]] * rows.labels[work.order[i]]
        nodes.column[slot, node] = -1
        nodes.event_share[slot, node] = events / total
        if events == 0.0 or events == total:
            continue
        split = _best_split(rows, start, end, state, work)
        if split.column < 0:
            continue
        others = total - events
        gain[split.column] += split.score - (events * events + others * others) / total
        middle = _partition(rows, split, start, end, work)
        values = rows.values[split.column]
        nodes.column[slot, node] = split.column
        nodes.threshold[slot, node] = values[split.rank] + (values[split.following] - values[split.rank]) / 2
        nodes.left[slot, node], nodes.right[slot, node] = used, used + 1
        work.stack[3 * depth], work.stack[3 * depth + 1], work.stack[3 * depth + 2] = used + 1, middle, end
        depth += 1
        work.stack[3 * depth], work.stack[3 * depth + 1], work.stack[3 * depth + 2] = used, start, middle
        depth += 1
        used += 2


@_compiled
def grow_forest(
    rows: TrainingRows, active: NDArray[np.int32], trees: int, seed: np.uint64, nodes: TreeNodes
) -> NDArray[np.float64]:
    """Grow `trees` trees on the columns `active` and return the importances (p,), summing to 1 (or all 0)."""
    p, n = rows.ranks.shape
    work = Scratch(
        np.zeros(n, np.int32), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(SMALL_NODE + 1, np.int64),
        active.copy(), np.zeros(6 * n + 6, np.int32),
    )  # fmt: skip
    state = np.zeros(1, np.uint64)
    state[0] = seed
    importances = np.zeros(p)
    gain = np.zeros(p)
    for tree in range(trees):
        gain[:] = 0.0
        _grow_tree(rows, nodes, tree % nodes.column.shape[0], state, work, gain)
        total = gain.sum()
        if total > 0.0:
            importances += gain / total
    total = importances.sum()
    return importances / total if total > 0.0 else importances


@_compiled
def read_forest(x: NDArray[np.float64], nodes: TreeNodes) -> NDArray[np.float64]:
    """Return the mean event share (n,) of the leaves that the rows of `x` (n, p) fall into."""
    trees = nodes.column.shape[0]
    result = np.zeros(x.shape[0])
    for tree in range(trees):
        for row in range(x.shape[0]):
            node = 0
            while nodes.column[tree, node] >= 0:
                if x[row, nodes.column[tree, node]] <= nodes.threshold[tree, node]:
                    node = nodes.left[tree, node]
                else:
                    node = nodes.right[tree, node]
            result[row] += nodes.event_share[tree, node]
    result /= trees
    return result
