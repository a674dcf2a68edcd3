"""Censoring that depends on a covariate: excluding the censored is biased, weights by that covariate repair it."""

import dataclasses

import numpy as np
import pytest

from engine.analyse.endpoint import define_endpoints
from engine.analyse.guard import censoring_of, censoring_weights, rows_of
from engine.protocol import Outcome as Choices
from store.matrices import DesignTable
from store.records import Outcome
from tests.engine.analyse.cohorts import make_table

HORIZON = 730
N = 6000


def table_of(days, event, frail) -> DesignTable:
    """The outcome in a design table, as the analysis sees it."""
    label = np.where(event & (days <= HORIZON), 1, np.where(days >= HORIZON, 0, -1)).astype(np.int8)
    blank = make_table(np.random.default_rng(0), n=days.size, p=1)
    return dataclasses.replace(
        blank,
        days=days,
        event=event.astype(np.int8),
        label=label,
        censoring_groups=tuple(np.where(frail, "frail", "fit")),
    )


@pytest.fixture(scope="module")
def cohort():
    """Fit patients have the event three times as slowly and are lost to follow-up eight times as fast."""
    rng = np.random.default_rng(1)
    frail = rng.random(N) < 0.5
    happens = np.ceil(rng.exponential(np.where(frail, 700, 2100)))
    lost = np.ceil(rng.exponential(np.where(frail, 4000, 500)))
    return table_of(np.minimum(happens, lost), happens <= lost, frail), frail, float((happens <= HORIZON).mean())


def share(table, weights, rows=slice(None)):
    """Weighted share of events among determined patients."""
    known = table.label[rows] >= 0
    return float(np.average(table.label[rows][known] == 1, weights=weights[rows][known]))


def test_excluding_the_censored_raises_the_event_rate(cohort):
    table, _, truth = cohort
    assert share(table, np.ones(N)) > truth + 0.10


def test_calling_them_free_of_the_event_lowers_it(cohort):
    table, _, truth = cohort
    assert (table.label == 1).mean() < truth - 0.08


def test_weights_by_group_repair_it_and_one_curve_for_all_only_half(cohort):
    table, _, truth = cohort
    by_group = share(table, censoring_weights(table, censoring_of(table)))
    pooled = dataclasses.replace(table, censoring_groups=())
    common = share(table, censoring_weights(pooled, censoring_of(pooled)))
    assert by_group == pytest.approx(truth, abs=0.02)
    assert truth + 0.03 < common < share(table, np.ones(N))


def test_the_effect_of_frailty_is_distorted_by_exclusion_and_restored_by_weights(cohort):
    # risk ratio, exact: 1 - exp(-730/700) over 1 - exp(-730/2100) = 2.204
    table, frail, _ = cohort
    exact = (1 - np.exp(-HORIZON / 700)) / (1 - np.exp(-HORIZON / 2100))
    weights, ones = censoring_weights(table, censoring_of(table)), np.ones(N)
    excluded, restored = (share(table, w, frail) / share(table, w, ~frail) for w in (ones, weights))
    assert excluded < exact - 0.5
    assert restored == pytest.approx(exact, abs=0.15)


def test_random_censoring_is_repaired_by_one_curve():
    rng = np.random.default_rng(2)
    happens, lost = np.ceil(rng.exponential(1400, N)), np.ceil(rng.exponential(900, N))
    table = table_of(np.minimum(happens, lost), happens <= lost, np.zeros(N, dtype=bool))
    assert share(table, censoring_weights(table, censoring_of(table))) == pytest.approx(
        (happens <= HORIZON).mean(), abs=0.02
    )


def test_a_group_too_small_or_lost_too_early_takes_the_curve_of_all():
    days, event = np.array([100.0] * 12 + [800.0] * 30), np.array([False] * 12 + [True] * 30)
    table = table_of(days, event, np.arange(42) < 13)  # of the frail twelve were lost at day 100, one seen for 800
    training = rows_of(table, np.delete(np.arange(42), 12))
    assert censoring_weights(table, censoring_of(training))[12] == pytest.approx(41 / 29)
    few = table_of(days, event, np.arange(42) > 33)
    assert set(censoring_of(few).by_group) == {"fit"}


def test_the_sensitivity_analysis_that_excludes_shows_the_raised_rate(cohort):
    table = cohort[0]
    words = {1: True, 0: False, -1: None}
    rows = tuple(
        Outcome(str(i), "surgery", None, None, "none", None, None, int(d), bool(e), True, words[int(v)], "")
        for i, (d, e, v) in enumerate(zip(table.days[:800], table.event[:800], table.label[:800], strict=True))
    )
    kept, every = (
        define_endpoints(rows, Choices(kind="time", undetermined=how)).known for how in ("exclude", "weights")
    )
    assert len(kept) < len(every) == 800
    assert np.mean([end.label for end in kept.values()]) > np.mean([end.label is True for end in every.values()])
