"""The two intervals a sentence needs: of a share (Wilson) and of a mean (Student)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.stats import norm, t


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % confidence bounds; all NaN where there are no data."""

    estimate: float
    lower: float
    upper: float


UNKNOWN = Estimate(math.nan, math.nan, math.nan)
Z95 = float(norm.ppf(0.975))


def share_interval(count: int, n: int) -> Estimate:
    """A share count / n with Wilson's score interval (J Am Stat Assoc 1927;22:209); unknown for n = 0.

    ValueError unless 0 <= count <= n.
    """
    if not 0 <= count <= n:
        raise ValueError(f"count must lie in 0..n, got {count} of {n}")
    if n == 0:
        return UNKNOWN
    share, z2 = count / n, Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half))


def mean_interval(mean: float | None, sd: float | None, n: int) -> Estimate:
    """A mean with Student's interval from the sample standard deviation; bounds are NaN under two values."""
    if mean is None or n == 0:
        return UNKNOWN
    if sd is None or n < 2:
        return Estimate(mean, math.nan, math.nan)
    half = float(t.ppf(0.975, n - 1)) * sd / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half)
