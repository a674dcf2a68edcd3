"""Logistic models, calibration, Brier and decision curve against R rms, statsmodels, scikit-learn and dcurves."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.optimize import minimize
from scipy.stats import chi2
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from engine.statistics.brier import brier, scaled_brier
from engine.statistics.calibration import calibration_groups, calibration_line, wilson_interval
from engine.statistics.decision_curve import decision_curve
from engine.statistics.firth import fit_firth
from engine.statistics.fractional_logit import fit_fractional
from engine.statistics.logistic import fit_logistic, predict_logistic
from engine.statistics.roc import weighted_auc
from store.records import DeclinedError


@pytest.fixture(scope="module")
def asah(shared: Path) -> tuple[np.ndarray, np.ndarray]:
    frame = pd.read_csv(shared / "data/stats_reference/aSAH.csv")
    return frame[["s100b", "ndka", "age"]].to_numpy(float), (frame.outcome == "Poor").to_numpy()


def fitted(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """In-sample predictions without ndka: none so extreme that it is cut."""
    return predict_logistic(fit_logistic(x[:, [0, 2]], y), x[:, [0, 2]])


def test_coefficients_auc_and_brier_equal_rms(asah: tuple) -> None:
    fit = fit_logistic(*asah)
    expected = [-3.458582629, 5.046619541, 0.031308633, 0.022021936]
    np.testing.assert_allclose(fit.coefficients, expected, rtol=0, atol=5e-8)  # rms stops iterating a little earlier
    predicted = predict_logistic(fit, asah[0])
    assert weighted_auc(asah[1], predicted) == pytest.approx(roc_auc_score(asah[1], predicted), abs=1e-12)
    # the C that rms prints is that of predictions rounded so that two pairs nearer than 1e-4 are tied
    assert weighted_auc(asah[1], np.round(predicted, 4)) == pytest.approx(0.7747289972899729, abs=1e-12)
    assert brier(asah[1], predicted) == pytest.approx(0.1741309322353615, abs=1e-9)


def test_decision_curve_equals_dcurves(asah: tuple) -> None:
    predicted = predict_logistic(fit_logistic(*asah), asah[0])
    curve = decision_curve(asah[1], predicted, [0.2, 0.3, 0.4])
    np.testing.assert_allclose(curve.model, [0.2101769911504425, 0.1845764854614412, 0.1622418879056047], atol=1e-12)
    share = 41 / 113
    np.testing.assert_allclose(curve.treat_all, share - (1 - share) * np.array([1 / 4, 3 / 7, 2 / 3]), atol=1e-12)


def test_weighted_fit_and_errors_equal_statsmodels(asah: tuple) -> None:
    x, y = asah
    weights = np.random.default_rng(0).uniform(0, 3, y.size)
    fit = fit_logistic(x, y, weights)
    reference = sm.GLM(y.astype(float), sm.add_constant(x), sm.families.Binomial(), freq_weights=weights).fit(tol=1e-14)
    np.testing.assert_allclose(fit.coefficients, reference.params, atol=1e-8)
    np.testing.assert_allclose(fit.standard_errors, reference.bse, rtol=1e-7)
    assert fit.log_likelihood == pytest.approx(reference.llf, abs=1e-8)


def test_ridge_equals_scikit_learn(asah: tuple) -> None:
    x, y = asah
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    reference = LogisticRegression(C=1 / 4.0, tol=1e-12, max_iter=5000).fit(z, y)
    fit = fit_logistic(z, y, ridge=4.0)
    np.testing.assert_allclose(fit.coefficients[1:], reference.coef_[0], atol=1e-6)
    assert fit.converged


def test_separation_is_reported_and_ridge_cures_it() -> None:
    x, y = np.arange(10.0)[:, None], np.arange(10) > 4
    assert not fit_logistic(x, y).converged
    assert fit_logistic(x, y, ridge=1.0).converged


def test_one_class_declines() -> None:
    with pytest.raises(DeclinedError, match="one class"):
        fit_logistic([[1.0], [2.0]], [1, 1])


def test_calibration_of_the_fitted_model_is_ideal_in_sample(asah: tuple) -> None:
    line = calibration_line(asah[1], fitted(*asah))
    assert (line.intercept, line.slope) == pytest.approx((0, 1), abs=1e-8)
    assert line.slope_lower < 1 < line.slope_upper


def test_calibration_line_finds_the_distortion_that_was_made(asah: tuple) -> None:
    predicted = fitted(*asah)
    logits = np.log(predicted / (1 - predicted))
    steep = calibration_line(asah[1], 1 / (1 + np.exp(-1.5 * logits)))
    shifted = calibration_line(asah[1], 1 / (1 + np.exp(-(logits - 0.7))))
    assert steep.slope == pytest.approx(2 / 3, abs=1e-6)
    assert shifted.intercept == pytest.approx(0.7, abs=1e-6)


def test_equal_predictions_have_no_slope(asah: tuple) -> None:
    line = calibration_line(asah[1], np.full(113, 41 / 113))
    assert np.isnan(line.slope)
    assert line.intercept == pytest.approx(0, abs=1e-9)


def test_groups_hold_every_row_once_and_ties_together() -> None:
    labels, predicted = np.tile([1, 0], 50), np.repeat([0.1, 0.1, 0.5, 0.8, 0.9], 20)
    groups = calibration_groups(labels, predicted, groups=5)
    assert groups.size.sum() == 100
    np.testing.assert_allclose(groups.predicted, [0.1, 0.5, 0.8, 0.9])
    np.testing.assert_allclose(groups.observed, 0.5)
    np.testing.assert_array_equal(groups.size, [40, 20, 20, 20])


def test_wilson_bounds_equal_the_published_example() -> None:
    bounds = wilson_interval(81, 263)  # Newcombe 1998, Stat Med 17:857: 0.2553 to 0.3662
    assert (round(bounds.lower, 4), round(bounds.upper, 4)) == (0.2553, 0.3662)
    none = wilson_interval(0, 20)  # ibid.: 0.0000 to 0.1611
    assert (none.lower, round(none.upper, 4)) == (0.0, 0.1611)


def test_brier_of_the_prevalence_is_scaled_to_zero() -> None:
    assert brier([1, 0, 0, 0], [0.25] * 4) == pytest.approx(0.1875)
    assert scaled_brier([1, 0, 0, 0], [0.25] * 4) == pytest.approx(0)
    assert scaled_brier([1, 0], [1, 0]) == 1
    assert np.isnan(scaled_brier([1, 1], [0.5, 0.5]))


def test_firth_of_one_binary_column_adds_a_half_to_every_cell() -> None:
    # saturated 2 x 2 table: Jeffreys' penalty is the Haldane-Anscombe correction (Firth 1993); 0 events of 6, 4 of 10
    x, y = np.repeat([0.0, 1.0], [6, 10])[:, None], np.repeat([0, 1, 0], [6, 4, 6])
    fit = fit_firth(x, y)
    low, high = np.log(0.5 / 6.5), np.log(4.5 / 6.5)
    np.testing.assert_allclose(fit.coefficients, [low, high - low], atol=1e-8)
    assert fit.converged
    assert fit.lower[1] < fit.coefficients[1] < fit.upper[1]


def test_firth_profile_bounds_lie_where_the_likelihood_has_fallen_enough() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(30, 2))
    y = (x[:, 0] + rng.normal(size=30) > 0.8).astype(int)
    fit = fit_firth(x, y)
    design = np.column_stack([np.ones(30), x])

    def value(beta: np.ndarray) -> float:
        logits = design @ beta
        share = 1 / (1 + np.exp(-logits))
        information = (design * (share * (1 - share))[:, None]).T @ design
        return float(y @ logits - np.logaddexp(0, logits).sum() + np.log(np.linalg.det(information)) / 2)

    def profile(at: float) -> float:
        return -minimize(lambda rest: -value(np.array([rest[0], at, rest[1]])), fit.coefficients[[0, 2]], tol=1e-10).fun

    best = value(fit.coefficients)
    drop = 3.841458820694124 / 2  # chi-square 0.95 quantile, one degree of freedom
    assert fit.log_likelihood == pytest.approx(best, abs=1e-9)
    assert [profile(fit.lower[1]), profile(fit.upper[1])] == pytest.approx([best - drop] * 2, abs=1e-6)
    assert fit.p_values[1] == pytest.approx(chi2.sf(2 * (best - profile(0.0)), 1), abs=1e-6)


def test_firth_stays_finite_under_separation() -> None:
    fit = fit_firth(np.arange(10.0)[:, None], np.arange(10) > 4)
    assert np.isfinite(fit.coefficients).all()
    assert fit.converged


def test_fractional_logit_equals_statsmodels_with_the_correction_of_hc1() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(60, 2))
    y = np.clip(1 / (1 + np.exp(-(1 + x[:, 0] + rng.normal(size=60)))), 0, 1)
    y[:4] = 0.0
    reference = sm.GLM(y, sm.add_constant(x), sm.families.Binomial()).fit(cov_type="HC0", tol=1e-14)
    fit = fit_fractional(x, y)
    np.testing.assert_allclose(fit.coefficients, reference.params, atol=1e-9)
    # statsmodels 0.15.0 leaves the n / (n - p - 1) of HC1 out for a GLM: its "HC1" equals its HC0
    np.testing.assert_allclose(fit.standard_errors, reference.bse * np.sqrt(60 / 57), rtol=1e-8)


def test_fractional_logit_of_nothing_but_zeros_declines() -> None:
    with pytest.raises(DeclinedError, match="no maximum"):
        fit_fractional(np.arange(8.0)[:, None], np.zeros(8))
