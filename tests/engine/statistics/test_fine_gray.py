"""Subdistribution hazards against R cmprsk 2.2-11 on rossi with competing labels (notes/statistics.md section 5)."""

import numpy as np
import pytest
from lifelines.datasets import load_rossi

from engine.statistics.cox import fit_cox
from engine.statistics.fine_gray import fit_fine_gray
from store.records import DeclinedError

COLUMNS = ["fin", "age", "prio"]


@pytest.fixture(scope="module")
def rossi():
    frame = load_rossi().astype(float)
    causes = np.where(frame.arrest == 1, np.random.default_rng(0).integers(1, 3, len(frame)), 0)
    return frame, causes


def censored_cohort(n=300, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    first, second, end = (rng.exponential(scale, n) for scale in (10, 14, 12))
    first *= np.exp(-0.5 * x[:, 0])
    times = np.minimum(np.minimum(first, second), end)
    return x, times, np.where(times == end, 0, np.where(times == first, 1, 2))


def test_coefficients_and_errors_equal_cmprsk(rossi):
    frame, causes = rossi
    fit = fit_fine_gray(frame[COLUMNS], frame.week, causes)
    expected = [-0.85989622451933079, -0.04373096169577815, 0.06933258142157663]
    np.testing.assert_allclose(fit.coefficients, expected, atol=1e-9)
    errors = [0.33985796884303360, 0.03727065772725489, 0.05686902021119532]  # crr differentiates numerically
    np.testing.assert_allclose(fit.standard_errors, errors, rtol=2e-5)
    assert fit.converged


def test_without_competing_events_it_is_a_cox_model():
    x, times, causes = censored_cohort()
    own = np.where(causes == 2, 0, causes)
    np.testing.assert_allclose(
        fit_fine_gray(x, times, own).coefficients, fit_cox(x, times, own == 1).coefficients, atol=1e-8
    )


def test_errors_are_those_of_leaving_patients_out():
    # the jackknife estimates the censoring curve anew each time, as the sandwich claims to allow for
    x, times, causes = censored_cohort(160)
    fit = fit_fine_gray(x, times, causes)
    rows = np.arange(160)
    left = np.array([fit_fine_gray(x[rows != i], times[rows != i], causes[rows != i]).coefficients for i in rows])
    jackknife = np.sqrt((159 / 160) * ((left - left.mean(axis=0)) ** 2).sum(axis=0))
    np.testing.assert_allclose(fit.standard_errors, jackknife, rtol=0.1)


def test_a_competing_effect_lowers_the_incidence_of_the_other_cause():
    # x drives cause 2 only: its cause-specific hazard ratio for cause 1 is 1, its subdistribution ratio below 1
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1500, 1))
    first, second = rng.exponential(10, 1500), rng.exponential(10, 1500) * np.exp(-1.2 * x[:, 0])
    times, causes = np.minimum(first, second), np.where(first < second, 1, 2)
    assert fit_fine_gray(x, times, causes).upper[0] < 0
    specific = fit_cox(x, times, causes == 1)
    assert specific.lower[0] < 0 < specific.upper[0]


@pytest.mark.parametrize(("x", "causes"), [([[1.0], [2.0]], [0, 2]), ([[1.0], [1.0]], [1, 0])])
def test_without_own_events_or_variation_it_declines(x, causes):
    with pytest.raises(DeclinedError, match="subdistribution"):
        fit_fine_gray(x, [1, 2], causes)
