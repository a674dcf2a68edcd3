import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit, logit

from engine.statistics.flexible_calibration import flexible_calibration
from engine.statistics.optimism import auc_632_plus, harrell_optimism
from store.records import DeclinedError


def drawn(n, distort, seed=0):
    """Predictions, and labels drawn from distort(prediction)."""
    rng = np.random.default_rng(seed)
    predicted = expit(rng.normal(-0.5, 1, n))
    return rng.random(n) < distort(predicted), predicted


def test_exact_risks_lie_on_the_diagonal():
    found = flexible_calibration(*drawn(40_000, lambda p: p))
    assert found.ici < 0.01
    assert np.abs(found.observed - found.predicted)[5:-5].max() < 0.03


def test_the_index_is_the_mean_distance_that_was_made():
    # overconfident by a factor 2 on the logit scale: a straight line of the logit, which the spline holds exactly
    def half(p):
        return expit(logit(p) / 2)

    labels, predicted = drawn(60_000, half, seed=1)
    gap = np.abs(half(predicted) - predicted)
    found = flexible_calibration(labels, predicted)
    expected = (gap.mean(), np.quantile(gap, 0.5), np.quantile(gap, 0.9))
    assert (found.ici, found.e50, found.e90) == pytest.approx(expected, abs=0.008)


def test_weights_equal_copied_rows_and_bounds_equal_statsmodels():
    labels, predicted = drawn(300, lambda p: p, seed=2)
    counts = np.random.default_rng(3).integers(1, 4, 300)
    weighted = flexible_calibration(labels, predicted, counts)
    assert weighted.lower[20] < weighted.observed[20] < weighted.upper[20]
    logits = logit(predicted)
    knots = np.quantile(logits, [0.1, 0.5, 0.9])
    cubes = [np.maximum(logits - k, 0) ** 3 for k in knots]
    a, b = (knots[2] - knots[0]) / (knots[2] - knots[1]), (knots[1] - knots[0]) / (knots[2] - knots[1])
    design = sm.add_constant(np.column_stack([logits, (cubes[0] - a * cubes[1] + b * cubes[2])]))
    reference = sm.GLM(labels.astype(float), design, sm.families.Binomial(), freq_weights=counts).fit(tol=1e-14)
    assert weighted.ici == pytest.approx(np.average(np.abs(reference.fittedvalues - predicted), weights=counts))


@pytest.mark.parametrize("predicted", [[0.3] * 20, [0.1] * 16 + [0.9] * 4])
def test_predictions_without_spread_decline(predicted):
    with pytest.raises(DeclinedError, match="calibration curve"):
        flexible_calibration([0, 1] * 10, predicted)


def test_optimism_is_the_mean_loss_from_bootstrap_to_cohort():
    assert harrell_optimism([0.9, 0.8], [0.7, 0.7]) == pytest.approx(0.15)


def test_632_plus_by_hand():
    # Efron and Tibshirani 1997, their eq. 29-32 with gamma 0.5: R = (0.9 - 0.7) / 0.4 = 0.5, w = 0.632 / 0.816
    assert auc_632_plus(0.9, 0.7) == pytest.approx(0.9 - (0.632 / 0.816) * 0.2)
    assert auc_632_plus(1.0, 0.45) == pytest.approx(0.5)  # no information: all weight on the floored out-of-bag value
