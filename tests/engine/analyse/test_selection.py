import dataclasses

import numpy as np
import pytest

from engine.analyse.selection import summarise_selection, volume_correlation
from store.records import Performance, Resamples, Selection
from tests.engine.analyse.cohorts import collect, make_table, run_resamples


def chosen(number, column, rank=1, kept=True):
    return number, Selection(number, "intratumoural", "original", "firstorder", f"feature{column}", rank, kept)


def done(count):
    return Resamples(tuple((number, Performance("combined", number, 0.5, 1)) for number in range(count)))


def test_nogueira_of_the_published_toy():
    # notes/statistics.md section 5: rows 110000, 101000, 110000, 011000 -> 0.375, se 0.09375
    table = make_table(np.random.default_rng(1), p=6)
    sets = ((0, 1), (0, 2), (0, 1), (1, 2))
    rows = tuple(chosen(number, column) for number, columns in enumerate(sets) for column in columns)
    found = summarise_selection(table, Resamples(rows), done(4))
    rfe = next(row for row in found.stability if row.step == "rfe")
    assert (rfe.stability, rfe.se) == pytest.approx((0.375, 0.09375))
    assert (rfe.resamples, rfe.candidates) == (4, 6)


def test_a_resample_that_took_nothing_still_counts():
    table = make_table(np.random.default_rng(1), p=6)
    found = summarise_selection(table, Resamples((chosen(0, 2),)), done(5))
    assert [(row.feature, row.kept_count, row.resamples) for row in found.frequencies] == [("feature2", 1, 5)]


def test_the_planted_feature_leads_the_list():
    table = make_table(np.random.default_rng(2), n=120, signal=2.0)
    found = run_resamples(table, 2)
    summary = summarise_selection(table, collect(found, "selections"), collect(found, "performance"))
    assert summary.frequencies[0].feature == "feature0"
    assert summary.frequencies[0].kept_count >= 19


def test_the_correlation_with_volume_is_spearmans():
    volume = np.array([1.0, 2.0, 3.0, 4.0, np.nan])
    assert volume_correlation(np.array([1.0, 8.0, 27.0, 64.0, 0.0]), volume) == pytest.approx(1.0)
    assert volume_correlation(np.ones(5), volume) is None


def test_without_volumes_there_is_no_correlation():
    table = dataclasses.replace(make_table(np.random.default_rng(3), p=6), volume_ml=np.full(90, np.nan))
    assert summarise_selection(table, Resamples((chosen(0, 2),)), done(2)).frequencies[0].volume_correlation is None
