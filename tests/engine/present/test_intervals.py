"""Intervals beside statsmodels 0.15 (Wilson) and the example of R's help page of t.test (Student)."""

from __future__ import annotations

import math

import pytest

from engine.present.intervals import mean_interval, share_interval


@pytest.mark.parametrize(
    ("count", "n", "lower", "upper"),
    # statsmodels.stats.proportion.proportion_confint(count, n, method="wilson")
    [(143, 153, 0.8838762, 0.9641139), (0, 10, 0.0, 0.2775328), (10, 10, 0.7224672, 1.0)],
)
def test_share_has_wilson_interval(count, n, lower, upper):
    found = share_interval(count, n)
    assert (found.lower, found.upper) == pytest.approx((lower, upper), abs=1e-6)


def test_share_of_nobody_is_unknown():
    assert math.isnan(share_interval(0, 0).estimate)


def test_share_above_one_is_refused():
    with pytest.raises(ValueError, match=r"0\.\.n"):
        share_interval(11, 10)


def test_mean_has_student_interval():
    # R: t.test of sleep$extra in group 1 (Student's sleep data): mean 0.75, 95 % CI -0.5297804 2.0297804
    found = mean_interval(0.75, 1.7890096577, 10)
    assert (found.lower, found.upper) == pytest.approx((-0.5297804, 2.0297804), abs=1e-6)


def test_one_value_has_no_interval():
    found = mean_interval(0.8, None, 1)
    assert found.estimate == 0.8
    assert math.isnan(found.lower)
