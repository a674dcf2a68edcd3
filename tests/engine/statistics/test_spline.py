"""Restricted cubic splines by Harrell's definition, and effects on the scale of the share."""

import numpy as np
import pytest
from scipy.special import expit

from engine.statistics.fractional_logit import fit_fractional, mean_change
from engine.statistics.spline import knots_of, restricted_cubic


def test_the_term_is_flat_before_the_first_knot_and_straight_beyond_the_last() -> None:
    knots = np.array([1.0, 2.0, 4.0])
    columns = restricted_cubic(np.array([0.0, 0.5, 1.0, 5.0, 6.0, 7.0]), knots)
    assert columns[:3, 1].tolist() == [0.0, 0.0, 0.0]
    assert np.diff(columns[3:, 1], 2) == pytest.approx(0.0, abs=1e-9)


def test_the_term_by_hand() -> None:
    # x = 3, knots 1 2 4: (2^3 - 1^3 * 3/2 + 0) / 9 = 6.5 / 9 (rcspline.eval, norm = 2)
    assert restricted_cubic(np.array([3.0]), np.array([1.0, 2.0, 4.0]))[0, 1] == pytest.approx(6.5 / 9)


def test_values_that_cannot_spread_over_three_knots_are_refused() -> None:
    with pytest.raises(ValueError, match="three knots"):
        knots_of([1.0] * 20 + [2.0])


def test_the_mean_change_of_a_saturated_model_is_the_difference_of_means() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat([0.0, 1.0], 40)[:, None]
    share = expit(rng.normal(0.5 + group[:, 0], 0.7))
    found = mean_change(fit_fractional(group, share), np.zeros_like(group), np.ones_like(group), (0,))
    one, other = share[:40], share[40:]
    assert found.change == pytest.approx(other.mean() - one.mean(), abs=1e-9)
    # HC1 gives each group's variance over n, times n / (n - 2)
    error = np.sqrt((one.var() / 40 + other.var() / 40) * 80 / 78)
    assert (found.upper - found.lower) / 2 == pytest.approx(1.959964 * error, rel=1e-6)
