"""Several treatments measured on the same subjects: tests of differences, and a model with repeated trainings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from engine.statistics.checks import binary, matrix, vector
from engine.statistics.intervals import Interval

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Tested:
    """A test statistic and its two-sided p; p is 1 when nothing differs."""

    statistic: float
    p: float


@dataclass(frozen=True, slots=True)
class Shift:
    """A location shift between paired samples with its interval (None under six pairs that differ) and its test."""

    estimate: float
    interval: Interval | None
    tested: Tested


@dataclass(frozen=True, slots=True)
class Contrast:
    """A difference of means with its t interval, t statistic, degrees of freedom and p."""

    estimate: float
    interval: Interval
    t: float
    df: float
    p: float


def friedman(values: ArrayLike) -> Tested:
    """Friedman's chi-square over subjects x treatments (n, k), k >= 3, ties averaged; p by its chi-square.

    ValueError under three treatments or two subjects.
    """
    array = matrix("values", values)
    if array.shape[0] < 2 or array.shape[1] < 3:
        raise ValueError(f"values must hold two subjects and three treatments, got shape {array.shape}")
    if (array == array[:, :1]).all():
        return Tested(0.0, 1.0)
    found = stats.friedmanchisquare(*array.T)
    return Tested(float(found.statistic), float(found.pvalue))


def wilcoxon(first: ArrayLike, second: ArrayLike) -> Shift:
    """Wilcoxon's signed-rank test of paired values (n,): pseudo-median of first - second, its interval, W and p.

    Zero differences are dropped for the test; p is exact without ties up to 50 pairs, else by the normal
    approximation. The pseudo-median (Hodges and Lehmann) and its interval come from all Walsh averages.
    """
    difference = vector("first", first) - vector("second", second, len(np.atleast_1d(first)))
    walsh = np.sort(np.add.outer(difference, difference)[np.triu_indices(difference.size)] / 2)
    estimate = float(np.median(walsh))
    moved = difference[difference != 0]
    if moved.size == 0:
        return Shift(0.0, None, Tested(0.0, 1.0))
    found = stats.wilcoxon(moved)
    return Shift(estimate, _walsh_interval(walsh, difference.size), Tested(float(found.statistic), float(found.pvalue)))


def _walsh_interval(walsh: np.ndarray[tuple[int], np.dtype[np.float64]], n: int) -> Interval | None:
    """The order statistics of the Walsh averages that bound the pseudo-median (normal approximation of W)."""
    if n < 6:
        return None
    mean, sd = n * (n + 1) / 4, np.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    place = int(max(0, np.floor(mean - stats.norm.ppf((1 + CONFIDENCE) / 2) * sd)))
    return Interval(float(walsh[place]), float(walsh[-1 - place]))


def mcnemar(first: ArrayLike, second: ArrayLike) -> Tested:
    """McNemar's exact test of paired 0/1 values (n,): the statistic is first-only minus second-only, p binomial."""
    one = binary("first", first)
    other = binary("second", second, one.size)
    only_first, only_second = int((one & ~other).sum()), int((other & ~one).sum())
    if only_first + only_second == 0:
        return Tested(0.0, 1.0)
    p = stats.binomtest(only_first, only_first + only_second, 0.5).pvalue
    return Tested(float(only_first - only_second), float(p))


def crossed_contrast(values: ArrayLike, first: int, second: int) -> Contrast:
    """Difference of two treatments' means when each was trained several times: cases and trainings are random.

    values: treatments x trainings x cases (t, s, c), every case measured by every training. Model: treatment (fixed)
    + case + training within treatment + treatment x case + residual. The expected mean squares are
    E(training) = residual + c var(training), E(treatment x case) = residual + s var(treatment x case), so the variance
    of the difference, 2 (var(training) / s + var(treatment x case) / c + residual / (s c)), is estimated by
    2 (MS training + MS treatment x case - MS residual) / (s c), a component that comes out negative counting as zero.
    Degrees of freedom by Satterthwaite. With all components positive this is restricted maximum likelihood.
    Sources: Searle, Casella and McCulloch, Variance Components (1992), ch. 4; Satterthwaite, Biometrics Bulletin 2
    (1946) 110. ValueError under two trainings or two cases: nothing then says how much another training would differ.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 3 or min(array.shape[1:]) < 2 or not np.isfinite(array).all():
        raise ValueError(f"values must be finite, treatments x trainings (>= 2) x cases (>= 2), got {array.shape}")
    trainings, cases = array.shape[1:]
    training, interaction, residual = _mean_squares(array)
    parts = [part for part in (training, interaction) if part.value > residual.value]
    added = [*parts, residual] if len(parts) != 1 else parts  # with one component left the residual cancels
    total = sum(part.value for part in parts) - (len(parts) - 1) * residual.value
    spread = sum(part.value**2 / part.df for part in added)
    estimate = float(array[first].mean() - array[second].mean())
    df = total**2 / spread if spread > 0 else float(residual.df)
    return _contrast(estimate, float(np.sqrt(2 * total / (trainings * cases))), df)


@dataclass(frozen=True, slots=True)
class _MeanSquare:
    value: float
    df: int


def _mean_squares(array: NDArray[np.float64]) -> tuple[_MeanSquare, _MeanSquare, _MeanSquare]:
    """Mean squares of trainings within treatments, treatment x case, and the residual, of (t, s, c)."""
    t, s, c = array.shape
    runs, cells = array.mean(axis=2), array.mean(axis=1)
    treatments, subjects = array.mean(axis=(1, 2)), array.mean(axis=(0, 1))
    apart = runs - treatments[:, None]
    crossed = cells - treatments[:, None] - subjects + array.mean()
    rest = array - runs[:, :, None] - cells[:, None, :] + treatments[:, None, None]
    sums = c * (apart**2).sum(), s * (crossed**2).sum(), (rest**2).sum()
    freedom = t * (s - 1), (t - 1) * (c - 1), t * (s - 1) * (c - 1)
    one, two, three = (_MeanSquare(float(ss) / df, df) for ss, df in zip(sums, freedom, strict=True))
    return one, two, three


def _contrast(estimate: float, error: float, df: float) -> Contrast:
    if error == 0:
        return Contrast(estimate, Interval(estimate, estimate), 0.0, df, 1.0 if estimate == 0 else 0.0)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, df)) * error
    t = estimate / error
    return Contrast(estimate, Interval(estimate - half, estimate + half), t, df, float(2 * stats.t.sf(abs(t), df)))
