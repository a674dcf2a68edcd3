"""The demonstration study on disk: images, tables, verdicts, planted truths and its protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from engine.geometry import to_image
from engine.phantom import course
from engine.phantom.case import Phantom
from engine.phantom.cohort import DIFFICULTY, Patient, draw_cohort
from engine.phantom.earlier import EARLIER_EVERY, make_earlier
from engine.phantom.readers import draw_verdicts
from engine.phantom.second_opinions import READER_EVERY, grown_region, second_reader
from engine.phantom.tables import clinical_csv, images_csv, verdicts_csv
from engine.phantom.thorax import make_phantom
from engine.protocol import (
    Clinical,
    CovariateColumn,
    Covariates,
    Eligibility,
    FeatureGrid,
    Images,
    Outcome,
    Perturb,
    Protocol,
    Segment,
    SelectionProtocol,
    Study,
    write_protocol,
)
from store.volumes import Grid

LUNG_TRUTH_CASES = 12
LUNG_TRUTH_LABELS = {"lung_left": 1, "lung_right": 2, "tumour in the left lung": 3, "tumour in the right lung": 4}
COMPRESSION_LEVEL = 1
NOTICE = (
    "Synthetic patients at reduced settings: 3 mm feature grid, perturbations on 10 patients, "
    "500 bootstraps of 40 trees."
)
Truth = dict[str, object]


@dataclass(frozen=True, slots=True)
class Making:
    """One patient to be made: its number from 1 and the folder of the study."""

    patient: Patient
    number: int
    directory: Path


Spread = Callable[[Callable[[Making], Truth], Iterable[Making]], Iterator[Truth]]


def build_demo(
    directory: Path, cases: int, seed: int, progress: Callable[[int, int], None], spread: Spread = map
) -> None:
    """Write the demonstration study into a folder; `progress` hears (done, cases) after each image.

    Holds images/ (images.csv, <id>/image.nii.gz, tumour.nii.gz, region_growing.nii.gz, of every third patient
    second_reader.nii.gz and of every 25th prior.nii.gz), clinical.csv, verdicts.csv, truth.json,
    truth/<id>_lungs.nii.gz of the first LUNG_TRUTH_CASES patients (LUNG_TRUTH_LABELS) and study.toml. The same seed
    gives the same bytes, however `spread` maps the patients over processes.
    """
    cohort = draw_cohort(cases, seed)
    (directory / "images").mkdir(parents=True, exist_ok=True)
    (directory / "truth").mkdir(exist_ok=True)
    _write_tables(directory, cohort, seed)
    write_protocol(directory, demo_protocol(seed))
    truths = []
    for truth in spread(make_patient, [Making(patient, n, directory) for n, patient in enumerate(cohort, start=1)]):
        truths.append(truth)
        progress(len(truths), cases)
    text = json.dumps({**planted_truths(seed), "cases": truths}, indent=1, sort_keys=True)
    (directory / "truth.json").write_text(text + "\n", encoding="utf-8")


def make_patient(making: Making) -> Truth:
    """Write the images of one patient; what was planned and achieved, for truth.json."""
    patient = making.patient
    phantom = make_phantom(patient.phantom)
    folder = making.directory / "images" / patient.patient_id
    _write_images(folder, phantom)
    if making.number % READER_EVERY == 0:
        _write(folder / "second_reader.nii.gz", second_reader(phantom), phantom.grid)
    if making.number % EARLIER_EVERY == 0:
        _write(folder / "prior.nii.gz", *make_earlier(patient.phantom))
    _write(folder / "region_growing.nii.gz", grown_region(phantom), phantom.grid)
    if making.number <= LUNG_TRUTH_CASES:
        place = making.directory / "truth" / f"{patient.patient_id}_lungs.nii.gz"
        _write(place, lung_truth(phantom), phantom.grid)
    return _case_truth(patient, phantom)


def demo_protocol(seed: int) -> Protocol:
    """The protocol of the demonstration study: defaults but for the reduced settings its notice names."""
    return Protocol(
        study=Study(name="Synthetic demo cohort", seed=seed, synthetic=True, public_ids=True, notice=NOTICE),
        images=Images(
            root="images", reference=("tumour",), readers=("second_reader",), predictions=("region_growing",)
        ),
        clinical=Clinical(files=("clinical.csv",), id=("patient_id",), time_zero="surgery"),
        outcome=Outcome(
            kind="columns",
            recurrence_days="recurrence_days",
            death_days="death_days",
            cause="cause_of_death",
            last_imaging_days="last_imaging_days",
            last_contact_days="last_contact_days",
        ),
        covariates=Covariates(columns=_covariates()),
        eligibility=Eligibility(scan_days="scan_days"),
        segment=Segment(model="demo"),
        grid=FeatureGrid(spacing_mm=3.0),
        perturb=Perturb(
            cases=10,
            rois=("intratumoural", "peritumoural", "whole_lung"),
            slices_mm=(5.0,),
            voxels_mm=(2.0,),
        ),
        selection=SelectionProtocol(resamples=500, trees=40),
    )


def _covariates() -> tuple[CovariateColumn, ...]:
    """What is known before surgery (histology from biopsy); the pathological stage is left out on purpose."""
    return (
        CovariateColumn(column="age_years", kind="number", unit="years"),
        CovariateColumn(column="sex"),
        CovariateColumn(column="smoking"),
        CovariateColumn(column="stage", kind="stage", tnm_edition="8", tnm_prefix="c"),
        CovariateColumn(column="ecog"),
        CovariateColumn(column="histology"),
    )


def planted_truths(seed: int) -> dict[str, object]:
    """What was planted in the cohort, for truth.json."""
    return {
        "seed": seed,
        "hazard": {
            "endpoint": "recurrence",
            "log_hazard_ratio": {
                "stage, a step from 2A to 3B": course.LOG_HR_STAGE_STEP,
                "tumour texture heterogeneity, an sd of its logarithm": course.LOG_HR_HETEROGENEITY_SD,
            },
            "through_stage_only": ["tumour volume"],
            "null": ["age_years", "sex", "smoking", "ecog", "histology", "surgery", "contrast", "convolution_kernel"],
            "recurrence_per_day": course.RECURRENCE_PER_DAY,
            "other_death_per_day": course.OTHER_DEATH_PER_DAY,
        },
        "segmentation": {
            "harder_weights": DIFFICULTY,
            "why_costal_is_harder": "tumour and chest-wall muscle differ by about 20 HU, tumour and lung by about 900",
            "null": ["contrast"],
            "why_contrast_is_null": "contrast raises tumour and muscle alike and brightens blood only",
        },
        "lung_labels": LUNG_TRUTH_LABELS,
    }


def lung_truth(phantom: Phantom) -> NDArray[np.uint8]:
    """Lungs without the tumour (1 left, 2 right) and the tumour's part (3 left, 4 right), array z, y, x.

    Labels 1 + 3 and 2 + 4 are the anatomical lungs; 1 and 2 alone lack a wall-adherent tumour.
    """
    labels = np.zeros(phantom.tumour.shape, dtype=np.uint8)
    pairs = (
        (phantom.lung_left, phantom.lung_left_without_tumour),
        (phantom.lung_right, phantom.lung_right_without_tumour),
    )
    for number, (whole, bare) in enumerate(pairs, start=1):
        labels[whole & ~bare] = number + 2
        labels[bare] = number
    return labels


def _case_truth(patient: Patient, phantom: Phantom) -> Truth:
    return {
        "patient_id": patient.patient_id,
        "kernel": patient.phantom.kernel,
        "contrast": patient.phantom.contrast,
        "noise_sd_hu": patient.phantom.noise_sd_hu,
        "planned": asdict(patient.tumour),
        "achieved": asdict(phantom.truth) if phantom.truth else None,
        "stage": patient.true_stage,
        "log_hazard": patient.log_hazard,
        "segmentation_difficulty": patient.difficulty,
    }


def _write_tables(directory: Path, cohort: tuple[Patient, ...], seed: int) -> None:
    (directory / "images" / "images.csv").write_text(images_csv(cohort), encoding="utf-8")
    (directory / "clinical.csv").write_text(clinical_csv(cohort), encoding="utf-8")
    (directory / "verdicts.csv").write_text(verdicts_csv(draw_verdicts(cohort, seed)), encoding="utf-8")


def _write_images(folder: Path, phantom: Phantom) -> None:
    folder.mkdir(exist_ok=True)
    _write(folder / "image.nii.gz", phantom.intensity_hu, phantom.grid)
    _write(folder / "tumour.nii.gz", phantom.tumour, phantom.grid)


def _write(path: Path, array: NDArray[np.generic], grid: Grid) -> None:
    """A gzipped NIfTI file without a time stamp."""
    sitk.WriteImage(to_image(array, grid), str(path), True, COMPRESSION_LEVEL)
