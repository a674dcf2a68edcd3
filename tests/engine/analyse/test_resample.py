import dataclasses

import numpy as np
import pytest

from engine.analyse.candidates import candidates
from engine.analyse.resample import draw_patients
from engine.protocol import Batch
from store.records import MODELS, REGION_ARMS
from tests.engine.analyse.cohorts import CHOICES, RULES, make_table, mean_auc, one_resample, run_resamples

QUICK = CHOICES.model_copy(update={"resamples": 6, "trees": 10})


def test_permuted_outcomes_give_no_discrimination():
    # notes/statistics.md section 6: selection inside resampling 0.51, outside 0.84; the house asks 0.40-0.60.
    found = []
    for repeat in range(20):
        rng = np.random.default_rng([3, repeat])
        table = make_table(rng, n=70, p=60, signal=2.0)
        order = rng.permutation(70)
        permuted = dataclasses.replace(
            table, days=table.days[order], event=table.event[order], label=table.label[order]
        )
        found.append(mean_auc(run_resamples(permuted, repeat, QUICK), "combined"))
    assert 0.4 < np.mean(found) < 0.6


def test_a_planted_signal_is_found_and_the_shuffled_control_is_not():
    table = make_table(np.random.default_rng(5), n=120, signal=1.5)
    found = run_resamples(table, 5)
    kept = [row.feature for one in found for row in one.selections if row.kept]
    assert kept.count("feature0") >= 19
    assert mean_auc(found, "combined") > 0.75
    assert 0.35 < mean_auc(found, "shuffled") < 0.65


def test_the_same_number_gives_the_same_bits():
    table = make_table(np.random.default_rng(6), perturbed=12)
    sizes = candidates(table, CHOICES, RULES, Batch()).sizes
    assert one_resample(table, sizes, 1, 3) == one_resample(table, sizes, 1, 3)
    assert one_resample(table, sizes, 1, 3) != one_resample(table, sizes, 1, 4)


def test_no_patient_is_predicted_by_a_model_that_saw_him():
    table = make_table(np.random.default_rng(7))
    drawn = draw_patients(table, np.random.default_rng([1, 0]))
    one = one_resample(table, candidates(table, CHOICES, RULES, Batch()).sizes, 1, 0)
    predicted = {row.case_id for row in one.out_of_bag}
    assert predicted == set(table.case_ids) - {table.case_ids[row] for row in drawn}
    assert {row.model for row in one.out_of_bag} == set(MODELS) - {
        *REGION_ARMS,
        "forest_clinical",
        "cox_clinical",
        "deep",
        "clinical_deep",
    }  # one region, a volume, and no embeddings


def three_regions(table):
    rois = np.resize(["intratumoural", "peritumoural", "whole_lung"], len(table.features))
    return dataclasses.replace(table, rois=tuple(rois.tolist()))


@pytest.mark.parametrize("eliminated", [False, True])
def test_a_region_alone_sees_its_own_columns_only(eliminated):
    table = three_regions(make_table(np.random.default_rng(12), n=120, signal=1.5))  # feature 0 is intratumoural
    choices = CHOICES.model_copy(update={"region_elimination": eliminated, "resamples": 10})
    found = run_resamples(table, 12, choices)
    assert mean_auc(found, "intratumoural") > 0.7
    assert 0.35 < mean_auc(found, "peritumoural") < 0.65


def test_every_learner_finds_a_planted_signal_and_adds_it_to_the_clinical_block():
    found = run_resamples(make_table(np.random.default_rng(5), n=120, signal=1.5), 5)
    for model in ("combined_offset", "forest_combined", "cox_combined"):
        assert mean_auc(found, model) > 0.7, model
    for model in ("forest_clinical_volume", "cox_clinical_volume"):
        assert mean_auc(found, model) < 0.65, model


def test_competing_deaths_and_binary_outcomes_have_no_cox_arm():
    table = make_table(np.random.default_rng(13))
    event = np.where((table.event == 1) & (np.arange(90) % 3 == 0), 2, table.event).astype(np.int8)
    label = np.where((event == 2) & (table.label == 1), 0, table.label).astype(np.int8)
    binary = dataclasses.replace(table, days=np.full(90, np.nan), event=np.full(90, -1, np.int8))
    for one in (dataclasses.replace(table, event=event, label=label), binary):
        size = candidates(one, CHOICES, RULES, Batch()).sizes
        assert not [row for row in one_resample(one, size, 1, 0).performance if row.model.startswith("cox")]


def test_a_model_does_better_where_it_was_fitted():
    found = run_resamples(make_table(np.random.default_rng(14), n=90, p=40), 14)
    rows = [row for one in found for row in one.performance if row.model == "forest_combined"]
    training, whole, outside = (np.mean([getattr(r, f) for r in rows]) for f in ("training_auc", "whole_auc", "auc"))
    assert training > whole > outside


def test_the_bootstrap_keeps_the_number_of_events():
    table = make_table(np.random.default_rng(8))
    drawn = draw_patients(table, np.random.default_rng(0))
    assert [(table.label[drawn] == k).sum() for k in (1, 0, -1)] == [(table.label == k).sum() for k in (1, 0, -1)]


def test_a_missing_value_of_a_test_patient_does_not_spoil_his_prediction():
    table = make_table(np.random.default_rng(9), signal=2.0)
    drawn = draw_patients(table, np.random.default_rng([1, 0]))
    outside = np.setdiff1d(np.arange(len(table.case_ids)), drawn)
    values = table.values.copy()
    values[outside[0], 0] = np.nan
    one = one_resample(
        dataclasses.replace(table, values=values), candidates(table, CHOICES, RULES, Batch()).sizes, 1, 0
    )
    assert np.isfinite([row.probability for row in one.out_of_bag]).all()


def test_without_a_volume_its_arms_are_left_out():
    table = dataclasses.replace(make_table(np.random.default_rng(10)), volume_ml=np.full(90, np.nan))
    one = one_resample(table, candidates(table, CHOICES, RULES, Batch()).sizes, 1, 0)
    models = {row.model for row in one.performance}
    assert not [model for model in models if "volume" in model]
    assert {"forest_clinical", "cox_clinical"} <= models


def test_without_an_admitted_feature_the_combined_arm_is_the_clinical_arm():
    table = dataclasses.replace(make_table(np.random.default_rng(11)), values=np.ones((90, 12)))
    one = one_resample(table, candidates(table, CHOICES, RULES, Batch()).sizes, 1, 0)
    auc = {row.model: row.auc for row in one.performance}
    assert one.selections == ()
    assert auc["combined"] == pytest.approx(auc["clinical"])
    assert auc["radiomic"] == 0.5
