"""DeLong's test on apparent predictions cannot be reached: not by a page, a command, or a function of the analysis."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from engine.analyse import arms, comparison, predictions
from engine.analyse.candidates import candidates
from engine.analyse.external import validate
from engine.analyse.guard import Guard, LeakError
from engine.protocol import Clinical, Covariates, FeatureGrid, Features, Outcome, Plan, Rois
from store import records
from store.records import CarriedModel, RefusedError
from tests.engine.analyse.cohorts import CHOICES, NO_COMBAT, RULES, make_table, one_resample
from tests.engine.analyse.test_portable import finals_of

HOUSE = Path(__file__).parents[3]
REACHES = {
    "engine/analyse/comparison.py",  # on means of out-of-bag predictions
    "engine/analyse/external.py",  # on patients who did not train the model
    "engine/analyse/doubt.py",  # an interval of one AUC, of segmentation misses, each case left out in turn
    "engine/commands/statistics.py",  # on somebody's table
}


def imports_delong(path: Path) -> bool:
    tree = ast.parse(path.read_text())
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    return "engine.statistics.delong" in modules


def test_four_files_alone_reach_delong():
    files = [*HOUSE.glob("engine/**/*.py"), *HOUSE.glob("pages/**/*.py"), *HOUSE.glob("store/**/*.py")]
    assert {str(path.relative_to(HOUSE)) for path in files if imports_delong(path)} == REACHES


@pytest.fixture(scope="module")
def table():
    return make_table(np.random.default_rng(1), n=80, signal=1.0)


def test_the_comparison_takes_predictions_that_out_of_bag_rows_alone_can_make(table):
    hints = comparison.compare.__annotations__
    assert hints["means"] == "MeanPredictions"
    assert predictions.mean_predictions.__annotations__["out_of_bag"] == "Resamples[OutOfBag]"
    one = one_resample(table, candidates(table, CHOICES, RULES, NO_COMBAT).sizes, 1, 0)
    drawn = set(table.case_ids) - {row.case_id for row in one.out_of_bag}
    assert len(drawn) > 40


def test_no_fitted_arm_predicts_anybody_it_was_fitted_on(table):
    size = candidates(table, CHOICES, RULES, NO_COMBAT).sizes[0]
    for fitter in (arms.arms_fitter, arms.headline_fitter):
        fitted = Guard(table, ()).fit(table.case_ids, fitter(size, CHOICES, RULES, np.random.default_rng(1)))
        for arm in fitted.arms:
            with pytest.raises(LeakError):
                arm.predict(table)
            assert isinstance(arm.training_auc, float)


def test_what_is_stored_of_models_fitted_on_all_are_numbers_and_no_predictions():
    kinds = {field.name: field.type for field in dataclasses.fields(records.FinalModel)}
    assert kinds == {"model": "str", "apparent_auc": "float", "features": "int", "specification": "str"}


def test_a_model_tested_on_its_own_patients_is_refused_before_anything_is_computed(table):
    for final in finals_of(table).models:
        carried = (CarriedModel("A", 80, 30, final.model, final.specification),)
        with pytest.raises(RefusedError, match="trained the model"):
            validate(table, carried, Outcome(), Clinical(), Covariates(), Features(), FeatureGrid(), Rois(), Plan())
