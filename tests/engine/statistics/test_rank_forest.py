"""The rank forest against scikit-learn, within its own seed-to-seed noise."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from engine.statistics.rank_forest import fit_forest, predict, rfe


@pytest.fixture(scope="module")
def table() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(80, 12))
    x[:, 6:] += 0.8 * x[:, :6]
    x[:, 11] = np.round(x[:, 11])
    return x, (x[:, 0] + x[:, 1] + rng.normal(size=80) > 0.5).astype(int)


@pytest.fixture(scope="module")
def references(table: tuple) -> list[RandomForestClassifier]:
    return [RandomForestClassifier(1200, random_state=seed).fit(*table) for seed in (0, 1)]


def test_importances_lie_within_scikit_learns_seed_noise(table: tuple, references: list) -> None:
    ours = fit_forest(*table, None, 4000, 5).importances
    first, second = (forest.feature_importances_ for forest in references)
    noise = np.abs(first - second).max()
    assert ours.sum() == pytest.approx(1)
    assert np.abs(ours - (first + second) / 2).max() < 2.5 * noise
    assert np.corrcoef(ours, first)[0, 1] > 0.99


def test_predictions_lie_within_scikit_learns_seed_noise(table: tuple, references: list) -> None:
    fresh = np.random.default_rng(8).normal(size=(200, 12))
    ours = predict(fit_forest(*table, None, 4000, 5), fresh)
    first, second = (forest.predict_proba(fresh)[:, 1] for forest in references)
    noise = np.abs(first - second)
    assert np.abs(ours - first).mean() < 1.8 * noise.mean()
    assert np.abs(ours - first).max() < 2.5 * noise.max()


def test_the_seed_decides_and_monotone_maps_do_not_matter(table: tuple) -> None:
    x, y = table
    first = fit_forest(x, y, None, 50, 11).importances
    np.testing.assert_array_equal(first, fit_forest(x, y, None, 50, 11).importances)
    np.testing.assert_array_equal(first, fit_forest(np.exp(x) * 1e4, y, None, 50, 11).importances)
    assert not np.array_equal(first, fit_forest(x, y, None, 50, 12).importances)


def test_rows_without_weight_do_not_count(table: tuple) -> None:
    x, y = table
    weights = np.ones(80)
    weights[60:] = 0
    kept = fit_forest(x[:60], y[:60], None, 30, 3)
    np.testing.assert_array_equal(fit_forest(x, y, weights, 30, 3).importances, kept.importances)


def test_multiplicities_act_like_copied_rows(table: tuple) -> None:
    x, y = table
    counts = np.bincount(np.random.default_rng(0).integers(0, 80, 80), minlength=80)
    copies = np.repeat(np.arange(80), counts)
    weighted = fit_forest(x, y, counts, 3000, 1).importances
    copied = fit_forest(x[copies], y[copies], None, 3000, 2).importances
    assert np.abs(weighted - copied).max() < 0.01


def test_separable_training_rows_are_predicted_right() -> None:
    x = np.linspace(0, 1, 40)[:, None]
    y = (x[:, 0] > 0.5).astype(int)
    forest = fit_forest(x, y, None, 200, 0)
    np.testing.assert_array_equal(predict(forest, x) > 0.5, y == 1)
    assert forest.importances.tolist() == [1.0]


def test_elimination_keeps_the_columns_that_carry_the_outcome() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(150, 20))
    y = (x[:, 3] + x[:, 12] > 0).astype(int)
    result = rfe(x, y, None, 2, 100, 9)
    assert result.kept.tolist() == [3, 12]
    assert sorted(result.ranking.tolist()) == [1, 1, *range(2, 20)]
    np.testing.assert_array_equal(np.flatnonzero(result.ranking == 1), result.kept)
    np.testing.assert_array_equal(rfe(x, y, None, 2, 100, 9).ranking, result.ranking)


def test_constant_columns_leave_a_forest_of_leaves() -> None:
    forest = fit_forest(np.ones((10, 2)), [0, 1] * 5, None, 100, 0)
    assert forest.importances.tolist() == [0.0, 0.0]
    assert predict(forest, np.zeros((1, 2)))[0] == pytest.approx(0.5, abs=0.1)


def test_missing_values_are_refused(table: tuple) -> None:
    broken = table[0].copy()
    broken[0, 0] = np.nan
    with pytest.raises(ValueError, match="x must be finite"):
        fit_forest(broken, table[1], None, 5, 0)
