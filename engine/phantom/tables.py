"""The cohort's tables as a hospital exports them, as CSV text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from engine.phantom.cohort import Patient
from engine.phantom.earlier import EARLIER_EVERY, earlier_of
from engine.phantom.readers import SimulatedVerdict
from engine.phantom.second_opinions import READER_EVERY

Cell = str | int | float | None
CLINICAL_COLUMNS = (
    "patient_id",
    "age_years",
    "sex",
    "smoking",
    "stage",
    "stage_prefix",
    "pathological_stage",
    "pathological_stage_prefix",
    "tnm_edition",
    "histology",
    "ecog",
    "surgery",
    "recurrence_days",
    "death_days",
    "cause_of_death",
    "last_imaging_days",
    "last_contact_days",
    "scan_days",
)
IMAGE_COLUMNS = (
    "case_id",
    "image",
    "reference",
    "lungs",
    "anatomy",
    "convolution_kernel",
    "contrast",
    "manufacturer",
    "slice_thickness_mm",
    "kvp",
    "scan_days",
    "synthetic",
    "second_reader",
    "region_growing",
    "prior",
    "prior_days",
)
VERDICT_COLUMNS = ("patient_id", "reader", "judgement", "reason", "seconds")
TNM_EDITION = 8


def clinical_csv(cohort: Iterable[Patient]) -> str:
    """One row a patient (CLINICAL_COLUMNS): clinical stage with prefix c, pathological with p, empty where unknown."""
    return _csv(CLINICAL_COLUMNS, (_clinical_row(patient) for patient in cohort))


def images_csv(cohort: Iterable[Patient]) -> str:
    """One row an image (IMAGE_COLUMNS), paths relative to the table; lungs are not given."""
    return _csv(IMAGE_COLUMNS, (_image_row(patient, place) for place, patient in enumerate(cohort, start=1)))


def verdicts_csv(verdicts: Iterable[SimulatedVerdict]) -> str:
    """One row a verdict (VERDICT_COLUMNS)."""
    rows = ((v.patient_id, v.reader, v.judgement, v.reason, v.seconds) for v in verdicts)
    return _csv(VERDICT_COLUMNS, rows)


def _clinical_row(patient: Patient) -> Sequence[Cell]:
    known, course = patient.baseline, patient.course
    return (
        patient.patient_id,
        known.age_years,
        known.sex,
        known.smoking,
        known.stage,
        "c" if known.stage else None,
        known.pathological_stage,
        "p",
        TNM_EDITION,
        known.histology,
        known.ecog,
        known.surgery,
        course.recurrence_days,
        course.death_days,
        course.cause_of_death,
        course.last_imaging_days,
        course.last_contact_days,
        patient.scanner.scan_days,
    )


def _image_row(patient: Patient, place: int) -> Sequence[Cell]:
    scan, folder = patient.scanner, patient.patient_id
    scanned_before = place % EARLIER_EVERY == 0
    return (
        folder,
        f"{folder}/image.nii.gz",
        f"{folder}/tumour.nii.gz",
        "",
        "",
        scan.convolution_kernel,
        scan.contrast,
        scan.manufacturer,
        scan.slice_thickness_mm,
        scan.kvp,
        scan.scan_days,
        "yes",
        f"{folder}/second_reader.nii.gz" if place % READER_EVERY == 0 else "",
        f"{folder}/region_growing.nii.gz",
        f"{folder}/prior.nii.gz" if scanned_before else "",
        earlier_of(patient.phantom).days_before if scanned_before else "",
    )


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return text.getvalue()
