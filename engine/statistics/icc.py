"""Intraclass correlation: the six forms of Shrout and Fleiss with exact confidence intervals, for many features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtri

from engine.statistics.checks import Floats

CHUNK_FEATURES = 128  # of 153 x 20 values: a block that the cache holds


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One form of the ICC per feature: estimate and confidence bounds, each of shape (features,)."""

    estimate: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True)
class Icc:
    """All six forms: (1,1), (2,1), (3,1) of one measurement and (1,k), (2,k), (3,k) of the mean of k."""

    one_way: Coefficient
    agreement: Coefficient
    consistency: Coefficient
    mean_one_way: Coefficient
    mean_agreement: Coefficient
    mean_consistency: Coefficient
    subjects: int
    raters: int


@dataclass(frozen=True, slots=True)
class MeanSquares:
    """Two-way analysis of variance per feature, each of shape (features,)."""

    subjects: Floats
    within: Floats
    raters: Floats
    error: Floats


def icc(values: NDArray[np.float64], level: float = 0.95) -> Icc:
    """Return the six intraclass correlations of every feature.

    `values` has shape (subjects n, raters k, features p), n >= 2 and k >= 2. (1,1): one-way random; (2,1): two-way
    random, absolute agreement; (3,1): two-way mixed, consistency; (.,k): of the mean of k ratings. Bounds are the exact
    F intervals (Satterthwaite for agreement). Negative estimates are kept. A feature that is constant, or that holds a
    value that is not finite, is NaN throughout. Source: Shrout and Fleiss 1979; McGraw and Wong 1996; R psych::ICC.
    """
    squares, (n, k) = _all_mean_squares(values, level)
    tail = 1 - (1 - level) / 2
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        one_way = _ratio_form(squares.subjects, squares.within, (n - 1, n * (k - 1)), k, tail)
        consistency = _ratio_form(squares.subjects, squares.error, (n - 1, (n - 1) * (k - 1)), k, tail)
        agreement = _agreement(squares, n, k, tail)
        return Icc(
            one_way=one_way,
            agreement=agreement,
            consistency=consistency,
            mean_one_way=_of_mean(one_way, k),
            mean_agreement=_of_mean(agreement, k),
            mean_consistency=_of_mean(consistency, k),
            subjects=n,
            raters=k,
        )


def icc_lower(values: NDArray[np.float64], form: Literal["one_way", "agreement"], level: float = 0.95) -> Floats:
    """The lower bound alone of one form of `icc`, bit for bit at a third of the cost; arguments and errors as there."""
    squares, (n, k) = _all_mean_squares(values, level)
    tail = 1 - (1 - level) / 2
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if form == "one_way":
            return _ratio_form(squares.subjects, squares.within, (n - 1, n * (k - 1)), k, tail).lower
        return _agreement_lower(squares, n, k, tail, _agreement_estimate(squares, n, k))


def _all_mean_squares(values: NDArray[np.float64], level: float) -> tuple[MeanSquares, tuple[int, int]]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 3 or array.shape[0] < 2 or array.shape[1] < 2:
        raise ValueError(f"values must be (subjects >= 2, raters >= 2, features), got shape {array.shape}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    n, k, p = array.shape
    parts = [
        _mean_squares(array[:, :, start : start + CHUNK_FEATURES]) for start in range(0, max(p, 1), CHUNK_FEATURES)
    ]
    squares = MeanSquares(
        subjects=np.concatenate([part.subjects for part in parts]),
        within=np.concatenate([part.within for part in parts]),
        raters=np.concatenate([part.raters for part in parts]),
        error=np.concatenate([part.error for part in parts]),
    )
    return squares, (n, k)


def _mean_squares(values: Floats) -> MeanSquares:
    """Mean squares from residuals, centred in place one factor after the other; NaN where constant or not finite."""
    n, k, _ = values.shape
    with np.errstate(invalid="ignore", over="ignore"):
        rest = np.subtract(values, values[:1, :1], order="C")
        by_subject = rest.mean(axis=1)
        rest -= by_subject[:, None]
        within = _squares(rest) / (n * (k - 1))
        by_rater = rest.mean(axis=0)
        rest -= by_rater
        error = _squares(rest) / ((n - 1) * (k - 1))
        by_subject -= by_subject.mean(axis=0)
        subjects = _squares(by_subject) * k / (n - 1)
        raters = _squares(by_rater) * n / (k - 1)
        total = subjects + within
    blank = np.where(np.isfinite(total) & (total > 0), 0.0, np.nan)
    return MeanSquares(subjects + blank, within + blank, raters + blank, error + blank)


def _squares(values: Floats) -> Floats:
    """Sum of squares over all but the last axis, without a copy."""
    rows = values.reshape(-1, values.shape[-1])
    return np.asarray(np.einsum("rp,rp->p", rows, rows))


def _ratio_form(between: Floats, noise: Floats, degrees: tuple[int, int], k: int, tail: float) -> Coefficient:
    """(between - noise) / (between + (k - 1) noise), with the noise moved by the two F quantiles for the bounds."""
    up = noise * fdtri(degrees[0], degrees[1], tail)
    down = noise / fdtri(degrees[1], degrees[0], tail)
    forms = [(between - error) / (between + (k - 1) * error) for error in (noise, up, down)]
    return Coefficient(*forms)


def _agreement(squares: MeanSquares, n: int, k: int, tail: float) -> Coefficient:
    """ICC(2,1); the degrees of freedom of the bounds by Satterthwaite."""
    subjects, raters, error = squares.subjects, squares.raters, squares.error
    estimate = _agreement_estimate(squares, n, k)
    below = fdtri(_agreement_degrees(squares, n, k, estimate), n - 1, tail)
    rest = k * raters + (k * n - k - n) * error
    upper = n * (below * subjects - error) / (rest + n * below * subjects)
    lower = _agreement_lower(squares, n, k, tail, estimate)
    return Coefficient(estimate, lower, np.where(_perfect(squares), 1.0, upper))


def _agreement_estimate(squares: MeanSquares, n: int, k: int) -> Floats:
    subjects, raters, error = squares.subjects, squares.raters, squares.error
    return np.asarray((subjects - error) / (subjects + (k - 1) * error + k * (raters - error) / n))


def _agreement_degrees(squares: MeanSquares, n: int, k: int, estimate: Floats) -> Floats:
    base = n * (1 + (k - 1) * estimate) - k * estimate
    raters, error = squares.raters, squares.error
    numerator = (k - 1) * (n - 1) * (k * estimate * raters + base * error) ** 2
    return np.asarray(numerator / ((n - 1) * (k * estimate * raters) ** 2 + (base * error) ** 2))


def _agreement_lower(squares: MeanSquares, n: int, k: int, tail: float, estimate: Floats) -> Floats:
    subjects, raters, error = squares.subjects, squares.raters, squares.error
    above = fdtri(n - 1, _agreement_degrees(squares, n, k, estimate), tail)
    rest = k * raters + (k * n - k - n) * error
    lower = n * (subjects - above * error) / (above * rest + n * subjects)
    return np.where(_perfect(squares), 1.0, lower)


def _perfect(squares: MeanSquares) -> NDArray[np.bool_]:
    return np.asarray((squares.error == 0) & (squares.raters == 0) & (squares.subjects > 0))


def _of_mean(single: Coefficient, k: int) -> Coefficient:
    """Spearman-Brown: the reliability of the mean of k ratings."""
    forms = [k * value / (1 + (k - 1) * value) for value in (single.estimate, single.lower, single.upper)]
    return Coefficient(*forms)
