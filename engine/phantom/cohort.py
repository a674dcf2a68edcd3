"""The synthetic cohort: patients with tumours, a clinical course and planted truths, drawn from one seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri

from engine.phantom.case import KERNELS, SMALLEST_DIAMETER_MM, PhantomCase, TumourPlan
from engine.phantom.course import Course, draw_course, linear_predictor, stage_of
from engine.phantom.sampling import (
    LARGEST_BY_KIND_MM,
    NOISE_SD_HU,
    draw_tumour,
)

DEFAULT_CASES = 153
FIRST_COHORT_SEED = 2**32  # phantom seeds of a cohort start here: training uses smaller ones, so no case is in both
SHARP_SHARE, CONTRAST_SHARE = 0.42, 0.60
VENDORS = {
    "SIEMENS": {"sharp": "B60f", "soft": "B31f"},
    "GE MEDICAL SYSTEMS": {"sharp": "LUNG", "soft": "STANDARD"},
    "TOSHIBA": {"sharp": "FC51", "soft": "FC08"},
}
VENDOR_SHARES = (0.45, 0.35, 0.20)
UNKNOWN_CONTRAST_SHARE = 0.04
DIAMETER_MEDIAN_MM, DIAMETER_LOG_SD = 33.0, 0.50
HETEROGENEITY_MEDIAN_HU, HETEROGENEITY_LOG_SD = 34.0, 0.75
HETEROGENEITY_LIMITS_HU = (5.0, 110.0)
GOLDEN_RATIO_OF_THREE = 1.2207440846057596
DIFFICULTY = {"small_diameter": 0.9, "roughness": 0.6, "costal_contact": 0.8}


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a hospital knows of a patient before surgery; None where the cell is empty."""

    age_years: int | None
    sex: str
    smoking: str | None
    stage: str | None
    pathological_stage: str
    histology: str | None
    ecog: int | None
    surgery: str


@dataclass(frozen=True, slots=True)
class Scanner:
    """What is known of the scan; contrast is empty where nobody wrote it down."""

    manufacturer: str
    convolution_kernel: str
    contrast: str
    kvp: int
    slice_thickness_mm: float
    scan_days: int


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient of the cohort: the phantom to be made, the tables, and the truths planted in them.

    log_hazard is the planted linear predictor of recurrence (0 in the average patient); difficulty is the planted
    score of how hard the tumour is to segment (higher is harder; contrast does not enter it).
    """

    patient_id: str
    phantom: PhantomCase
    tumour: TumourPlan
    scanner: Scanner
    baseline: Baseline
    course: Course
    true_stage: str
    log_hazard: float
    difficulty: float


def draw_cohort(cases: int = DEFAULT_CASES, seed: int = 1) -> tuple[Patient, ...]:
    """A cohort of patients, each from a stream of its own: the first n of a larger cohort are the cohort of n."""
    if cases < 1 or seed < 0:
        raise ValueError(f"cases must be positive and seed not negative, got {cases} and {seed}")
    return tuple(_draw_patient(number, seed) for number in range(1, cases + 1))


def balanced_quantiles(number: int, seed: int) -> tuple[float, float, float]:
    """Three quantiles in (0, 1) of a patient (texture, stage, recurrence), spread evenly over any run of patients.

    A Kronecker sequence with the generalised golden ratio (root of g^4 = g + 1) and an offset from the seed: a demo of
    60 patients then has nearly the event share and the effects that were planted, which independent draws often miss.
    """
    offsets = np.random.default_rng([seed, 0]).random(3)
    place = np.mod(offsets + number / GOLDEN_RATIO_OF_THREE ** np.arange(1, 4), 1.0)
    first, second, third = np.clip(place, 1e-6, 1 - 1e-6)
    return float(first), float(second), float(third)


def heterogeneity_score(tumour: TumourPlan) -> float:
    """Logarithm of the planted texture sd, standardised over the distribution it is drawn from."""
    return float(np.log(tumour.heterogeneity_hu / HETEROGENEITY_MEDIAN_HU)) / HETEROGENEITY_LOG_SD


def size_score(tumour: TumourPlan) -> float:
    """Logarithm of the planted diameter, standardised over the distribution it is drawn from."""
    return float(np.log(tumour.diameter_mm / DIAMETER_MEDIAN_MM)) / DIAMETER_LOG_SD


def difficulty_of(tumour: TumourPlan) -> float:
    """The planted difficulty of segmentation: small, rough and costal are harder; nothing else enters."""
    return (
        -DIFFICULTY["small_diameter"] * size_score(tumour)
        + DIFFICULTY["roughness"] * (tumour.roughness - 0.125) / 0.08
        + DIFFICULTY["costal_contact"] * float(tumour.kind == "costal")
    )


def _draw_patient(number: int, seed: int) -> Patient:
    rng = np.random.default_rng([seed, number])
    kernel = str(KERNELS[0] if rng.random() < SHARP_SHARE else KERNELS[1])
    contrast = bool(rng.random() < CONTRAST_SHARE)
    quantiles = balanced_quantiles(number, seed)
    tumour = draw_cohort_tumour(rng, contrast, quantiles[0])
    phantom_seed = FIRST_COHORT_SEED + int(rng.integers(2**32))
    phantom = PhantomCase(phantom_seed, kernel, float(rng.uniform(*NOISE_SD_HU[kernel])), contrast, tumour)
    stage = stage_of(size_score(tumour), quantiles[1])
    log_hazard = linear_predictor(stage, heterogeneity_score(tumour))
    return Patient(
        patient_id=f"PH-{number:04d}",
        phantom=phantom,
        tumour=tumour,
        scanner=_draw_scanner(kernel, contrast, rng),
        baseline=_draw_baseline(stage, rng),
        course=draw_course(log_hazard, quantiles[2], rng),
        true_stage=stage,
        log_hazard=log_hazard,
        difficulty=difficulty_of(tumour),
    )


def draw_cohort_tumour(rng: np.random.Generator, contrast: bool, quantile: float) -> TumourPlan:
    """A tumour as in training, but of the sizes of stage 2A to 3B and with textures spread wider."""
    tumour = draw_tumour(rng, contrast)
    diameter = draw_diameter_mm(rng, LARGEST_BY_KIND_MM[tumour.kind])
    sd_hu = HETEROGENEITY_MEDIAN_HU * float(np.exp(HETEROGENEITY_LOG_SD * ndtri(quantile)))
    sd_hu = float(np.clip(sd_hu, *HETEROGENEITY_LIMITS_HU))
    return replace(tumour, diameter_mm=diameter, heterogeneity_hu=sd_hu)


def draw_diameter_mm(rng: np.random.Generator, largest_mm: float) -> float:
    """A longest diameter from the log-normal distribution cut off (not piled up) at 6 mm and at `largest_mm`."""
    ends = np.log(np.array([SMALLEST_DIAMETER_MM, largest_mm]) / DIAMETER_MEDIAN_MM) / DIAMETER_LOG_SD
    low, high = ndtr(ends)
    return float(DIAMETER_MEDIAN_MM * np.exp(DIAMETER_LOG_SD * ndtri(rng.uniform(low, high))))


def _draw_scanner(kernel: str, contrast: bool, rng: np.random.Generator) -> Scanner:
    vendor = str(rng.choice(tuple(VENDORS), p=VENDOR_SHARES))
    written = "yes" if contrast else "no"
    return Scanner(
        manufacturer=vendor,
        convolution_kernel=VENDORS[vendor][kernel],
        contrast="" if rng.random() < UNKNOWN_CONTRAST_SHARE else written,
        kvp=int(rng.choice((100, 120, 140), p=(0.2, 0.7, 0.1))),
        slice_thickness_mm=3.0,
        scan_days=-int(rng.integers(3, 46)),
    )


def _draw_baseline(stage: str, rng: np.random.Generator) -> Baseline:
    """Covariates without any effect on the course, with the empty cells of a real table."""
    age = int(np.clip(round(rng.normal(67, 8.5)), 38, 88))
    smoking = str(rng.choice(("never", "former", "current"), p=(0.12, 0.55, 0.33)))
    histology = str(rng.choice(("adenocarcinoma", "squamous cell carcinoma", "other"), p=(0.57, 0.34, 0.09)))
    ecog = int(rng.choice((0, 1, 2), p=(0.55, 0.38, 0.07)))
    surgery = str(
        rng.choice(("lobectomy", "bilobectomy", "pneumonectomy", "segmentectomy"), p=(0.76, 0.07, 0.13, 0.04))
    )
    empty = rng.random(5)
    return Baseline(
        age_years=None if empty[0] < 0.01 else age,
        sex=str(rng.choice(("female", "male"), p=(0.41, 0.59))),
        smoking=None if empty[1] < 0.04 else smoking,
        stage=None if empty[2] < 0.015 else stage,
        pathological_stage=restaged(stage, rng),
        histology=None if empty[3] < 0.01 else histology,
        ecog=None if empty[4] < 0.05 else ecog,
        surgery=surgery,
    )


def restaged(stage: str, rng: np.random.Generator) -> str:
    """The pathological stage: the clinical one, or one step off in about a quarter."""
    stages = ("2A", "2B", "3A", "3B")
    step = int(rng.choice((-1, 0, 1), p=(0.10, 0.74, 0.16)))
    return stages[int(np.clip(stages.index(stage) + step, 0, len(stages) - 1))]
