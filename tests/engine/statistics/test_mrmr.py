"""mRMR against pymrmr (colon data) and against a naive loop of the FCQ definition."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_selection import f_classif

from engine.statistics.mrmr import (
    SCHEMES,
    f_statistic,
    mrmr_fcq,
    mrmr_mid,
    mrmr_miq,
    mutual_information,
    weighted_correlation,
)


@pytest.fixture(scope="module")
def table() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(20250617)
    latent = rng.normal(size=(90, 12))
    x = latent @ rng.normal(size=(12, 120)) + 0.6 * rng.normal(size=(90, 120))
    y = (latent[:, 0] + rng.normal(size=90) > 0.4).astype(int)
    return x * 10.0 ** rng.integers(-3, 5, size=120), y


def naive_fcq(x: np.ndarray, y: np.ndarray, k: int) -> list[int]:
    """The definition of mrmr_selection 0.2.8 word for word: f_classif, Pearson, floor 0.001, mean 1.0 excluded."""
    relevance = f_classif(x, y)[0]
    correlation = np.maximum(np.abs(np.corrcoef(x.T)), 0.001)
    left, chosen = [j for j in range(x.shape[1]) if relevance[j] > 0], []
    while left and len(chosen) < k:
        score = [relevance[j] / (correlation[j, chosen].mean() if chosen else 1.0) for j in left]
        chosen.append(left.pop(int(np.argmax(score))))
    return chosen


def test_order_equals_the_naive_definition(table: tuple) -> None:
    x, y = table
    assert mrmr_fcq(x, y, 30).tolist() == naive_fcq(x, y, 30)


def test_multiplicities_select_like_copied_rows(table: tuple) -> None:
    x, y = table
    counts = np.bincount(np.random.default_rng(3).integers(0, y.size, y.size), minlength=y.size)
    copies = np.repeat(np.arange(y.size), counts)
    assert mrmr_fcq(x, y, 20, counts).tolist() == mrmr_fcq(x[copies], y[copies], 20).tolist()
    np.testing.assert_allclose(f_statistic(x, y, counts), f_classif(x[copies], y[copies])[0], rtol=1e-9)
    np.testing.assert_allclose(weighted_correlation(x, counts), np.corrcoef(x[copies].T), atol=1e-12)


def test_f_equals_scikit_learn_for_three_classes(table: tuple) -> None:
    x, _ = table
    y = np.arange(x.shape[0]) % 3
    np.testing.assert_allclose(f_statistic(x, y), f_classif(x, y)[0], rtol=1e-9)


def test_constant_columns_are_never_chosen_and_ties_go_to_the_first(table: tuple) -> None:
    x, y = table
    widened = np.column_stack([np.full(y.size, 0.1), x[:, :3], x[:, :3]])
    order = mrmr_fcq(widened, y, 7)
    assert 0 not in order
    assert order[0] in (1, 2, 3)
    assert order.size <= 6


@pytest.fixture(scope="module")
def colon(shared: Path) -> tuple[np.ndarray, np.ndarray, list[str], dict]:
    folder = shared / "data/stats_reference"
    frame = pd.read_csv(folder / "mrmr_colon_discretised.csv.gz")
    label = [name for name in frame.columns if not name.startswith("v")]
    names = [name for name in frame.columns if name.startswith("v")]
    reference = json.loads((folder / "mrmr_colon.json").read_text())["result"]
    return frame[names].to_numpy(), frame[label[0]].to_numpy(), names, reference


@pytest.mark.parametrize(("rule", "select"), [("MID", mrmr_mid), ("MIQ", mrmr_miq)])
def test_colon_order_and_scores_equal_pymrmr(colon: tuple, rule: str, select: object) -> None:
    x, y, names, reference = colon
    result = select(x, y, 10)
    assert [names[j] for j in result.order] == reference[rule]["order"]
    np.testing.assert_allclose(result.score, reference[rule]["score"], atol=1e-9)


def test_colon_relevance_equals_pymrmr(colon: tuple) -> None:
    x, y, names, reference = colon
    bits = mutual_information(x, y)
    for name, score in zip(reference["MaxRel"]["order"], reference["MaxRel"]["score"], strict=True):
        assert bits[names.index(name)] == pytest.approx(score, abs=1e-12)
    assert bits.max() == pytest.approx(reference["MaxRel"]["score"][0], abs=1e-12)


def test_one_class_is_refused(table: tuple) -> None:
    with pytest.raises(ValueError, match="two classes"):
        mrmr_fcq(table[0], np.zeros(90), 5)


@pytest.mark.parametrize("select", [mrmr_mid, mrmr_miq])
def test_multiplicities_act_like_copied_rows_of_discrete_columns(colon: tuple, select: object) -> None:
    x, y, _, _ = colon
    counts = np.bincount(np.random.default_rng(5).integers(0, y.size, y.size), minlength=y.size)
    copies = np.repeat(np.arange(y.size), counts)
    weighted, copied = select(x[:, :300], y, 12, counts), select(x[copies][:, :300], y[copies], 12)
    assert weighted.order.tolist() == copied.order.tolist()
    np.testing.assert_allclose(weighted.score, copied.score, atol=1e-12)


def naive_gaussian(x: np.ndarray, y: np.ndarray, k: int, rule: str) -> list[int]:
    """De Jay et al. 2013: information -ln(1 - r^2) / 2, relevance minus or over the mean redundancy."""
    information = -0.5 * np.log(1 - np.corrcoef(np.column_stack([x, y]).T) ** 2 + 1e-15)
    relevance, chosen, left = information[-1, :-1], [], list(range(x.shape[1]))
    while len(chosen) < k:
        mean = [information[j, chosen].mean() if chosen else 0.0 for j in left]
        pairs = zip(left, mean, strict=True)
        score = [relevance[j] - m if rule == "MID" or not chosen else relevance[j] / (m + 0.0001) for j, m in pairs]
        chosen.append(left.pop(int(np.argmax(score))))
    return chosen


@pytest.mark.parametrize("rule", ["MID", "MIQ"])
def test_gaussian_information_selects_like_its_definition(table: tuple, rule: str) -> None:
    x, y = table
    assert SCHEMES[rule](x, y, 25, None).tolist() == naive_gaussian(x, y, 25, rule)


@pytest.mark.parametrize("rule", SCHEMES)
def test_every_scheme_counts_weights_as_copies_and_leaves_constant_columns(table: tuple, rule: str) -> None:
    x, y = table
    x = np.column_stack([np.full(y.size, 7.0), x])
    counts = np.bincount(np.random.default_rng(3).integers(0, y.size, y.size), minlength=y.size)
    copies = np.repeat(np.arange(y.size), counts)
    chosen = SCHEMES[rule](x, y, 15, counts)
    assert chosen.tolist() == SCHEMES[rule](x[copies], y[copies], 15, None).tolist()
    assert 0 not in chosen
