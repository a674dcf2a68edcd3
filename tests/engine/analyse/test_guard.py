import dataclasses

import numpy as np
import pytest

from engine.analyse.guard import Guard, LeakError, Training, censoring_of, censoring_weights, rows_of
from tests.engine.analyse.cohorts import make_table


@pytest.fixture
def table():
    return make_table(np.random.default_rng(1), n=40, perturbed=10)


def test_a_test_patient_among_training_ids_raises(table):
    guard = Guard(table, table.case_ids[30:])
    with pytest.raises(LeakError, match="1 patients"):
        guard.fit([*table.case_ids[:30], table.case_ids[35]], lambda training: None)


def test_a_training_part_with_a_test_patient_cannot_be_built(table):
    with pytest.raises(LeakError):
        Training(table, np.ones(40, np.int64), np.ones(40), frozenset(table.case_ids[:1]))


def test_a_fitted_step_sees_training_rows_only(table):
    guard = Guard(table, table.case_ids[30:])
    seen = guard.fit(list(table.case_ids[:30]), lambda training: training)
    assert seen.table.case_ids == table.case_ids[:30]
    assert seen.table.values.shape[0] == 30
    assert max(seen.table.perturbed_rows) < 30


def test_an_id_given_twice_counts_twice(table):
    training = Guard(table, ()).fit([table.case_ids[0], table.case_ids[0], table.case_ids[1]], lambda t: t)
    assert training.draws.tolist() == [2, 1]


def test_an_unknown_id_is_refused(table):
    with pytest.raises(ValueError, match="design table"):
        Guard(table, ()).fit(["nobody"], lambda training: training)


def test_perturbed_patients_follow_their_rows(table):
    part = rows_of(table, np.array([2, 5, 20]))
    assert [part.case_ids[row] for row in part.perturbed_rows] == [table.case_ids[2], table.case_ids[5]]
    assert np.array_equal(part.perturbed_values, table.perturbed_values[[2, 5]])


def test_undetermined_patients_weigh_nothing_but_raise_the_others(table):
    weights = censoring_weights(table, censoring_of(table))
    assert (weights[table.label == -1] == 0).all()
    assert weights[table.label == 0].min() > 1
    # Inverse probability of censoring restores the size of the cohort (Graf 1999).
    assert weights.sum() == pytest.approx(40, rel=0.05)


def test_a_binary_outcome_without_times_weighs_one(table):
    untimed = dataclasses.replace(table, days=np.full(40, np.nan), event=np.full(40, -1, np.int8))
    weights = censoring_weights(untimed, censoring_of(untimed))
    assert np.array_equal(weights, (table.label != -1).astype(float))


def test_a_label_that_the_times_contradict_is_refused(table):
    label = table.label.copy()
    label[table.label == -1] = 0
    with pytest.raises(ValueError, match="censored"):
        censoring_weights(dataclasses.replace(table, label=label), censoring_of(table))
