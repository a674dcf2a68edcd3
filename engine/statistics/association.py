"""Rank association and group comparison with effect sizes; equivalence by two one-sided tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from engine.statistics.checks import Floats, matrix, vector
from engine.statistics.intervals import Interval
from store.records import DeclinedError


@dataclass(frozen=True, slots=True)
class Spearman:
    """Rank correlation in [-1, 1] with its two-sided p (t approximation)."""

    rho: float
    p_value: float


@dataclass(frozen=True, slots=True)
class MannWhitney:
    """U of the first sample, two-sided p (normal, tie-corrected, no continuity), rank-biserial 2U/(mn) - 1."""

    u: float
    p_value: float
    rank_biserial: float


@dataclass(frozen=True, slots=True)
class Kruskal:
    """H corrected for ties, its degrees of freedom, p, and effect size H / (n - 1) in [0, 1]."""

    h: float
    degrees: int
    p_value: float
    epsilon_squared: float


@dataclass(frozen=True, slots=True)
class Slope:
    """Change of y per unit of x with its bounds."""

    estimate: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Wilcoxon:
    """Sum of positive ranks, two-sided p, and the median of the paired differences first - second."""

    v: float
    p_value: float
    median_difference: float


@dataclass(frozen=True, slots=True)
class Friedman:
    """Friedman's chi-square corrected for ties, its degrees of freedom and p."""

    statistic: float
    degrees: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Difference of means first - second, its (1 - 2 alpha) bounds, the larger one-sided p, and the verdict."""

    difference: float
    lower: float
    upper: float
    p_value: float
    equivalent: bool


def spearman(x: ArrayLike, y: ArrayLike) -> Spearman:
    """Return Spearman's rank correlation of `x` and `y` (n >= 3); DeclinedError when either is constant."""
    first = vector("x", x)
    second = vector("y", y, first.size)
    _need(first.size >= 3, f"a rank correlation needs three pairs, got {first.size}")
    _need(
        bool(np.ptp(first) > 0 and np.ptp(second) > 0), "a rank correlation needs values that vary, got constant ones"
    )
    rho = float(np.corrcoef(stats.rankdata(first), stats.rankdata(second))[0, 1])
    degrees = first.size - 2
    with np.errstate(divide="ignore"):
        t = rho * np.sqrt(degrees / max((1 - rho) * (1 + rho), 0.0)) if abs(rho) < 1 else np.inf
    return Spearman(rho, float(2 * stats.t.sf(abs(t), degrees)))


def spearman_interval(
    x: ArrayLike, y: ArrayLike, rng: np.random.Generator, resamples: int = 2000, level: float = 0.95
) -> Interval:
    """Return the percentile bootstrap interval of Spearman's correlation, pairs drawn with `rng`.

    Resamples in which a side is constant are left out; DeclinedError when they all are.
    """
    first = vector("x", x)
    second = vector("y", y, first.size)
    spearman(first, second)
    rows = rng.integers(0, first.size, size=(resamples, first.size))
    ranks = [stats.rankdata(side[rows], axis=1) for side in (first, second)]
    centred = [rank - rank.mean(axis=1, keepdims=True) for rank in ranks]
    norm = np.sqrt((centred[0] ** 2).sum(axis=1) * (centred[1] ** 2).sum(axis=1))
    _need(bool((norm > 0).any()), "a bootstrap of a rank correlation needs values that vary")
    rho = (centred[0] * centred[1]).sum(axis=1)[norm > 0] / norm[norm > 0]
    lower, upper = np.quantile(rho, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(lower), float(upper))


def mann_whitney(first: ArrayLike, second: ArrayLike) -> MannWhitney:
    """Return the Mann-Whitney test of two independent samples; U counts pairs with first > second, ties one half.

    rank_biserial is in [-1, 1], positive when the first sample is larger. DeclinedError when a sample is empty; p is 1
    when all values are equal.
    """
    a, b = vector("first", first), vector("second", second)
    _need(a.size > 0 and b.size > 0, f"a comparison needs two samples, got {a.size} and {b.size} values")
    u = float(stats.rankdata(np.concatenate([a, b]))[: a.size].sum() - a.size * (a.size + 1) / 2)
    both = np.concatenate([a, b])
    p = 1.0
    if np.ptp(both) > 0:
        p = float(stats.mannwhitneyu(a, b, use_continuity=False, method="asymptotic").pvalue)
    return MannWhitney(u, p, 2 * u / (a.size * b.size) - 1)


def mann_whitney_exact(first: ArrayLike, second: ArrayLike) -> MannWhitney:
    """As `mann_whitney`, with p from every way to deal the observed values out to the two samples, ties included.

    Ways are counted by their rank sum, one value after the other, so that large samples need no listing of them.
    """
    found = mann_whitney(first, second)
    a, b = vector("first", first), vector("second", second)
    doubled = np.rint(2 * stats.rankdata(np.concatenate([a, b]))).astype(np.int64)
    fewer = min(a.size, b.size)
    ways = np.zeros((fewer + 1, int(np.sort(doubled)[-fewer:].sum()) + 1))
    ways[0, 0] = 1.0
    for rank in doubled:
        for size in range(fewer, 0, -1):
            ways[size, rank:] += ways[size - 1, : ways.shape[1] - rank]
    middle = fewer * (doubled.size + 1)
    own = int(doubled[: a.size].sum() if a.size <= b.size else doubled[a.size :].sum())
    extreme = np.abs(np.arange(ways.shape[1]) - middle) >= abs(own - middle)
    return MannWhitney(found.u, float(ways[fewer, extreme].sum() / ways[fewer].sum()), found.rank_biserial)


def kruskal(values: ArrayLike, groups: ArrayLike) -> Kruskal:
    """Return the Kruskal-Wallis test of `values` (n,) over `groups` (n,) labels.

    DeclinedError with fewer than two groups or constant values. Source: Kruskal and Wallis 1952; Tomczak 2014.
    """
    data = vector("values", values)
    labels = np.asarray(groups)
    if labels.shape != data.shape:
        raise ValueError(f"groups must have shape {data.shape}, got {labels.shape}")
    names = np.unique(labels)
    _need(names.size >= 2, f"a comparison of groups needs two, got {names.size}")
    _need(bool(np.ptp(data) > 0), "a comparison of groups needs values that vary, got constant ones")
    result = stats.kruskal(*[data[labels == name] for name in names])
    return Kruskal(
        float(result.statistic), names.size - 1, float(result.pvalue), float(result.statistic) / (data.size - 1)
    )


def cramers_v(first: ArrayLike, second: ArrayLike) -> float | None:
    """Return Cramer's V of two sets of labels (n,) in 0..1, 1 when one tells the other; None when one is constant."""
    rows, columns = np.asarray(first), np.asarray(second)
    if rows.shape != columns.shape or rows.ndim != 1:
        raise ValueError(f"labels must be vectors of one length, got shapes {rows.shape} and {columns.shape}")
    counts = stats.contingency.crosstab(rows, columns).count
    if min(counts.shape) < 2:
        return None
    return float(min(1.0, stats.contingency.association(counts, method="cramer")))


def robust_slope(x: ArrayLike, y: ArrayLike, level: float = 0.95) -> Slope:
    """Return the Theil-Sen slope of `y` on `x` (n >= 3), the median of all pairs' slopes, with Kendall's interval.

    DeclinedError when x is constant. Source: Sen 1968.
    """
    first = vector("x", x)
    second = vector("y", y, first.size)
    _need(first.size >= 3 and bool(np.ptp(first) > 0), "a slope needs three pairs and an x that varies")
    found = stats.theilslopes(second, first, level)
    return Slope(float(found.slope), float(found.low_slope), float(found.high_slope))


def wilcoxon(first: ArrayLike, second: ArrayLike) -> Wilcoxon:
    """Return the signed-rank test of paired samples (n,): zero differences dropped, normal approximation.

    Tie-corrected, without continuity correction (R wilcox.test(paired, exact = FALSE, correct = FALSE)). p is 1 when
    no pair differs.
    """
    a = vector("first", first)
    gap = a - vector("second", second, a.size)
    _need(a.size > 0, "a paired comparison needs a pair, got none")
    moved = gap[gap != 0]
    if moved.size == 0:
        return Wilcoxon(0.0, 1.0, float(np.median(gap)))
    ranks = stats.rankdata(np.abs(moved))
    v = float(ranks[moved > 0].sum())
    error = float(np.sqrt((ranks**2).sum() / 4))
    return Wilcoxon(v, float(2 * stats.norm.sf(abs(v - ranks.sum() / 2) / error)), float(np.median(gap)))


def friedman(values: ArrayLike) -> Friedman:
    """Return Friedman's test of `values` (n cases, k >= 3 treatments); DeclinedError when every case is constant."""
    table = matrix("values", values)
    if table.shape[1] < 3:
        raise ValueError(f"values must have three columns or more, got shape {table.shape}")
    _need(bool((np.ptp(table, axis=1) > 0).any()), "a comparison of treatments needs values that vary")
    result = stats.friedmanchisquare(*table.T)
    return Friedman(float(result.statistic), table.shape[1] - 1, float(result.pvalue))


def equivalence(first: ArrayLike, second: ArrayLike, margin: float, level: float = 0.90) -> Equivalence:
    """Return two one-sided Welch tests: are the means of two independent samples within `margin` of each other?

    Equivalent when the `level` interval of the difference lies inside (-margin, margin); level 0.90 is a test at 0.05.
    Not equivalent is not "different". DeclinedError with fewer than two values in a sample. Source: Schuirmann 1987.
    """
    a, b = vector("first", first), vector("second", second)
    _need(min(a.size, b.size) >= 2, f"equivalence needs two values in each sample, got {a.size} and {b.size}")
    if margin <= 0:
        raise ValueError(f"margin must be positive, got {margin}")
    shares = _mean_variances(a, b)
    error = float(np.sqrt(shares.sum()))
    difference = float(a.mean() - b.mean())
    if error == 0:
        inside = abs(difference) < margin
        return Equivalence(difference, difference, difference, 0.0 if inside else 1.0, inside)
    degrees = float(shares.sum() ** 2 / (shares**2 / (np.array([a.size, b.size]) - 1)).sum())
    half = float(stats.t.isf((1 - level) / 2, degrees)) * error
    p = float(stats.t.sf((margin - abs(difference)) / error, degrees))
    lower, upper = difference - half, difference + half
    return Equivalence(difference, lower, upper, p, -margin < lower and upper < margin)


def _mean_variances(first: Floats, second: Floats) -> Floats:
    """Squared standard errors of two means."""
    return np.array([first.var(ddof=1) / first.size, second.var(ddof=1) / second.size])


def _need(holds: bool, reason: str) -> None:
    """Decline the analysis when the data cannot carry it."""
    if not holds:
        raise DeclinedError(reason)
