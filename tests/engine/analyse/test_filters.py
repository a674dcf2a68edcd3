import dataclasses

import numpy as np

from engine.analyse.filters import admit, fit_scaling
from engine.analyse.guard import Guard
from store.records import STATUSES
from tests.engine.analyse.cohorts import CHOICES, RULES, make_table


def training_of(table):
    return Guard(table, ()).fit(list(table.case_ids), lambda training: training)


def admitted(table, choices=CHOICES):
    return set(admit(training_of(table), choices, RULES).columns.tolist())


def test_a_planted_irreproducible_feature_is_dropped():
    table = make_table(np.random.default_rng(1), perturbed=15, noisy=(3,))
    assert admitted(table) == set(range(12)) - {3}


def test_without_the_filter_it_stays():
    table = make_table(np.random.default_rng(1), perturbed=15, noisy=(3,))
    found = admit(training_of(table), CHOICES.model_copy(update={"icc_filter": False}), RULES)
    assert 3 in found.columns
    assert not found.icc_filtered


def test_a_feature_never_perturbed_is_not_reproducible():
    table = make_table(np.random.default_rng(2), perturbed=15)
    repeats = table.perturbed_values.copy()
    repeats[:, 1:, 7] = np.nan
    assert 7 not in admitted(dataclasses.replace(table, perturbed_values=repeats))


def test_a_region_is_not_asked_for_the_perturbations_of_another():
    table = make_table(np.random.default_rng(2), perturbed=15, noisy=(3,))
    own = table.perturbed_values
    lung, other = np.full((2, *own.shape), np.nan)
    lung[:, :, :6], other[:, :, 6:] = own[:, :, :6], own[:, :, 6:]
    repeats = np.concatenate([own[:, :1], lung[:, 1:], other[:, 1:]], axis=1)
    families = (*table.perturbed_families, *table.perturbed_families[1:])
    rois = ("whole_lung",) * 6 + ("intratumoural",) * 6
    changes = {"perturbed_values": repeats, "perturbed_families": families, "rois": rois}
    assert admitted(dataclasses.replace(table, **changes)) == admitted(table) == set(range(12)) - {3}


def test_a_declared_family_that_a_region_was_never_tested_in_is_failed():
    table = make_table(np.random.default_rng(2), perturbed=15)
    repeats = np.concatenate([table.perturbed_values, table.perturbed_values[:, 1:2]], axis=1)
    repeats[:, -1, :6] = np.nan
    families, rois = (*table.perturbed_families, "fixed"), ("whole_lung",) * 6 + ("intratumoural",) * 6
    changes = {"perturbed_values": repeats, "perturbed_families": families, "rois": rois}
    assert admitted(dataclasses.replace(table, **changes)) == set(range(6, 12))


def test_with_two_perturbed_patients_the_filter_says_that_it_is_off():
    found = admit(training_of(make_table(np.random.default_rng(3), perturbed=2, noisy=(3,))), CHOICES, RULES)
    assert not found.icc_filtered
    assert 3 in found.columns


def test_a_feature_missing_in_one_training_patient_is_dropped():
    table = make_table(np.random.default_rng(4))
    values = table.values.copy()
    values[10, 5] = np.nan
    assert 5 not in admitted(dataclasses.replace(table, values=values))


def test_a_feature_degenerate_in_more_than_a_tenth_is_dropped():
    table = make_table(np.random.default_rng(5), n=100)
    statuses = table.statuses.copy()
    statuses[:10, 1] = STATUSES.index("degenerate")
    statuses[:11, 2] = STATUSES.index("degenerate")
    found = admitted(dataclasses.replace(table, statuses=statuses))
    assert 1 in found
    assert 2 not in found


def test_scaling_counts_a_patient_as_often_as_he_was_drawn():
    table = make_table(np.random.default_rng(6), n=40)
    ids = [table.case_ids[0]] * 3 + [table.case_ids[1]]
    scaling = Guard(table, ()).fit(ids, lambda training: fit_scaling(training, np.array([4])))
    copies = table.values[[0, 0, 0, 1], 4]
    assert np.allclose([scaling.mean[0], scaling.spread[0]], [copies.mean(), copies.std()])
