"""A pair of confidence bounds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """Lower and upper bound of a confidence interval."""

    lower: float
    upper: float
