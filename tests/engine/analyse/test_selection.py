import dataclasses

import numpy as np
import pytest

from engine.analyse.candidates import candidates
from engine.analyse.selection import summarise_selection, volume_correlation
from engine.protocol import StabilityProtocol
from store.records import Performance, Resamples, Selection
from tests.engine.analyse.cohorts import CHOICES, NO_COMBAT, RULES, collect, make_table, run_resamples

GROUPING = StabilityProtocol()


def chosen(number, column, rank=1, kept=True):
    return number, Selection(number, "intratumoural", "original", "firstorder", f"feature{column}", rank, kept, rank)


def done(count):
    return Resamples(tuple((number, Performance("combined", number, 0.5, 1)) for number in range(count)))


def test_nogueira_of_the_published_toy():
    # notes/statistics.md section 5: rows 110000, 101000, 110000, 011000 -> 0.375, se 0.09375
    table = make_table(np.random.default_rng(1), p=6)
    sets = ((0, 1), (0, 2), (0, 1), (1, 2))
    rows = tuple(chosen(number, column) for number, columns in enumerate(sets) for column in columns)
    found = summarise_selection(table, Resamples(rows), done(4), GROUPING)
    rfe = next(row for row in found.stability if row.step == "rfe")
    assert (rfe.stability, rfe.se) == pytest.approx((0.375, 0.09375))
    assert (rfe.resamples, rfe.candidates) == (4, 6)


def test_a_resample_that_took_nothing_still_counts():
    table = make_table(np.random.default_rng(1), p=6)
    found = summarise_selection(table, Resamples((chosen(0, 2),)), done(5), GROUPING)
    assert [(row.feature, row.kept_count, row.resamples) for row in found.frequencies] == [("feature2", 1, 5)]


def test_the_planted_feature_leads_the_list():
    table = make_table(np.random.default_rng(2), n=120, signal=2.0)
    found = run_resamples(table, 2)
    summary = summarise_selection(table, collect(found, "selections"), collect(found, "performance"), GROUPING)
    assert summary.frequencies[0].feature == "feature0"
    assert summary.frequencies[0].kept_count >= 19


def test_the_correlation_with_volume_is_spearmans():
    volume = np.array([1.0, 2.0, 3.0, 4.0, np.nan])
    assert volume_correlation(np.array([1.0, 8.0, 27.0, 64.0, 0.0]), volume) == pytest.approx(1.0)
    assert volume_correlation(np.ones(5), volume) is None


def test_without_volumes_there_is_no_correlation():
    table = dataclasses.replace(make_table(np.random.default_rng(3), p=6), volume_ml=np.full(90, np.nan))
    assert (
        summarise_selection(table, Resamples((chosen(0, 2),)), done(2), GROUPING).frequencies[0].volume_correlation
        is None
    )


def test_a_group_counts_a_resample_once_and_leads_where_its_members_take_turns():
    # features 0 and 1 are copies; each is kept in half of the resamples, never both, feature 2 in three of four
    table = make_table(np.random.default_rng(4), p=6)
    values = table.values.copy()
    values[:, 1] = -2 * values[:, 0]
    rows = tuple(chosen(n, n % 2) for n in range(4)) + tuple(chosen(n, 2, 2) for n in range(3))
    found = summarise_selection(dataclasses.replace(table, values=values), Resamples(rows), done(4), GROUPING)
    assert [(g.group, g.feature, g.kept_count, g.group_count) for g in found.groups] == [
        (1, "feature0", 2, 4),
        (1, "feature1", 2, 4),
        (2, "feature2", 3, 3),
    ]
    pair = next(row for row in found.pairs if (row.first, row.second) == (0, 1))
    assert (pair.together, pair.expected, pair.correlation) == (0, 1.0, pytest.approx(-1))


def test_sets_of_every_size_are_there_and_the_full_size_is_the_stability_itself():
    table = make_table(np.random.default_rng(2), n=120, signal=2.0)
    found = run_resamples(table, 2)
    summary = summarise_selection(table, collect(found, "selections"), collect(found, "performance"), GROUPING)
    whole = {row.step: row for row in summary.stability}
    sizes = {(row.step, row.size): row for row in summary.sizes}
    assert sizes["mrmr", 5].stability == whole["mrmr"].stability
    assert sizes["rfe", candidates(table, CHOICES, RULES, NO_COMBAT).sizes[0].kept].stability == whole["rfe"].stability
    assert {size for step, size in sizes if step == "rfe"} == {1, 2, 3, 5}


def test_without_any_kept_feature_there_are_no_groups():
    table = make_table(np.random.default_rng(2), p=6)
    found = summarise_selection(table, Resamples(()), done(3), GROUPING)
    assert (found.frequencies, found.groups, found.pairs, found.sizes) == ((), (), (), ())
