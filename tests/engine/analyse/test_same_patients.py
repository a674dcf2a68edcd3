"""The same people under other ids, masks and settings are known again; strangers are not taken for them."""

from dataclasses import replace

import numpy as np
import pytest

from engine.analyse.guard import rows_of
from engine.analyse.same_patients import alike, courses
from tests.engine.analyse.cohorts import make_table

KEY = b"a key of this register"


def measured_again(table, rng):
    """Other ids, another order, other values of every feature and volume."""
    again = replace(
        table,
        case_ids=tuple(f"other-{n}" for n in range(len(table.case_ids))),
        values=rng.normal(size=table.values.shape),
        volume_ml=rng.lognormal(size=len(table.case_ids)),
    )
    return rows_of(again, rng.permutation(len(table.case_ids)))


def count(own, theirs):
    return alike(courses(own, KEY), courses(theirs, KEY))


def test_patients_measured_again_are_all_known():
    rng = np.random.default_rng(1)
    table = make_table(rng, n=150)
    assert count(measured_again(table, rng), table) == 150


def test_a_part_of_them_among_strangers_is_counted():
    rng = np.random.default_rng(2)
    table = make_table(rng, n=150)
    mixed = make_table(rng, n=100)
    for name in ("clinical_numbers", "clinical_codes", "days", "event", "label"):
        getattr(mixed, name)[:20] = getattr(table, name)[:20]
    assert count(mixed, table) == 20


def test_another_endpoint_does_not_hide_them():
    rng = np.random.default_rng(3)
    table = make_table(rng, n=150)
    elsewhere = replace(table, days=table.days + 60, event=1 - table.event, label=1 - table.label)
    assert count(elsewhere, table) == 150  # age to six digits and stage


def test_other_clinical_columns_do_not_hide_them():
    rng = np.random.default_rng(4)
    table = make_table(rng, n=150)
    assert count(replace(table, clinical_names=("years", "tnm")), table) == 150


@pytest.mark.parametrize("n", [40, 150, 600])
def test_strangers_with_the_same_columns_are_not_taken_for_them(n):
    rng = np.random.default_rng(n)
    for _ in range(20):
        own, theirs = make_table(rng, n=n), make_table(rng, n=n)
        for table in (own, theirs):
            table.clinical_numbers[:, 0] = np.rint(table.clinical_numbers[:, 0])  # ages in whole years
        assert count(own, theirs) == 0


def test_age_and_sex_that_go_together_do_not_make_strangers_alike():
    rng = np.random.default_rng(5)

    def cohort():
        table = make_table(rng, n=300)
        stage = rng.integers(0, 2, 300)
        table.clinical_codes[:, 1] = stage
        table.clinical_numbers[:, 0] = 60 + 10 * stage + rng.integers(0, 5, 300)  # stage all but tells the age
        return replace(table, days=np.full(300, np.nan))

    assert all(count(cohort(), cohort()) == 0 for _ in range(20))


def test_a_table_without_anything_to_tell_people_by_finds_nobody():
    table = replace(make_table(np.random.default_rng(6), n=100), clinical_names=("a", "b"), days=np.full(100, np.nan))
    other = replace(table, clinical_names=("c", "d"))
    assert count(table, other) == 0
