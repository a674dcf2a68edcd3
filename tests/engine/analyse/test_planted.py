import dataclasses

import numpy as np
import pytest
from scipy.stats import norm

from engine.analyse.candidates import candidates
from engine.analyse.planted import plant_gains, shift_of, with_signal, without_signal
from engine.protocol import Detection
from engine.statistics.roc import weighted_auc
from store.sources import PlantingNumber
from tests.engine.analyse.cohorts import CHOICES, NO_COMBAT, RULES, make_table


def test_the_shift_gives_the_gain_it_is_named_after():
    # two independent normal markers: the best combination has AUC Phi(sqrt(d1^2 + d2^2) / sqrt 2)
    base = np.sqrt(2) * norm.ppf(0.65)
    both = norm.cdf(np.hypot(base, shift_of(0.1, 0.65)) / np.sqrt(2))
    assert both == pytest.approx(0.75)
    assert shift_of(0.0, 0.7) == 0
    assert shift_of(0.1, 0.3) == shift_of(0.1, 0.5)  # a base below chance counts as chance


def test_a_signal_lies_in_one_column_and_has_its_auc():
    table = make_table(np.random.default_rng(1), n=3000, censored=False)
    planted = with_signal(table, 0.2, 0.5, np.random.default_rng(2))
    changed = np.flatnonzero((planted.values != table.values).any(axis=0))
    assert changed.size == 1
    assert weighted_auc(table.label, planted.values[:, changed[0]]) == pytest.approx(0.7, abs=0.025)


def test_dealing_rows_anew_keeps_correlations_and_loses_the_outcome():
    table = make_table(np.random.default_rng(3), n=400, signal=3.0, perturbed=10)
    dealt = without_signal(table, np.random.default_rng(4))
    np.testing.assert_allclose(np.corrcoef(dealt.values.T), np.corrcoef(table.values.T), atol=1e-12)
    known = table.label >= 0
    assert weighted_auc(table.label[known], table.values[known, 0]) > 0.8
    assert abs(weighted_auc(table.label[known], dealt.values[known, 0]) - 0.5) < 0.08
    np.testing.assert_array_equal(dealt.label, table.label)


def test_repeats_stay_with_the_patient_whose_features_they_repeat():
    table = make_table(np.random.default_rng(5), n=60, perturbed=12)
    for found in (
        without_signal(table, np.random.default_rng(6)),
        with_signal(table, 0.2, 0.5, np.random.default_rng(7)),
    ):
        gap = found.perturbed_values[:, 0] - found.values[found.perturbed_rows]
        expected = table.perturbed_values[:, 0] - table.values[table.perturbed_rows]
        np.testing.assert_allclose(np.sort(gap, axis=None), np.sort(expected, axis=None), atol=1e-12)


def test_large_gains_are_called_and_none_is_not():
    table = make_table(np.random.default_rng(8), n=140)
    sizes = candidates(table, CHOICES, RULES, NO_COMBAT).sizes
    wanted = Detection(gains=(0.3,), repeats=2, resamples=20)
    claims = [
        claim
        for number in range(4)
        for claim in plant_gains(
            table, sizes, CHOICES, RULES, wanted, PlantingNumber(number), np.random.default_rng(number)
        ).claims
    ]
    assert [claim.adds for claim in claims if claim.gain == 0] == [False] * 4
    assert sum(claim.adds for claim in claims if claim.gain == 0.3) >= 3


def test_the_same_number_gives_the_same_claims():
    table = dataclasses.replace(make_table(np.random.default_rng(9)))
    sizes = candidates(table, CHOICES, RULES, NO_COMBAT).sizes
    wanted = Detection(gains=(0.1,), repeats=2, resamples=10)
    one, other = (
        plant_gains(table, sizes, CHOICES, RULES, wanted, PlantingNumber(0), np.random.default_rng(1)) for _ in range(2)
    )
    assert one == other
