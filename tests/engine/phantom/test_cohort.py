"""The planted truths of the cohort, found again in a large synthetic table without images."""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from scipy import stats

from engine.phantom.cohort import FIRST_COHORT_SEED, Patient, draw_cohort, heterogeneity_score, size_score
from engine.phantom.course import LOG_HR_HETEROGENEITY_SD, LOG_HR_STAGE_STEP, STAGES
from engine.phantom.readers import JUDGEMENTS, draw_verdicts
from engine.phantom.tables import CLINICAL_COLUMNS, IMAGE_COLUMNS, clinical_csv, images_csv, verdicts_csv


@pytest.fixture(scope="module")
def cohort() -> tuple[Patient, ...]:
    return draw_cohort(2000, seed=4)


@pytest.fixture(scope="module")
def cox(cohort: tuple[Patient, ...]) -> pd.DataFrame:
    rows = [
        {
            "days": p.course.recurrence_days or p.course.last_contact_days,
            "event": p.course.recurrence_days is not None,
            "stage": STAGES.index(p.true_stage),
            "heterogeneity": heterogeneity_score(p.tumour),
            "volume": size_score(p.tumour),
            "contrast": float(p.phantom.contrast),
            "sharp": float(p.phantom.kernel == "sharp"),
            "age": (p.baseline.age_years or 67) / 10,
            "male": float(p.baseline.sex == "male"),
        }
        for p in cohort
    ]
    fit = CoxPHFitter().fit(pd.DataFrame(rows), "days", "event")
    return fit.summary


def test_same_seed_gives_the_same_cohort_and_a_smaller_one_is_its_beginning() -> None:
    assert draw_cohort(20, 9) == draw_cohort(20, 9)
    assert draw_cohort(5, 9) == draw_cohort(20, 9)[:5]
    assert draw_cohort(5, 9) != draw_cohort(5, 10)


def test_default_cohort_has_153_patients_with_ids_and_seeds_of_their_own() -> None:
    cohort = draw_cohort()
    assert len(cohort) == len({p.patient_id for p in cohort}) == len({p.phantom.seed for p in cohort}) == 153
    assert min(p.phantom.seed for p in cohort) >= FIRST_COHORT_SEED
    assert cohort[0].patient_id == "PH-0001"


def test_cox_finds_the_planted_hazard_of_stage_and_texture(cox: pd.DataFrame) -> None:
    for term, planted in (("stage", LOG_HR_STAGE_STEP), ("heterogeneity", LOG_HR_HETEROGENEITY_SD)):
        assert abs(cox.loc[term, "coef"] - planted) < 3 * cox.loc[term, "se(coef)"]
        assert cox.loc[term, "p"] < 1e-6


@pytest.mark.parametrize("term", ["volume", "contrast", "sharp", "age", "male"])
def test_cox_finds_nothing_where_nothing_was_planted(cox: pd.DataFrame, term: str) -> None:
    assert abs(cox.loc[term, "coef"]) < 3 * cox.loc[term, "se(coef)"]


def test_volume_acts_through_stage(cohort: tuple[Patient, ...]) -> None:
    size = [p.tumour.diameter_mm for p in cohort]
    assert stats.spearmanr(size, [STAGES.index(p.true_stage) for p in cohort]).statistic > 0.35
    assert 0.08 < stats.spearmanr(size, [p.log_hazard for p in cohort]).statistic < 0.45


def test_difficulty_falls_with_size_rises_with_roughness_and_wall_and_ignores_contrast(
    cohort: tuple[Patient, ...],
) -> None:
    difficulty = [p.difficulty for p in cohort]
    assert stats.spearmanr(difficulty, [p.tumour.diameter_mm for p in cohort]).statistic < -0.4
    assert stats.spearmanr(difficulty, [p.tumour.roughness for p in cohort]).statistic > 0.3
    assert stats.spearmanr(difficulty, [p.tumour.kind == "costal" for p in cohort]).statistic > 0.15
    assert abs(stats.spearmanr(difficulty, [p.phantom.contrast for p in cohort]).statistic) < 0.07


def test_two_year_events_and_censoring_are_those_of_a_surgical_cohort(cohort: tuple[Patient, ...]) -> None:
    first = [min(d for d in (p.course.recurrence_days, p.course.death_days, 10**6) if d is not None) for p in cohort]
    contact = [p.course.last_contact_days for p in cohort]
    events = np.mean([d <= 730 for d in first])
    undetermined = np.mean([d > 730 and c < 730 for d, c in zip(first, contact, strict=True)])
    assert 0.33 < events < 0.41
    assert 0.05 < undetermined < 0.15


def test_courses_are_possible(cohort: tuple[Patient, ...]) -> None:
    for course in (p.course for p in cohort):
        assert 0 < course.last_imaging_days <= course.last_contact_days
        assert (course.death_days is None) == (course.cause_of_death == "")
        assert course.death_days in (None, course.last_contact_days)
        if course.recurrence_days is not None:
            assert 0 < course.recurrence_days <= course.last_imaging_days


def test_clinical_table_has_a_row_a_patient_prefixes_edition_and_some_empty_cells(cohort: tuple[Patient, ...]) -> None:
    rows = list(csv.DictReader(io.StringIO(clinical_csv(cohort))))
    assert tuple(rows[0]) == CLINICAL_COLUMNS
    assert len(rows) == 2000
    assert {r["stage"] for r in rows} == {*STAGES, ""}
    assert {(r["stage_prefix"], bool(r["stage"])) for r in rows} == {("c", True), ("", False)}
    assert {r["pathological_stage_prefix"] for r in rows} == {"p"}
    assert {r["tnm_edition"] for r in rows} == {"8"}
    for column in ("age_years", "smoking", "ecog", "histology"):
        assert 0 < sum(r[column] == "" for r in rows) < 200


def test_image_table_names_files_and_scanner_but_no_lungs(cohort: tuple[Patient, ...]) -> None:
    rows = list(csv.DictReader(io.StringIO(images_csv(cohort[:50]))))
    assert tuple(rows[0]) == IMAGE_COLUMNS
    assert rows[2]["reference"] == "PH-0003/tumour.nii.gz"
    assert {r["lungs"] for r in rows} == {""}
    assert {r["synthetic"] for r in rows} == {"yes"}
    assert {r["contrast"] for r in rows} <= {"yes", "no", ""}


def test_readers_correct_hard_tumours_more_and_longer(cohort: tuple[Patient, ...]) -> None:
    verdicts = draw_verdicts(cohort, 4)
    difficulty = {p.patient_id: p.difficulty for p in cohort}
    level = [JUDGEMENTS.index(v.judgement) for v in verdicts]
    assert set(level) == {0, 1, 2, 3}
    assert stats.spearmanr(level, [difficulty[v.patient_id] for v in verdicts]).statistic > 0.4
    assert stats.spearmanr(level, [v.seconds for v in verdicts]).statistic > 0.6
    assert all((v.reason == "") == (v.judgement == "none") for v in verdicts)


def test_both_readers_judge_the_same_part_of_the_patients(cohort: tuple[Patient, ...]) -> None:
    rows = list(csv.DictReader(io.StringIO(verdicts_csv(draw_verdicts(cohort, 4)))))
    by_reader = {
        reader: {r["patient_id"] for r in rows if r["reader"] == reader} for reader in ("reader-A", "reader-B")
    }
    assert by_reader["reader-A"] == by_reader["reader-B"]
    assert 0.4 < len(by_reader["reader-A"]) / 2000 < 0.5


def test_cohort_refuses_no_cases() -> None:
    with pytest.raises(ValueError, match="cases must be positive"):
        draw_cohort(0, 1)
