"""Rank tests, corrections and equivalence against R on aSAH; sample size and .632+ against published figures."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from engine.statistics.association import (
    cramers_v,
    equivalence,
    friedman,
    kruskal,
    mann_whitney,
    mann_whitney_exact,
    robust_slope,
    spearman,
    spearman_interval,
    wilcoxon,
)
from engine.statistics.multiplicity import benjamini_hochberg, holm
from engine.statistics.optimism import auc_632_plus
from engine.statistics.sample_size import cox_snell_from_nagelkerke, riley
from store.records import DeclinedError


@pytest.fixture(scope="module")
def asah(shared: Path) -> pd.DataFrame:
    return pd.read_csv(shared / "data/stats_reference/aSAH.csv")


def test_spearman_equals_r(asah: pd.DataFrame) -> None:
    result = spearman(asah.s100b, asah.age)
    assert (result.rho, result.p_value) == pytest.approx((0.2502712588774769, 0.007505808878201124), abs=1e-12)


def test_mann_whitney_equals_r(asah: pd.DataFrame) -> None:
    result = mann_whitney(asah.s100b[asah.outcome == "Good"], asah.s100b[asah.outcome == "Poor"])
    assert result.u == 793
    assert result.p_value == pytest.approx(4.451580897735551e-05, abs=1e-12)
    assert result.rank_biserial == pytest.approx(-0.4627371273712737, abs=1e-12)


def test_kruskal_equals_r(asah: pd.DataFrame) -> None:
    result = kruskal(asah.s100b, asah.wfns)
    assert (result.h, result.p_value) == pytest.approx((53.12421957270691, 8.026657841384994e-11), abs=1e-12)
    assert result.epsilon_squared == pytest.approx(53.12421957270691 / 112, abs=1e-12)
    assert result.degrees == 4


def test_signed_rank_equals_r(asah: pd.DataFrame) -> None:
    result = wilcoxon(asah.s100b, asah.ndka / 50)
    assert result.v == 2148
    assert result.p_value == pytest.approx(0.002122413594504337, abs=1e-12)


def test_corrections_equal_r() -> None:
    p = [0.02, 0.5, 0.01, 0.03]
    np.testing.assert_allclose(holm(p), [0.06, 0.5, 0.04, 0.06], atol=1e-15)
    np.testing.assert_allclose(benjamini_hochberg(p), [0.04, 0.5, 0.04, 0.04], atol=1e-15)
    np.testing.assert_allclose(holm([0.02, np.nan, 0.01]), [0.02, np.nan, 0.02])
    np.testing.assert_allclose(benjamini_hochberg([0.9, 0.95]), [0.95, 0.95])


def test_friedman_equals_the_closed_form() -> None:
    table = np.tile([1.0, 2.0, 3.0], (8, 1))
    result = friedman(table)  # every case ranks alike: n (k - 1) = 16 on 2 degrees of freedom
    assert (result.statistic, result.degrees) == (pytest.approx(16.0), 2)
    assert result.p_value == pytest.approx(np.exp(-8))


def test_bootstrap_interval_covers_the_estimate_and_repeats(asah: pd.DataFrame) -> None:
    first = spearman_interval(asah.s100b, asah.age, np.random.default_rng(1))
    again = spearman_interval(asah.s100b, asah.age, np.random.default_rng(1))
    assert first == again
    assert 0.0 < first.lower < 0.2502712588774769 < first.upper < 0.5
    # Fisher's z with Bonett and Wright's error, sqrt((1 + rho^2 / 2) / (n - 3)), gives 0.066 to 0.418
    assert (first.lower, first.upper) == pytest.approx((0.066, 0.418), abs=0.04)


def test_equivalence_bounds_equal_scipys_welch_interval(asah: pd.DataFrame) -> None:
    a, b = asah.age[asah.gender == "Female"], asah.age[asah.gender == "Male"]
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.90)
    result = equivalence(a, b, margin=50.0)
    assert (result.lower, result.upper) == pytest.approx((expected.low, expected.high), abs=1e-10)
    assert result.equivalent
    assert result.p_value < 0.05


def test_equivalence_verdict_and_p_agree_at_the_bound(asah: pd.DataFrame) -> None:
    a, b = asah.age[asah.gender == "Female"], asah.age[asah.gender == "Male"]
    wide = equivalence(a, b, margin=50.0)
    reach = max(abs(wide.lower), abs(wide.upper))
    assert equivalence(a, b, margin=reach).p_value == pytest.approx(0.05, abs=1e-9)
    assert not equivalence(a, b, margin=reach * 0.99).equivalent


def test_degenerate_samples() -> None:
    assert mann_whitney([1, 1], [1, 1]).p_value == 1
    assert wilcoxon([1, 2], [1, 2]).p_value == 1
    assert spearman([1, 2, 3], [2, 4, 6]).p_value == 0
    for call in (
        lambda: spearman([1, 1, 1], [1, 2, 3]),
        lambda: mann_whitney([], [1]),
        lambda: kruskal([1, 2], [0, 0]),
    ):
        with pytest.raises(DeclinedError):
            call()


def test_riley_sample_size_equals_the_published_example() -> None:
    result = riley(24, 0.174, 0.288)  # Riley 2020 BMJ; pmsampsize in R says 662
    got = (round(result.shrinkage, 2), round(result.optimism, 2), round(result.prevalence, 2))
    assert got == (622.31, 661.10, 220.85)
    assert result.needed == 662


@pytest.mark.parametrize(("parameters", "needed"), [(4, 345), (10, 780), (20, 1559)])
def test_this_study_needs_more_patients_than_it_has(parameters: int, needed: int) -> None:
    assert riley(parameters, 0.34, cox_snell_from_nagelkerke(0.15, 0.34)).needed == needed


def test_632_plus_by_hand() -> None:
    assert auc_632_plus(0.8, 0.8) == pytest.approx(0.8)
    assert auc_632_plus(1.0, 0.5) == pytest.approx(0.5)  # overfitting 1: weight 1
    assert auc_632_plus(1.0, 0.4) == pytest.approx(0.5)
    weight = 0.632 / (1 - 0.368 * 0.5)
    assert auc_632_plus(0.9, 0.7) == pytest.approx((1 - weight) * 0.9 + weight * 0.7)


def test_the_exact_mann_whitney_equals_scipys_without_ties() -> None:
    a, b = [1.1, 2.2, 9.0], [3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    assert mann_whitney_exact(a, b).p_value == pytest.approx(stats.mannwhitneyu(a, b, method="exact").pvalue, abs=1e-12)
    assert mann_whitney_exact(b, a).p_value == pytest.approx(mann_whitney_exact(a, b).p_value, abs=1e-12)


def test_the_exact_mann_whitney_counts_every_way_to_deal_out_ties() -> None:
    # of the 10 ways to draw two of 1 1 2 3 4, {3, 4} has a rank sum 3 above the mean of 6, {1, 1} 3 below
    assert mann_whitney_exact([3.0, 4.0], [1.0, 1.0, 2.0]).p_value == pytest.approx(2 / 10)


def test_cramers_v_is_one_when_labels_tell_each_other_and_zero_when_independent() -> None:
    assert cramers_v(["a", "a", "b", "c"], [1, 1, 2, 3]) == pytest.approx(1.0)
    assert cramers_v(["a", "a", "b", "b"], [1, 2, 1, 2]) == pytest.approx(0.0)
    assert cramers_v(["a", "a"], [1, 2]) is None


def test_the_robust_slope_is_that_of_a_line_with_one_outlier() -> None:
    x = np.arange(9.0)
    y = 0.5 * x + 1
    y[4] = 40.0
    found = robust_slope(x, y)
    assert found.estimate == pytest.approx(0.5)
    assert found.lower <= 0.5 <= found.upper
