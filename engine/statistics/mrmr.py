"""Minimum redundancy, maximum relevance: FCQ, MID and MIQ on continuous features, MID and MIQ on discrete ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.statistics.checks import Floats, Indices, matrix, weights_or_ones

REDUNDANCY_FLOOR = 0.001
TIE_SHARE = 1e-10  # scores nearer than this are ties: matrix products round equal columns differently
MIQ_OFFSET = 0.0001
MOST_LEVELS = 10
SMALLEST_REMAINDER = 1e-12  # of 1 - r^2: a copy of a column is as redundant as can be, not infinitely so
Score = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True, slots=True)
class RankedFeatures:
    """Columns in the order of selection and the score each was selected with, both of shape (k,)."""

    order: Indices
    score: Floats


def mrmr_fcq(x: ArrayLike, y: ArrayLike, k: int, weights: ArrayLike | None = None) -> Indices:
    """Return up to k columns of `x` in the order minimum-redundancy-maximum-relevance selects them (FCQ).

    `x` (n, p) finite, `y` (n,) classes, `weights` (n,) multiplicities or case weights (None: one each); rows of weight
    0 do not count. Relevance is the one-way F; redundancy the mean over the columns selected so far of
    max(|Pearson r|, 0.001); first argmax F, then argmax relevance / redundancy. Candidates need F > 0, a mean
    redundancy of exactly 1 is left out, ties go to the first column. Fewer than k are returned when candidates run out.
    Integer weights equal copied rows. Source: Ding and Peng 2005; Zhao et al. 2019; mrmr_selection 0.2.8.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    values = matrix("x", x)
    scale = weights_or_ones(weights, values.shape[0])
    relevance = f_statistic(values, y, scale)
    candidates = np.flatnonzero(relevance > 0)
    standard = _standardised(values[:, candidates], scale)
    return candidates[_greedy_quotient(standard, relevance[candidates], k)]


def _greedy_quotient(standard: Floats, relevance: Floats, k: int) -> Indices:
    """Positions selected, keeping the running sum of redundancies: one matrix-vector product a step."""
    total = np.zeros(relevance.size)
    open_ = np.ones(relevance.size, dtype=bool)
    chosen: list[int] = []
    while len(chosen) < min(k, relevance.size):
        score = relevance.copy()
        if chosen:
            mean = total / len(chosen)
            score = np.divide(relevance, mean, out=np.zeros_like(relevance), where=mean != 1.0)
        score[~open_] = -np.inf
        best = _first_best(score)
        chosen.append(best)
        open_[best] = False
        total += np.maximum(np.abs(standard[:, best] @ standard), REDUNDANCY_FLOOR)
    return np.asarray(chosen, dtype=np.intp)


def _first_best(score: Floats) -> int:
    """First position of the largest score, rounding apart."""
    best = float(score.max())
    return int(np.flatnonzero(score >= best - TIE_SHARE * abs(best))[0]) if np.isfinite(best) else int(np.argmax(score))


def f_statistic(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Return the one-way analysis-of-variance F of every column of `x` (n, p) over the classes `y` (n,): shape (p,).

    With `weights` the number of rows is their sum (frequency weights). 0 or more; 0 for a constant column, infinite
    when the classes are constant within and differ. Two classes or more and more rows than classes are required.
    """
    values = matrix("x", x)
    scale = weights_or_ones(weights, values.shape[0])
    labels = np.asarray(y)
    if labels.shape != (values.shape[0],):
        raise ValueError(f"y must have shape ({values.shape[0]},), got {labels.shape}")
    classes = np.unique(labels[scale > 0])
    if classes.size < 2 or scale.sum() <= classes.size:
        raise ValueError(f"y must hold two classes and more rows than classes, got {classes.size} classes")
    membership = (labels[None, :] == classes[:, None]) * scale
    size = membership.sum(axis=1)
    centred = values - (scale @ values) / scale.sum()
    means = (membership @ centred) / size[:, None]
    between = size @ means**2
    total = scale @ centred**2
    within = np.maximum(total - between, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        f = (between / (classes.size - 1)) / (within / (scale.sum() - classes.size))
    spread = np.ptp(values[scale > 0], axis=0)
    return np.where(spread == 0, 0.0, f)


def weighted_correlation(x: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Return the weighted Pearson correlation matrix (p, p) of the columns of `x` (n, p); 0 with constant columns."""
    values = matrix("x", x)
    standard = _standardised(values, weights_or_ones(weights, values.shape[0]))
    return np.asarray(standard.T @ standard, dtype=np.float64)


def _standardised(values: Floats, weights: Floats) -> Floats:
    """Columns centred and scaled so that the inner product of two is their weighted Pearson correlation."""
    root = np.sqrt(weights / weights.sum())[:, None]
    centred = (values - (weights @ values) / weights.sum()) * root
    norm = np.sqrt((centred**2).sum(axis=0))
    return np.ascontiguousarray(np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 0))


def mrmr_mid(x: ArrayLike, y: ArrayLike, k: int, weights: ArrayLike | None = None) -> RankedFeatures:
    """Return k discrete columns by mutual information difference: relevance - mean redundancy.

    `x` (n, p) and `y` (n,) hold discrete values, `weights` (n,) multiplicities or case weights (None: one each);
    mutual information in bits. Ties go to the first column. Source: Peng et al. 2005, doi 10.1109/TPAMI.2005.159;
    pymrmr 0.1.11.
    """
    return _greedy_information(*_discrete(x, y, weights), k, difference_score)


def mrmr_miq(x: ArrayLike, y: ArrayLike, k: int, weights: ArrayLike | None = None) -> RankedFeatures:
    """Return k discrete columns by mutual information quotient: relevance / (mean redundancy + 0.0001).

    Arguments and source as in `mrmr_mid`.
    """
    return _greedy_information(*_discrete(x, y, weights), k, quotient_score)


def gaussian_mid(x: ArrayLike, y: ArrayLike, k: int, weights: ArrayLike | None = None) -> Indices:
    """Return up to k columns of continuous `x` (n, p) by mutual information difference, information as if Gaussian.

    Information of two columns, and of a column with the 0/1 or numeric `y` (n,), is -ln(1 - r^2) / 2 nats of their
    Pearson r. Candidates need information with y. Otherwise as `mrmr_fcq`. Source: De Jay et al. 2013, mRMRe.
    """
    return _gaussian(x, y, k, weights, difference_score)


def gaussian_miq(x: ArrayLike, y: ArrayLike, k: int, weights: ArrayLike | None = None) -> Indices:
    """As `gaussian_mid`, by quotient: relevance / (mean redundancy + 0.0001)."""
    return _gaussian(x, y, k, weights, quotient_score)


def difference_score(relevance: Floats, redundancy: Floats) -> Floats:
    """Relevance minus mean redundancy (p,)."""
    return relevance - redundancy


def quotient_score(relevance: Floats, redundancy: Floats) -> Floats:
    """Relevance over mean redundancy (p,), which may be 0."""
    return relevance / (redundancy + MIQ_OFFSET)


# What a study's protocol may name; all take continuous columns. FCD is left out: F's scale drowns the redundancy.
SCHEMES: dict[str, Callable[[ArrayLike, ArrayLike, int, ArrayLike | None], Indices]] = {
    "FCQ": mrmr_fcq,
    "MID": gaussian_mid,
    "MIQ": gaussian_miq,
}


def _discrete(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Callable[[int], Floats]]:
    """Relevance (p,) of discrete columns, and how to get their redundancy (p,) with one of them."""
    levels = np.asarray(x)
    counter = _LevelCounter(levels, weights)
    return mutual_information(levels, y, weights), lambda chosen: counter.information(levels[:, chosen])


def _gaussian(x: ArrayLike, y: ArrayLike, k: int, weights: ArrayLike | None, score: Score) -> Indices:
    """Greedy selection among the columns that correlate with y."""
    values = matrix("x", x)
    scale = weights_or_ones(weights, values.shape[0])
    target = matrix("y", np.asarray(y, dtype=np.float64)[:, None])
    if target.shape[0] != values.shape[0] or np.ptp(target[scale > 0]) == 0:
        raise ValueError(f"y must have {values.shape[0]} values that vary, got {target.shape[0]}")
    label = _standardised(target, scale)[:, 0]
    standard = _standardised(values, scale)
    relevance = gaussian_information(label @ standard)
    candidates = np.flatnonzero(relevance > 0)
    if candidates.size == 0:
        return candidates
    open_ = np.ascontiguousarray(standard[:, candidates])
    wanted = min(k, candidates.size)
    found = _greedy_information(
        relevance[candidates], lambda chosen: gaussian_information(open_[:, chosen] @ open_), wanted, score
    )
    return candidates[found.order]


def gaussian_information(correlation: Floats) -> Floats:
    """Mutual information in nats of two Gaussian variables with this Pearson correlation; finite for copies too."""
    return np.asarray(-0.5 * np.log(np.maximum(1 - correlation**2, SMALLEST_REMAINDER)), dtype=np.float64)


def _greedy_information(
    relevance: Floats, redundancy_with: Callable[[int], Floats], k: int, score: Score
) -> RankedFeatures:
    """First the most relevant column, then the best score of relevance against mean redundancy, k in all."""
    if not 1 <= k <= relevance.size:
        raise ValueError(f"k must lie between 1 and {relevance.size}, got {k}")
    order = [_first_best(relevance)]
    scores = [float(relevance[order[0]])]
    total = np.zeros_like(relevance)
    while len(order) < k:
        total += redundancy_with(order[-1])
        own = score(relevance, total / len(order))
        own[order] = -np.inf
        order.append(_first_best(own))
        scores.append(float(own[order[-1]]))
    return RankedFeatures(np.asarray(order, dtype=np.intp), np.asarray(scores))


def are_discrete(x: ArrayLike) -> bool:
    """Whether all columns of `x` (n, p) hold whole numbers of at most ten levels: counted, not taken for Gaussian."""
    values = matrix("x", x)
    return bool((values == np.rint(values)).all() and max(np.unique(c).size for c in values.T) <= MOST_LEVELS)


def mutual_information(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Return the mutual information in bits of every discrete column of `x` (n, p) with discrete `y` (n,): (p,)."""
    levels = np.asarray(x)
    target = np.asarray(y)
    if levels.ndim != 2 or target.shape != (levels.shape[0],):
        raise ValueError(f"x must be (n, p) and y (n,), got {levels.shape} and {target.shape}")
    return _LevelCounter(levels, weights).information(target)


class _LevelCounter:
    """One-hot columns of every level, so that joint counts with a target are matrix products."""

    def __init__(self, x: NDArray[np.generic], weights: ArrayLike | None) -> None:
        own = weights_or_ones(weights, x.shape[0])
        self._share = own / own.sum()
        self._hot = [(x == level).astype(np.float64) for level in np.unique(x)]

    def information(self, target: NDArray[np.generic]) -> Floats:
        """Mutual information in bits with one discrete vector (n,)."""
        bits = np.zeros(self._hot[0].shape[1])
        for level in np.unique(target):
            member = (target == level) * self._share
            for hot in self._hot:
                joint = member @ hot
                expected = (self._share @ hot) * member.sum()
                ratio = np.divide(joint, expected, out=np.ones_like(joint), where=joint > 0)
                bits += joint * np.log2(ratio)
        return bits
