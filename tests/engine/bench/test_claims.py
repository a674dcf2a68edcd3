"""The quick version of `bench claims`; the full one (200 cohorts a gain) is in the README."""

import numpy as np
import pytest

from engine.bench.claims import ClaimStudy, bench_claims, claim_cohort, claim_lines, one_claim, rate_of
from engine.statistics.roc import weighted_auc
from store.records import PlantedClaim


@pytest.fixture(scope="module")
def rates():
    return {rate.gain: rate for rate in bench_claims(24, 150, (0.0, 0.2), 25)}


def test_noise_is_never_said_to_add(rates):
    assert rates[0.0].adds == 0  # at a true rate of 2.5 % two or more of 24 have p 0.12, so 0 is no matter of course
    assert rates[0.0].difference < 0.02


def test_a_gain_of_020_is_often_called_and_hardly_biased(rates):
    assert rates[0.2].rate > 0.4  # 65 % of 200, README
    assert abs(rates[0.2].bias) < 0.06


def test_the_cohort_has_its_events_and_its_clinical_auc():
    table = claim_cohort(4000, 0.0, np.random.default_rng(1))
    known = table.label >= 0
    assert weighted_auc(table.label[known], table.clinical_numbers[known, 0]) == pytest.approx(0.65, abs=0.025)
    assert 0.02 < (table.label == -1).mean() < 0.2


def test_the_same_study_says_the_same():
    assert one_claim(ClaimStudy(3, 100, 0.1, 10)) == one_claim(ClaimStudy(3, 100, 0.1, 10))


def claim(difference, lo, hi, said):
    return PlantedClaim(0, 0.1, 0.65, difference, lo, hi, said, said == "adds", 40)


def test_rates_by_hand():
    rows = [
        claim(0.12, 0.02, 0.2, "adds"),
        claim(0.04, -0.1, 0.09, "not shown"),
        claim(0.0, -0.2, 0.3, "too small to tell"),
    ]
    found = rate_of(0.1, rows)
    assert (found.adds, found.too_small) == (1, 1)
    assert (found.rate, found.coverage) == pytest.approx((1 / 3, 2 / 3))
    assert found.bias == pytest.approx(0.16 / 3 - 0.1)
    assert "33.3 %" in claim_lines([found])[1]
