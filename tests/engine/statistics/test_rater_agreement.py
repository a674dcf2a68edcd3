"""Agreement of two raters against R's irrCAC and against statsmodels.

The table `cont3x3abstractors` and the values beside it are those printed in the vignette of R's irrCAC (Gwet;
github.com/kgwet/irrCAC, README): kappa2.table and gwet.ac1.table.
"""

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

from engine.statistics.rater_agreement import gwet_ac1, specific_agreement, weighted_kappa

ABSTRACTORS = [[13, 0, 0], [0, 20, 7], [0, 4, 56]]
PARADOX = [[118, 5], [2, 0]]  # nearly all ratings in one category: kappa is negative, agreement 0.944
ORDINAL = [[11, 3, 1, 0], [4, 9, 2, 1], [0, 3, 8, 2], [0, 0, 1, 5]]


def test_kappa_is_irrcacs():
    found = weighted_kappa(ABSTRACTORS, "none")
    assert (found.estimate, found.se) == pytest.approx((0.7964094, 0.05891072), abs=1e-7)
    assert (round(found.lower, 2), round(found.upper, 3)) == (0.68, 0.913)


def test_ac1_is_irrcacs():
    found = gwet_ac1(ABSTRACTORS)
    assert (found.estimate, found.se) == pytest.approx((0.8493305, 0.04321747), abs=1e-7)
    assert (round(found.lower, 3), round(found.upper, 3)) == (0.764, 0.935)


@pytest.mark.parametrize(("weights", "theirs"), [("linear", "linear"), ("quadratic", "fc")])
def test_weighted_kappa_and_its_error_are_statsmodels(weights, theirs):
    found, peer = weighted_kappa(ORDINAL, weights), cohens_kappa(np.array(ORDINAL), wt=theirs)
    assert (found.estimate, found.se) == pytest.approx((peer.kappa, peer.std_kappa), rel=1e-12)


@pytest.mark.parametrize("weights", ["linear", "quadratic"])
def test_weighted_kappa_is_scikit_learns(weights):
    first = [i for i in range(4) for j in range(4) for _ in range(ORDINAL[i][j])]
    second = [j for i in range(4) for j in range(4) for _ in range(ORDINAL[i][j])]
    assert weighted_kappa(ORDINAL, weights).estimate == pytest.approx(cohen_kappa_score(first, second, weights=weights))


def test_ac1_does_not_fall_for_the_paradox_of_kappa():
    assert weighted_kappa(PARADOX, "none").estimate < 0
    # by hand: observed 118 / 125, mean shares 243 / 250 and 7 / 250, expected 2 x 243 x 7 / 250^2
    expected = 2 * 243 * 7 / 250**2
    assert gwet_ac1(PARADOX).estimate == pytest.approx((118 / 125 - expected) / (1 - expected))


def test_perfect_agreement_is_one_without_spread():
    for found in (weighted_kappa(np.diag([3, 4, 5, 6])), gwet_ac1(np.diag([3, 4, 5, 6]))):
        assert (found.estimate, found.se, found.lower, found.upper) == pytest.approx((1, 0, 1, 1))


def test_independent_raters_have_kappa_zero():
    assert weighted_kappa(np.outer([1, 2, 3], [2, 2, 4])).estimate == pytest.approx(0, abs=1e-12)


def test_one_category_for_all_leaves_kappa_undefined_and_ac1_at_one():
    assert math.isnan(weighted_kappa([[7, 0], [0, 0]]).estimate)
    assert gwet_ac1([[7, 0], [0, 0]]).estimate == 1


def test_positive_agreement_by_hand():
    # both say "needs correction" 30 times, one of them alone 12 times: 60 / 72
    found = specific_agreement([[40, 7], [5, 30]], (1,))
    assert found.estimate == pytest.approx(60 / 72)
    assert found.se == pytest.approx(math.sqrt(4 * 30 * 12 * 42) / 72**2)


def test_positive_agreements_error_is_that_of_resampled_tables():
    counts = np.array([[400, 70], [50, 300]])
    rng = np.random.default_rng(1)
    drawn = rng.multinomial(counts.sum(), (counts / counts.sum()).ravel(), size=4000).reshape(-1, 2, 2)
    values = [specific_agreement(table, (1,)).estimate for table in drawn]
    assert specific_agreement(counts, (1,)).se == pytest.approx(np.std(values), rel=0.05)


def test_nobody_chose_the_group():
    assert math.isnan(specific_agreement([[7, 0], [0, 0]], (1,)).estimate)


@pytest.mark.parametrize("table", [[[1, 2]], [[1, -1], [0, 2]], [[0.5, 0], [0, 1]]])
def test_what_is_no_table_of_counts_is_refused(table):
    with pytest.raises(ValueError, match="table must"):
        weighted_kappa(table)
