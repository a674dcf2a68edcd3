"""What the API of the analysis does not let anybody say: selection outside the resample, one patient on both sides."""

from __future__ import annotations

import dataclasses
import inspect
import pkgutil

import numpy as np
import pytest

import engine.analyse
from engine.analyse import arms, clinical_coding, filters, inner_choice, select
from engine.analyse.candidates import candidates
from engine.analyse.guard import Guard, LeakError, Training
from engine.analyse.imported import by_rater
from engine.analyse.inner_choice import patient_folds
from engine.analyse.resample import draw_patients, resample
from store.matrices import DesignTable
from tests.engine.analyse.cohorts import CHOICES, NO_COMBAT, RULES, make_table
from tests.engine.analyse.test_imported import imported

FITTED = (
    filters.admit, filters.fit_scaling, filters.known_values, select.select, select.select_region,
    arms.fit_arm, arms.fit_offset_arm, arms.fit_forest_arm, arms.fit_cox_arm, arms.shuffled,
    clinical_coding.fit_clinical, inner_choice.choose_scheme, inner_choice.inner_scores, inner_choice.patient_folds,
)  # fmt: skip


@pytest.fixture
def table() -> DesignTable:
    return make_table(np.random.default_rng(1), n=60)


@pytest.mark.parametrize("step", FITTED, ids=lambda step: step.__name__)
def test_a_fitted_step_takes_a_training_part_and_no_table(step):
    found = inspect.signature(step, eval_str=True).parameters.values()
    kinds = [parameter.annotation for parameter in found]
    assert Training in kinds
    assert DesignTable not in kinds


def test_every_function_named_after_fitting_is_in_that_list():
    names = {
        name
        for module in pkgutil.iter_modules(engine.analyse.__path__)
        for name, found in inspect.getmembers(__import__(f"engine.analyse.{module.name}", fromlist=["_"]))
        if inspect.isfunction(found) and found.__module__.startswith("engine.analyse") and name.startswith("fit_")
    }
    assert names <= {step.__name__ for step in FITTED}


def test_a_resample_takes_no_list_of_features():
    # a selection made beforehand has nowhere to go in; selection.signature is checked against its origin by the runner
    assert set(inspect.signature(resample).parameters) == {
        *("table", "sizes", "choices", "rules", "batch", "number", "rng"),
    }


def test_a_model_fitted_on_everybody_predicts_nobody(table):
    step = arms.arms_fitter(
        candidates(table, CHOICES, RULES, NO_COMBAT).sizes[0], CHOICES, RULES, np.random.default_rng(1)
    )
    fitted = Guard(table, ()).fit(table.case_ids, step)
    for arm in fitted.arms:
        with pytest.raises(LeakError, match="60 patients"):
            arm.predict(table)


def test_a_table_with_two_rows_of_a_patient_cannot_be_made(table):
    with pytest.raises(ValueError, match="each patient once"):
        dataclasses.replace(table, case_ids=(table.case_ids[1], *table.case_ids[1:]))
    with pytest.raises(ValueError, match="one row per patient"):
        by_rater(imported([("a", [1, 2]), ("a", [3, 4])]))


def test_the_copies_of_a_patient_lie_in_one_fold(table):
    drawn = draw_patients(table, np.random.default_rng(3))
    ids = [table.case_ids[row] for row in drawn]
    training = Guard(table, ()).fit(ids, lambda part: part)
    folds = patient_folds(training, 5, np.random.default_rng(4))
    assert folds.size == len(set(ids)) < len(ids)
    assert len(set(training.table.case_ids)) == folds.size
