"""The same people under other ids, masks and settings are known again; strangers are not taken for them."""

from dataclasses import replace

import numpy as np
import pytest

from engine.analyse.guard import rows_of
from engine.analyse.same_patients import Courses, agreeing, alike, courses
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


def lung1_like(rng, n):
    """Age in whole years, T, N, the stage that follows from them, and two columns that are missing together."""
    table = make_table(rng, n=n)
    t, nodes, histology = rng.integers(0, 4, n), rng.choice(4, n, p=(0.4, 0.1, 0.3, 0.2)), rng.integers(0, 3, n)
    stage, missing = np.minimum(t // 2 + nodes, 3), rng.random(n) < 0.2
    codes = np.column_stack(
        [np.full(n, -1), t, nodes, stage, np.where(missing, -1, histology), np.where(missing, -1, t)]
    )
    age = np.rint(rng.normal(68, 9, n))
    return replace(
        table,
        clinical_names=("age", "t", "n", "stage", "histology", "pathological t"),
        clinical_kinds=("number", *("category",) * 5),
        clinical_levels=("0", "1", "2", "3"),
        clinical_numbers=np.column_stack([age, *[np.full(n, np.nan)] * 5]),
        clinical_codes=codes.astype(np.int32),
    )


@pytest.mark.parametrize("n", [60, 200, 422])
def test_columns_that_follow_from_each_other_do_not_make_strangers_alike(n):
    rng = np.random.default_rng(n)
    assert all(count(lung1_like(rng, n), lung1_like(rng, n)) == 0 for _ in range(20))
    table = lung1_like(rng, n)
    assert count(measured_again(table, rng), table) == n


def same_ids(own, theirs):
    pairs = [(row, row) for row in range(min(len(own.days), len(theirs.days)))]
    return agreeing(courses(own, KEY), courses(theirs, KEY), pairs)


def test_hospitals_that_number_from_one_share_no_patient():
    rng = np.random.default_rng(8)
    assert same_ids(make_table(rng, n=104), make_table(rng, n=290)) == 0
    binary = [
        replace(make_table(rng, n=n), days=np.full(n, np.nan), clinical_names=(f"c{n}", f"d{n}")) for n in (104, 290)
    ]
    assert same_ids(*binary) == 0


def test_the_same_ids_and_courses_are_the_same_people_whatever_was_edited_since():
    rng = np.random.default_rng(9)
    table = make_table(rng, n=90)
    edited = replace(table, days=np.where(np.arange(90) < 10, table.days + 5, table.days))
    assert same_ids(edited, table) == 80


def test_ids_alone_count_where_the_tables_have_nothing_in_common():
    own, theirs = courses(make_table(np.random.default_rng(1), n=10), KEY), Courses((), np.zeros((10, 0), np.uint64))
    assert agreeing(own, theirs, [(0, 3), (4, 4)]) == 2


def test_a_table_without_anything_to_tell_people_by_finds_nobody():
    table = replace(make_table(np.random.default_rng(6), n=100), clinical_names=("a", "b"), days=np.full(100, np.nan))
    other = replace(table, clinical_names=("c", "d"))
    assert count(table, other) == 0
