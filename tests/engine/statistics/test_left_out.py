"""Ridge predictions against scikit-learn, and that a row left out does not enter its own prediction."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from engine.statistics.left_out import left_out_logistic, left_out_ridge, ridge_predictions
from store.records import DeclinedError


@pytest.fixture
def table():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((30, 4)) * [1, 10, 0.1, 3] + 7
    return x, x @ [0.5, -0.02, 3, 0.1] + rng.standard_normal(30), (x[:, 0] + rng.standard_normal(30) > 7).astype(float)


def others(y: np.ndarray) -> np.ndarray:
    """For each row the mean of all others."""
    return (y.sum() - y) / (len(y) - 1)


def test_left_out_ridge_is_scikit_learns(table):
    x, y, _ = table
    expected = cross_val_predict(make_pipeline(StandardScaler(), Ridge(alpha=5.0)), x, y, cv=LeaveOneOut())
    assert np.allclose(left_out_ridge(x, y, 5.0), expected - others(y) + y.mean(), atol=1e-8)


def test_left_out_logistic_is_scikit_learns(table):
    x, _, events = table
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1 / 5.0, tol=1e-10, max_iter=1000))
    expected = cross_val_predict(model, x, events, cv=LeaveOneOut(), method="predict_proba")[:, 1]
    shift = logit(events.mean()) - logit(others(events))
    assert np.allclose(left_out_logistic(x, events, 5.0), expit(logit(expected) + shift), atol=1e-5)


def test_of_its_own_value_a_prediction_knows_the_common_mean_only(table):
    x, y, _ = table
    changed = y.copy()
    changed[3] += 1000
    before, after = left_out_ridge(x, y, 5.0), left_out_ridge(x, changed, 5.0)
    assert after[3] - changed.mean() == pytest.approx(before[3] - y.mean())


def test_columns_that_say_nothing_rank_neither_way():
    """Plain leaving-one-out predicts the mean of the others, which ranks every row exactly backwards."""
    rng = np.random.default_rng(8)
    rhos = [spearmanr(left_out_ridge(rng.standard_normal((40, 3)), y := rng.random(40), 5.0), y)[0] for _ in range(60)]
    assert abs(np.mean(rhos)) < 0.25
    assert spearmanr(others(y), y)[0] == pytest.approx(-1)


def test_constant_columns_do_not_count(table):
    x, y, _ = table
    wider = np.column_stack([x, np.full(len(x), 4.0)])
    assert np.allclose(ridge_predictions(wider, y, wider, 5.0), ridge_predictions(x, y, x, 5.0))


def test_one_miss_is_too_few_to_leave_out(table):
    x, _, _ = table
    with pytest.raises(DeclinedError):
        left_out_logistic(x, np.eye(1, len(x), 2)[0], 5.0)
