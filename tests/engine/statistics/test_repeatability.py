"""Within-patient spread by hand."""

import numpy as np
import pytest

from engine.statistics.repeatability import repeatability


def test_two_patients_measured_twice():
    # within-patient variances (1 - 3)^2 / 2 = 2 and (10 - 10)^2 / 2 = 0: pooled sd 1, grand mean 6
    found = repeatability(np.array([[[1.0], [3.0]], [[10.0], [10.0]]]))
    assert found.within_sd[0] == pytest.approx(1.0)
    assert found.within_cv[0] == pytest.approx(1 / 6)
    assert found.coefficient[0] == pytest.approx(1.96 * np.sqrt(2), rel=1e-4)


def test_a_mean_of_zero_has_no_share_and_a_gap_makes_its_feature_undefined():
    values = np.array([[[-1.0, np.nan], [1.0, 2.0]]])
    found = repeatability(values)
    assert np.isnan(found.within_cv).all()
    assert found.within_sd[0] == pytest.approx(np.sqrt(2))
    assert np.isnan(found.within_sd[1])


def test_one_measurement_is_refused():
    with pytest.raises(ValueError, match="measurements >= 2"):
        repeatability(np.zeros((4, 1, 2)))


def test_95_percent_of_two_measurements_lie_within_the_coefficient():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(4000, 1, 1)) * 9 + rng.normal(size=(4000, 2, 1))
    apart = np.abs(values[:, 0, 0] - values[:, 1, 0])
    assert (apart < repeatability(values).coefficient[0]).mean() == pytest.approx(0.95, abs=0.01)
