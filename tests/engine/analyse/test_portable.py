import dataclasses

import numpy as np
import pytest

from engine.analyse.arms import arms_fitter
from engine.analyse.candidates import candidates
from engine.analyse.final import run_on_all
from engine.analyse.guard import Guard, rows_of
from engine.analyse.portable import portable_arm, refuse_training_patients, risk_elsewhere
from engine.portable_model import PortableModel, Setting, merged, read_model_text
from engine.protocol import Batch, Clinical, Covariates, FeatureGrid, Features, Outcome, Rois
from store.records import RefusedError
from tests.engine.analyse.cohorts import CHOICES, NO_COMBAT, RULES, make_table


@pytest.fixture(scope="module")
def parts():
    """Two thirds of a cohort to fit on, one third held out, with regions and gaps in age."""
    table = make_table(np.random.default_rng(1), n=150, signal=1.5)
    rois = tuple(np.resize(["intratumoural", "peritumoural", "whole_lung"], 12).tolist())
    numbers = table.clinical_numbers.copy()
    numbers[::7, 0] = np.nan
    table = dataclasses.replace(table, rois=rois, clinical_numbers=numbers)
    return rows_of(table, np.arange(100)), rows_of(table, np.arange(100, 150))


def fitted(table):
    size = candidates(table, CHOICES, RULES, NO_COMBAT).sizes[0]
    return Guard(table, ()).fit(table.case_ids, arms_fitter(size, CHOICES, RULES, np.random.default_rng(2)))


def finals_of(table, batch=NO_COMBAT):
    sizes = candidates(table, CHOICES, RULES, NO_COMBAT).sizes
    sections = (Outcome(), Clinical(), Covariates(), Features(), FeatureGrid(), Rois())
    return run_on_all(table, sizes, CHOICES, RULES, batch, *sections, np.random.default_rng(3))


@pytest.fixture(scope="module")
def model(parts):
    read = tuple(read_model_text(final.specification) for final in finals_of(parts[0]).models)
    return merged(read, "where it was made", {"combined": 0.7})


def test_every_arm_predicts_the_same_from_its_file(parts, model):
    training, held = parts
    setting, patients = model.setting, model.training
    for arm in fitted(training).arms:
        own = PortableModel(setting=setting, training=patients, arms=(portable_arm(arm, training, None),))
        back = read_model_text(own.model_dump_json())
        np.testing.assert_allclose(risk_elsewhere(back, back.arms[0], held), arm.predict(held), rtol=0, atol=1e-12)


def test_columns_are_found_by_name_wherever_they_stand(parts, model):
    held = parts[1]
    order = np.random.default_rng(4).permutation(12)
    turned = dataclasses.replace(
        held,
        values=held.values[:, order],
        statuses=held.statuses[:, order],
        **{n: tuple(getattr(held, n)[i] for i in order) for n in ("rois", "features")},
        clinical_names=held.clinical_names[::-1],
        clinical_kinds=held.clinical_kinds[::-1],
        clinical_numbers=held.clinical_numbers[:, ::-1],
        clinical_codes=held.clinical_codes[:, ::-1],
    )
    for arm in model.arms:
        np.testing.assert_allclose(risk_elsewhere(model, arm, turned), risk_elsewhere(model, arm, held), atol=1e-12)


def test_the_file_holds_every_arm_but_the_shuffled_control(model):
    names = {arm.model for arm in model.arms}
    assert {"clinical", "combined", "combined_offset", "forest_combined", "cox_combined", "peritumoural"} <= names
    assert "shuffled" not in names
    assert model.arms[[arm.model for arm in model.arms].index("combined")].out_of_bag_auc == 0.7


def test_its_own_patients_are_refused_by_id_and_under_another_name(parts, model):
    training, held = parts
    renamed = dataclasses.replace(training, case_ids=tuple(f"x{i}" for i in range(100)))
    mixed = dataclasses.replace(rows_of(training, np.arange(3)), case_ids=("p", "q", training.case_ids[2]))
    for table in (training, renamed, mixed):
        with pytest.raises(RefusedError, match="trained the model"):
            risk_elsewhere(model, model.arms[0], table)
    refuse_training_patients(model, held)


def test_a_study_without_the_columns_says_which(parts, model):
    held = parts[1]
    poor = dataclasses.replace(held, clinical_names=("age", "grade"))
    with pytest.raises(RefusedError, match="the covariate 'stage'"):
        risk_elsewhere(model, next(arm for arm in model.arms if arm.model == "clinical"), poor)


@pytest.mark.parametrize(
    ("before", "after", "law"),
    [('"kind":"logistic"', '"kind":"pickle"', "kind"), ('"format":', '"formal":', "formal"), ("{", "[", "JSON")],
)
def test_another_file_is_refused_by_field(model, before, after, law):
    with pytest.raises(RefusedError, match=law):
        read_model_text(model.model_dump_json().replace(before, after, 1))


def test_a_forest_whose_nodes_run_in_circles_is_refused(parts, model):
    arm = next(arm for arm in model.arms if arm.model == "forest_combined")
    circle = arm.learner.model_copy(update={"left": tuple(tuple(0 for _ in row) for row in arm.learner.left)})
    with pytest.raises(RefusedError, match="lead on"):
        risk_elsewhere(model, arm.model_copy(update={"learner": circle}), parts[1])


def test_an_apparent_auc_is_a_number_above_the_out_of_bag_one(parts):
    finals = {final.model: final.apparent_auc for final in finals_of(parts[0]).models}
    assert finals["forest_combined"] > 0.95
    assert finals["combined"] > finals["clinical"]


def test_a_combat_model_is_not_carried(parts):
    table = dataclasses.replace(parts[0], batches=tuple(np.resize(["a", "b"], 100).tolist()))
    found = finals_of(table, Batch(combat=True)).models
    assert found
    assert not any(final.specification for final in found)


def test_a_setting_says_what_the_model_was_made_for(model):
    assert model.setting == Setting(
        study="where it was made", endpoint="any-cause disease-free survival", definition="any-cause",
        horizon_days=730, time_zero="surgery", treatment="", moment_of_prediction="preoperative", recipe="imported",
    )  # fmt: skip
