"""The planted clinical course: recurrence driven by stage and texture, other deaths by nothing, then censoring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

STAGES = ("2A", "2B", "3A", "3B")
STAGE_CUTS = (-0.75, 0.45, 1.45)  # of the latent extent (mean 0, sd about 1): shares about 22, 45, 25, 8 %
SIZE_WEIGHT = 0.55  # of the size score in the latent extent; the rest is independent (nodes)
LOG_HR_STAGE_STEP = 0.45
LOG_HR_HETEROGENEITY_SD = 0.50
RECURRENCE_PER_DAY = 0.00066  # in the patient whose linear predictor is 0
OTHER_DEATH_PER_DAY = 0.00006
DEATH_AFTER_RECURRENCE_PER_DAY = 1 / 430
MEAN_STAGE_STEP = 1.2
LOST_SHARE = 0.13
LOST_DAYS, FOLLOWED_DAYS = (60, 730), (740, 2300)
UNKNOWN_CAUSE_SHARE = 0.06


@dataclass(frozen=True, slots=True)
class Course:
    """What was recorded, in days from surgery; None when it did not happen (or was not seen)."""

    recurrence_days: int | None
    death_days: int | None
    cause_of_death: str  # cancer | other | unknown | "" when alive
    last_imaging_days: int
    last_contact_days: int


def stage_of(size_score: float, quantile: float) -> str:
    """A stage 2A to 3B from tumour size (score of sd 1) and an independent part, given as a quantile in 0..1."""
    latent = SIZE_WEIGHT * size_score + np.sqrt(1 - SIZE_WEIGHT**2) * float(ndtri(quantile))
    return STAGES[int(np.searchsorted(STAGE_CUTS, latent))]


def linear_predictor(stage: str, heterogeneity_score: float) -> float:
    """The planted log hazard of recurrence: stage steps and texture, nothing else."""
    return LOG_HR_STAGE_STEP * (STAGES.index(stage) - MEAN_STAGE_STEP) + LOG_HR_HETEROGENEITY_SD * heterogeneity_score


def draw_course(log_hazard: float, quantile: float, rng: np.random.Generator) -> Course:
    """The recorded course of a patient with a planted log hazard; `quantile` in 0..1 places the recurrence."""
    recurrence = 1 - float(np.log1p(-quantile)) / (RECURRENCE_PER_DAY * float(np.exp(log_hazard)))
    other_death = 1 + rng.exponential(1 / OTHER_DEATH_PER_DAY)
    cancer_death = recurrence + 20 + rng.exponential(1 / DEATH_AFTER_RECURRENCE_PER_DAY)
    window = LOST_DAYS if rng.random() < LOST_SHARE else FOLLOWED_DAYS
    end = float(rng.uniform(*window))
    return _recorded(recurrence, cancer_death, other_death, end, rng)


def _recorded(
    recurrence: float, cancer_death: float, other_death: float, end: float, rng: np.random.Generator
) -> Course:
    """What a hospital's table holds of a course that is followed until `end`, or until death."""
    death = min(cancer_death, other_death)
    contact = int(min(end, death))
    relapsed = int(recurrence) if recurrence < min(end, death) else None
    died = death <= end
    cause = "cancer" if cancer_death < other_death else "other"
    cause = "unknown" if rng.random() < UNKNOWN_CAUSE_SHARE else cause
    imaging = max(int(contact - rng.exponential(60)), relapsed or 0, 1)
    return Course(relapsed, contact if died else None, cause if died else "", min(imaging, contact), contact)
