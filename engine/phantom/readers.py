"""Two simulated readers judging automatic masks by the planted difficulty: a rule with noise, no image is looked at.

Their verdicts are signed before any mask is segmented, so they name no mask (an empty mask_key): pages show them, and
they never make an automatic mask count as `reviewed`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.phantom.case import TumourPlan
from engine.phantom.cohort import Patient

READERS = {"reader-A": 0.0, "reader-B": 0.35}  # how much stricter each is, in units of difficulty
READER_STREAM = 7919
JUDGED_SHARE = 0.45
JUDGEMENTS = ("none", "minor", "major", "missed")
JUDGEMENT_CUTS = (1.0, 2.4, 3.1)
SECONDS = {"none": 14.0, "minor": 75.0, "major": 210.0, "missed": 260.0}


@dataclass(frozen=True, slots=True)
class SimulatedVerdict:
    """One reader's judgement of one patient's automatic tumour mask."""

    patient_id: str
    reader: str
    judgement: str
    reason: str
    seconds: float


def draw_verdicts(cohort: tuple[Patient, ...], seed: int) -> tuple[SimulatedVerdict, ...]:
    """Both readers' verdicts on a random subset of patients; harder tumours need more correction."""
    verdicts: list[SimulatedVerdict] = []
    for number, patient in enumerate(cohort, start=1):
        rng = np.random.default_rng([seed, number, READER_STREAM])
        if rng.random() < JUDGED_SHARE:
            impression = patient.difficulty + 0.5 * float(rng.standard_normal())
            verdicts.extend(_judge(patient, reader, impression, rng) for reader in READERS)
    return tuple(verdicts)


def _judge(patient: Patient, reader: str, impression: float, rng: np.random.Generator) -> SimulatedVerdict:
    latent = impression + READERS[reader] + 0.5 * float(rng.standard_normal())
    judgement = JUDGEMENTS[int(np.searchsorted(JUDGEMENT_CUTS, latent))]
    seconds = SECONDS[judgement] * float(rng.lognormal(0, 0.35))
    return SimulatedVerdict(
        patient.patient_id, reader, judgement, _reason(judgement, patient.tumour), round(seconds, 1)
    )


def _reason(judgement: str, tumour: TumourPlan) -> str:
    if judgement == "none":
        return ""
    if judgement == "missed":
        return "tumour not found"
    if tumour.kind == "costal":
        return "boundary at the chest wall"
    if tumour.kind == "hilar":
        return "boundary at the hilum"
    return "irregular margin" if tumour.roughness > 0.12 else "vessel included"
