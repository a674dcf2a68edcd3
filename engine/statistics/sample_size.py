"""Sample size for a prediction model of a binary outcome."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log

Z_95 = 1.96


@dataclass(frozen=True, slots=True)
class RileySampleSize:
    """Patients needed by each of Riley's three criteria, and the largest, rounded up."""

    shrinkage: float
    optimism: float
    prevalence: float
    needed: int


def riley(
    parameters: int,
    prevalence: float,
    cox_snell: float,
    shrinkage: float = 0.9,
    optimism: float = 0.05,
    margin: float = 0.05,
) -> RileySampleSize:
    """Return the patients needed to develop a model with `parameters` candidate parameters.

    Criteria: global shrinkage of at least `shrinkage`; optimism of at most `optimism` in Nagelkerke's R squared;
    prevalence known to +-`margin`. `cox_snell` is the expected Cox-Snell R squared, below its maximum at this
    prevalence. Source: Riley et al. 2019, doi 10.1002/sim.7992; 2020, doi 10.1136/bmj.m441.
    """
    if parameters < 1:
        raise ValueError(f"parameters must be at least 1, got {parameters}")
    limit = max_cox_snell(prevalence)
    if not 0 < cox_snell < limit:
        raise ValueError(f"cox_snell must lie between 0 and its maximum {limit:.3f}, got {cox_snell}")
    slope = cox_snell / (cox_snell + optimism * limit)
    first = parameters / ((shrinkage - 1) * log(1 - cox_snell / shrinkage))
    second = parameters / ((slope - 1) * log(1 - cox_snell / slope))
    third = (Z_95 / margin) ** 2 * prevalence * (1 - prevalence)
    return RileySampleSize(first, second, third, ceil(max(first, second, third)))


def max_cox_snell(prevalence: float) -> float:
    """Return the largest Cox-Snell R squared possible at a prevalence in (0, 1): 1 - exp(2 * mean log likelihood)."""
    if not 0 < prevalence < 1:
        raise ValueError(f"prevalence must lie between 0 and 1, got {prevalence}")
    likelihood: float = (prevalence**prevalence * (1 - prevalence) ** (1 - prevalence)) ** 2
    return 1 - likelihood


def cox_snell_from_nagelkerke(nagelkerke: float, prevalence: float) -> float:
    """Return the Cox-Snell R squared that belongs to Nagelkerke's R squared in (0, 1) at this prevalence."""
    return nagelkerke * max_cox_snell(prevalence)
