import dataclasses

import numpy as np

from engine.analyse.clinical_coding import fit_clinical
from engine.analyse.guard import Guard
from tests.engine.analyse.cohorts import make_table


def fitted(table, rows):
    return Guard(table, ()).fit([table.case_ids[row] for row in rows], fit_clinical)


def test_a_missing_number_takes_the_training_median_and_an_indicator():
    table = make_table(np.random.default_rng(1), n=6)
    numbers = table.clinical_numbers.copy()
    numbers[:, 0] = [50, 60, 70, np.nan, 1000, 1000]
    table = dataclasses.replace(table, clinical_numbers=numbers)
    coding = fitted(table, range(4))
    coded = coding.apply(table)
    assert coding.terms(table)[:2] == ("age", "age: missing")
    assert coded[3, 0] == coded[1, 0]
    assert coded[:, 1].tolist() == [0, 0, 0, 1, 0, 0]


def test_a_level_unseen_in_training_counts_as_the_reference():
    table = make_table(np.random.default_rng(2), n=6)
    codes = table.clinical_codes.copy()
    codes[:, 1] = [0, 0, 1, 0, 2, 1]
    table = dataclasses.replace(table, clinical_codes=codes, clinical_levels=("2", "3", "4"))
    coding = fitted(table, range(4))
    assert coding.terms(table)[-1] == "stage: 3"
    assert coding.apply(table)[:, -1].tolist() == [0, 0, 1, 0, 0, 1]


def test_a_column_that_does_not_vary_in_training_is_left_out():
    table = make_table(np.random.default_rng(3), n=6)
    numbers = table.clinical_numbers.copy()
    numbers[:, 0] = [60, 60, 60, 60, 10, 20]
    table = dataclasses.replace(table, clinical_numbers=numbers)
    assert "age" not in fitted(table, range(4)).terms(table)
