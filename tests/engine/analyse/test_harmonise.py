"""ComBat inside a resample: training patients only, repeats moved alike, outcome never looked at."""

import dataclasses

import numpy as np
import pytest

from engine.analyse.guard import LeakError
from engine.analyse.harmonise import harmonised
from engine.analyse.resample import draw_patients
from engine.protocol import Batch
from tests.engine.analyse.cohorts import CHOICES, RULES, candidates, make_table, one_resample

COMBAT = Batch(combat=True)


@pytest.fixture(scope="module")
def table():
    """Every third patient scanned elsewhere: features doubled and 4 higher."""
    plain = make_table(np.random.default_rng(3), n=90, perturbed=30)
    batches = tuple("B" if row % 3 == 0 else "A" for row in range(90))
    other = np.array(batches) == "B"
    values = np.where(other[:, None], 2 * plain.values + 4, plain.values)
    repeats = plain.perturbed_values.copy()
    repeats[other[plain.perturbed_rows]] = 2 * repeats[other[plain.perturbed_rows]] + 4
    return dataclasses.replace(plain, batches=batches, values=values, perturbed_values=repeats)


def split(table):
    return list(table.case_ids[:60]), list(table.case_ids[60:])


def gap(table, rows=slice(60, 90)):
    other = np.array(table.batches)[rows] == "B"
    return np.abs(table.values[rows][other].mean(axis=0) - table.values[rows][~other].mean(axis=0)).mean()


def test_unseen_patients_are_brought_together_by_a_fit_on_the_others(table):
    train, test = split(table)
    assert gap(table) > 3.5
    assert gap(harmonised(table, train, test, COMBAT)) < 0.6


def test_without_combat_the_table_is_left_alone(table):
    assert harmonised(table, *split(table), Batch()) is table


def test_a_test_patient_in_the_fit_raises(table):
    train, test = split(table)
    with pytest.raises(LeakError, match="fit_harmonisation"):
        harmonised(table, [*train, test[0]], test, COMBAT)


def test_test_patients_and_outcomes_do_not_touch_the_fit(table):
    train, test = split(table)
    found = harmonised(table, train, test, COMBAT)
    values = table.values.copy()
    values[60:] += 100.0
    unknown = np.full_like(table.label, -1)
    other = dataclasses.replace(table, values=values, label=unknown, event=unknown)
    assert np.allclose(harmonised(other, train, test, COMBAT).values[:60], found.values[:60])


def test_a_patient_drawn_twice_counts_once(table):
    train, test = split(table)
    once = harmonised(table, train, test, COMBAT).values
    assert np.allclose(harmonised(table, [*train, *train[:30]], test, COMBAT).values, once)


def test_repeated_measurements_move_with_their_patient(table):
    found = harmonised(table, *split(table), COMBAT)
    rows = found.perturbed_rows
    apart = np.abs(found.perturbed_values[:, 0] - found.values[rows]).max()
    assert apart < 0.5  # repeats lie 0.05 sd about the value that they repeat
    assert found.perturbed_values.shape == table.perturbed_values.shape


def test_a_protected_name_that_is_no_covariate_is_refused(table):
    with pytest.raises(ValueError, match=r"batch\.protect must name columns of"):
        harmonised(table, *split(table), Batch(combat=True, protect=("height",)))
    harmonised(table, *split(table), Batch(combat=True, protect=("age", "stage")))


def test_a_batch_that_no_training_patient_had_is_refused(table):
    train, test = split(table)
    foreign = dataclasses.replace(table, batches=(*table.batches[:60], *["C"] * 30))
    with pytest.raises(ValueError, match="got C"):
        harmonised(foreign, train, test, COMBAT)


def test_a_draw_holds_two_patients_of_every_batch(table):
    rare = dataclasses.replace(table, batches=("C",) * 5 + table.batches[5:])
    for seed in range(20):
        drawn = np.unique(draw_patients(rare, np.random.default_rng(seed), by_batch=True))
        assert (drawn < 5).sum() >= 2


def test_a_resample_runs_with_combat_and_differs_from_one_without(table):
    sizes = candidates(table, CHOICES, RULES, COMBAT).sizes
    assert one_resample(table, sizes, 1, 0, batch=COMBAT) != one_resample(table, sizes, 1, 0)
