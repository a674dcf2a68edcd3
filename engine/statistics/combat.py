"""ComBat: location and scale of batches brought together by empirical Bayes, fitted once and applied to anybody.

Johnson, Li and Rabinovic, Biostatistics 2007;8:118; the iteration and its stop are neuroCombat 0.2.12's, so that values
agree to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.statistics.checks import Floats

CONVERGED = 1e-4
MOST_ITERATIONS = 1000
FEWEST_IN_A_BATCH = 2


@dataclass(frozen=True, slots=True, eq=False)
class Combat:
    """A fitted ComBat of p features and b batches (levels, sorted); slopes (q, p) of protected covariates.

    grand_mean and spread are (p,), shift and scale (b, p): a batch's location and variance in standardised units.
    """

    levels: tuple[str, ...]
    grand_mean: Floats
    spread: Floats
    slopes: Floats
    shift: Floats
    scale: Floats

    def apply(self, values: Floats, batches: Sequence[str], covariates: Floats | None = None) -> Floats:
        """Harmonised values (n, p) of patients of known batches; (n, k, p) repeats of a patient share his batch.

        `covariates` (n, q) as in the fit. ValueError for a batch that was not in the fit: its shift is unknown.
        """
        unknown = sorted(set(batches) - set(self.levels))
        if unknown:
            raise ValueError(f"batches must have been in the fit ({', '.join(self.levels)}), got {', '.join(unknown)}")
        place = np.array([self.levels.index(batch) for batch in batches], dtype=np.intp)
        mean = self.grand_mean + _checked(covariates, len(place)) @ self.slopes
        shift, scale = self.shift[place], self.scale[place]
        if values.ndim == 3:
            mean, shift, scale = mean[:, None], shift[:, None], scale[:, None]
        standard = (values - mean) / self.spread
        return np.asarray((standard - shift) / np.sqrt(scale) * self.spread + mean)


def fit_combat(values: Floats, batches: Sequence[str], covariates: Floats | None = None) -> Combat:
    """Fit ComBat to finite values (n, p) of n patients in two or more batches of two or more patients each.

    `covariates` (n, q) are protected: what they explain is neither removed nor taken for a batch's doing. A feature
    that does not vary stays as it is. ValueError for one batch, a batch of one, or covariates that batches determine.
    """
    array = np.asarray(values, dtype=np.float64)
    levels, place = _levels(array, batches)
    protected = _checked(covariates, len(array))
    design = np.concatenate([np.eye(len(levels))[place], protected], axis=1)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise ValueError("covariates must not follow from the batches: what each does could not be told apart")
    betas = np.linalg.solve(design.T @ design, design.T @ array)
    counts = np.bincount(place)
    grand_mean = counts / len(array) @ betas[: len(levels)]
    variance = ((array - design @ betas) ** 2).mean(axis=0)
    varies = variance > 0
    spread = np.where(varies, np.sqrt(variance), 1.0)
    slopes = betas[len(levels) :]
    standard = (array - grand_mean - protected @ slopes) / spread
    shift, scale = _batch_effects(standard, place, varies)
    return Combat(levels, grand_mean, spread, slopes, shift, scale)


def _levels(values: Floats, batches: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    if values.ndim != 2 or len(batches) != len(values) or not np.isfinite(values).all():
        raise ValueError(
            f"values must be finite (patients, features) with a batch each, got {values.shape}, {len(batches)}"
        )
    levels = tuple(sorted(set(batches)))
    place = np.array([levels.index(batch) for batch in batches], dtype=np.intp)
    fewest = int(np.bincount(place).min()) if len(levels) else 0
    if len(levels) < 2 or fewest < FEWEST_IN_A_BATCH:
        raise ValueError(f"batches must be two or more of two or more patients, got {len(levels)}, smallest {fewest}")
    return levels, place


def _checked(covariates: Floats | None, n: int) -> Floats:
    """Covariates (n, q), q = 0 where there are none."""
    found = np.zeros((n, 0)) if covariates is None else np.asarray(covariates, dtype=np.float64)
    if found.ndim != 2 or len(found) != n or not np.isfinite(found).all():
        raise ValueError(f"covariates must be finite and of shape ({n}, q), got {found.shape}")
    return found


def _batch_effects(standard: Floats, place: NDArray[np.intp], varies: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Shift and scale (b, p) of every batch, shrunk towards what is usual there; 0 and 1 where nothing varies."""
    batches, width = int(place.max()) + 1, standard.shape[1]
    shift, scale = np.zeros((batches, width)), np.ones((batches, width))
    for batch in range(batches):
        own = standard[place == batch][:, varies]
        if own.shape[1]:
            shift[batch, varies], scale[batch, varies] = _shrunk(own)
    return shift, scale


def _shrunk(own: Floats) -> tuple[Floats, Floats]:
    """Posterior mean of location and variance (p,) of one batch's standardised values (n, p)."""
    n = len(own)
    mean, variance = own.mean(axis=0), own.var(axis=0, ddof=1)
    if own.shape[1] < 2 or np.ptp(variance) == 0:
        return mean, np.where(variance > 0, variance, 1.0)  # one feature: nothing to learn from the others
    usual, spread = mean.mean(), mean.var(ddof=1)
    centre, width = variance.mean(), variance.var(ddof=1)
    shape, rate = (2 * width + centre**2) / width, (centre * width + centre**3) / width
    shift, scale = mean.copy(), variance.copy()
    for _ in range(MOST_ITERATIONS):
        new_shift = (spread * n * mean + scale * usual) / (spread * n + scale)
        squares = ((own - new_shift) ** 2).sum(axis=0)
        new_scale = (0.5 * squares + rate) / (n / 2.0 + shape - 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):  # a shift of exactly 0: not yet converged
            change = max((np.abs(new_shift - shift) / shift).max(), (np.abs(new_scale - scale) / scale).max())
        shift, scale = new_shift, new_scale
        if change <= CONVERGED:
            break
    return shift, scale
